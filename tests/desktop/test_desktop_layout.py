"""Nothing is cut in any scene that build/shots draws: every text and picture has the room it needs. No window
has two primary buttons.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
    QWidget,
)

from keyfob.desktop.shared import widgets
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided

sys.path.append(str(Path(__file__).parents[2] / "build"))

from _shots.registry import MODULES, measured_scenes
from _shots.stage import Stage


def cut(window: QWidget) -> list[str]:
    """What has less room than it needs, in words."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible():
            continue
        short = missing(widget)
        if short:
            found.append(f"{type(widget).__name__} {name_of(widget)!r}: {short}")
    return found


def name_of(widget: QWidget) -> str:
    text = widget.text() if isinstance(widget, QLabel | QAbstractButton) else ""
    return (text or widget.accessibleName())[:40]


def missing(widget: QWidget) -> str:
    """How much room it lacks; empty when it has enough."""
    width, height = widget.width(), widget.height()
    if isinstance(widget, QLabel):
        pixmap = widget.pixmap()
        if not pixmap.isNull():
            need = pixmap.deviceIndependentSize().toSize()
        elif widget.wordWrap():
            need = widget.minimumSizeHint()
            need.setHeight(widget.heightForWidth(width))
        else:
            need = widget.minimumSizeHint() if isinstance(widget, Elided) else widget.sizeHint()
    elif isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        part, kind = QStyle.SubControl.SC_ComboBoxEditField, QStyle.ComplexControl.CC_ComboBox
        width = widget.style().subControlRect(kind, option, part, widget).width()
        need = QSize(
            widget.fontMetrics().horizontalAdvance(widget.currentText()), widget.minimumSizeHint().height()
        )
    elif isinstance(widget, QAbstractButton) and not isinstance(widget, QCheckBox):
        need = widget.minimumSizeHint()
    else:
        return ""
    if width < need.width() or height < need.height():
        return f"has {width}×{height}, needs {need.width()}×{need.height()}"
    return "" if inside(widget) else "is cut by what holds it"


def primary(window: QWidget) -> list[str]:
    """The primary buttons on screen, of which a window has one."""
    return [
        each.accessibleName()
        for each in window.findChildren(QPushButton)
        if each.isVisible() and each.window() is window and each.property("kind") == "primary"
    ]


def inside(widget: QWidget) -> bool:
    """Whether no ancestor cuts it. What scrolls may be cut above and below, never at a side."""
    scrolls = False
    above = widget.parentWidget()
    while above is not None and not widget.isWindow():
        holder = above.parentWidget()
        scrolls = scrolls or (isinstance(holder, QAbstractScrollArea) and holder.viewport() is above)
        place = QRect(widget.mapTo(above, QPoint(0, 0)), widget.size())
        if place.left() < 0 or place.right() > above.rect().right():
            return False
        if not scrolls and (place.top() < 0 or place.bottom() > above.rect().bottom()):
            return False
        if above.isWindow():
            break
        above = holder
    return True


def test_no_room_is_given_in_pixels_that_do_not_grow_with_the_font() -> None:
    """Margins and gaps come from the theme's `px` or `margins`; 0 and 1 are what they are."""
    given = re.compile(r"(?:set\w*(?:Margins|Spacing)|addSpacing|FlowLayout)\((.*)")
    folder = Path(widgets.__file__).parents[1]
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(folder.rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if (call := given.search(line)) and not re.search(r"px\(|margins\(|\bpx\b", call[1])
        if re.search(r"\b([2-9]|\d\d+)\b", call[1])
    ]
    assert found == []


@pytest.mark.network  # some pages talk to a server of ours on loopback
@pytest.mark.parametrize(("shade", "scale"), [("light", 1.0), ("light", 1.5), ("dark", 2.0)])
@pytest.mark.parametrize(
    "module",
    MODULES,
)
@pytest.mark.usefixtures("back_to_usual")
def test_nothing_is_cut_in_any_scene(qapp: QApplication, module: str, shade: str, scale: float) -> None:
    theme = Theme(qapp, shade)
    theme.scale = scale
    theme.apply()
    found = []
    here = f"_shots.{module}"
    of_module = {name: make for name, make in measured_scenes().items() if make.__module__ == here}
    assert of_module
    for name, make in of_module.items():
        with Stage(theme) as stage:
            widget = make(stage)
            stage.show(widget)
            found += [f"{name}: {each}" for each in cut(widget)]
            leading = primary(widget)
            found += [f"{name}: two primary buttons: {leading}"] if len(leading) > 1 else []
    assert not found, "\n".join(found)
