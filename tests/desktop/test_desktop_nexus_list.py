"""The lists, cards and tabs of the Nexus Mods page: drawing, keys, mouse, and pictures that come late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QAccessible, QColor, QImage
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from keyfob.desktop.nexus.card_drawing import CardDrawing
from keyfob.desktop.nexus.details import DetailsDialog
from keyfob.desktop.nexus.downloads import LinksCard
from keyfob.desktop.nexus.models import Links, Mark, ModDetails, Press, Progress, Row
from keyfob.desktop.nexus.parts import GreyRows
from keyfob.desktop.nexus.pictures import Pictures, filling
from keyfob.desktop.nexus.row_drawing import RowDrawing
from keyfob.desktop.nexus.rows import RowList
from keyfob.desktop.nexus.tabs import Tabs
from keyfob.desktop.shared.theme import Theme

UPDATE = Press("update", "Update")


def row(number: int, **more: Any) -> Row:
    values: dict[str, Any] = {
        "key": str(number),
        "title": f"Mod {number}",
        "line": "by halvard",
        "accessible": f"Mod {number}, by halvard",
        "before": "1.0",
        "after": "1.1",
        "presses": (UPDATE, Press("open", "Open page", shown=False)),
    }
    return Row(**(values | more))


PAGES: list[QScrollArea] = []  # keeps each until its test has ended


@pytest.fixture(autouse=True)
def no_pages() -> Iterator[None]:
    yield
    PAGES.clear()


@pytest.fixture
def pictures(qapp: QApplication) -> Iterator[Pictures]:
    made = Pictures(lambda _: None, qapp)
    yield made
    made.close()


@pytest.fixture
def shown(theme: Theme, pictures: Pictures, qtbot: QtBot) -> RowList:
    """A list in a page that scrolls, shown."""
    return scrolled(theme, pictures, qtbot)


def scrolled(theme: Theme, pictures: Pictures, qtbot: QtBot, width: int = 800) -> RowList:
    area, body = QScrollArea(), QWidget()
    made = RowList("Mods")
    made.draw_by(RowDrawing(theme, pictures, made))
    layout = QVBoxLayout(body)
    layout.addWidget(made)
    layout.addStretch(1)
    area.setWidgetResizable(True)
    area.setWidget(body)
    area.resize(width, 400)
    qtbot.addWidget(area)
    area.show()
    PAGES.append(area)
    return made


def spot(made: RowList, number: int, action: str) -> QPoint:
    index = made.model().index(number, 0)
    drawing: Any = made.itemDelegate()
    found = drawing.spots(made.visualRect(index).toRectF(), made.rows[number])
    return next(each.box.center().toPoint() for each in found if each.press.action == action)


def test_2000_rows_draw_only_what_is_on_screen(
    shown: RowList, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    drawn: list[int] = []
    paint = RowDrawing.paint
    monkeypatch.setattr(
        RowDrawing, "paint", lambda self, p, o, i: (drawn.append(i.row()), paint(self, p, o, i))[0]
    )
    shown.show_rows([row(number) for number in range(2000)])
    qtbot.waitUntil(lambda: bool(drawn))
    qtbot.wait(50)
    assert max(drawn) < 20
    assert shown.height() == 2000 * shown.itemDelegate().height(800)  # type: ignore[attr-defined]


def test_the_list_is_one_stop_and_arrows_scroll_the_page(shown: RowList, qtbot: QtBot) -> None:
    shown.show_rows([row(number) for number in range(40)])
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    assert shown.currentIndex().row() == 0
    qtbot.waitUntil(lambda: shown.parentWidget().height() > 2000)
    for _ in range(12):
        qtbot.keyClick(shown, Qt.Key.Key_Down)
    assert shown.currentIndex().row() == 12
    area = shown.parentWidget().parentWidget().parentWidget()
    assert isinstance(area, QScrollArea)
    box = shown.visualRect(shown.currentIndex())
    assert area.viewport().rect().contains(shown.mapTo(area.viewport(), box.center()))


def test_return_presses_the_first_button_and_space_shows_details(shown: RowList, qtbot: QtBot) -> None:
    shown.show_rows([row(1), row(2, presses=())])
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    with qtbot.waitSignal(shown.pressed) as pressed:
        qtbot.keyClick(shown, Qt.Key.Key_Return)
    assert pressed.args == ["1", "update"]
    with qtbot.waitSignal(shown.details_asked) as asked:
        qtbot.keyClick(shown, Qt.Key.Key_Space)
    assert asked.args == ["1"]
    qtbot.keyClick(shown, Qt.Key.Key_Down)
    with qtbot.waitSignal(shown.details_asked) as asked:  # a row without buttons
        qtbot.keyClick(shown, Qt.Key.Key_Return)
    assert asked.args == ["2"]


def test_a_drawn_button_is_pressed_by_letting_go_on_it(shown: RowList, qtbot: QtBot) -> None:
    shown.show_rows([row(1), row(2)])
    qtbot.waitUntil(lambda: not shown.visualRect(shown.model().index(1, 0)).isEmpty())
    at = spot(shown, 1, "update")
    pressed: list[tuple[str, str]] = []
    shown.pressed.connect(lambda key, action: pressed.append((key, action)))
    qtbot.mousePress(shown.viewport(), Qt.MouseButton.LeftButton, pos=at)
    qtbot.mouseRelease(shown.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert pressed == []  # slipped off
    qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert pressed == [("2", "update")]


def test_the_menu_has_every_action_of_the_row(shown: RowList, qtbot: QtBot) -> None:
    shown.show_rows([row(1)])
    menu = shown.menu_of(shown.rows[0])
    assert [each.text() for each in menu.actions()] == ["Update", "Open page", "Details…"]
    with qtbot.waitSignal(shown.pressed) as pressed:
        menu.actions()[1].trigger()
    assert pressed.args == ["1", "open"]


def test_after_a_row_vanishes_the_next_one_is_current(shown: RowList) -> None:
    shown.show_rows([row(1), row(2), row(3)])
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    shown.setCurrentIndex(shown.model().index(1, 0))
    shown.show_rows([row(1), row(2, after="1.2"), row(3)])
    assert shown.currentIndex().row() == 1
    shown.show_rows([row(1), row(3)])
    assert shown.rows[shown.currentIndex().row()].key == "3"
    shown.show_rows([row(1)])
    assert shown.rows[shown.currentIndex().row()].key == "1"


def test_screen_readers_hear_each_row(shown: RowList) -> None:
    shown.show_rows([row(1), row(2)])
    interface = QAccessible.queryAccessibleInterface(shown)
    names = [
        child.text(QAccessible.Text.Name)
        for number in range(interface.childCount())
        if (child := interface.child(number)) is not None
    ]
    assert [name for name in names if name] == ["Mod 1, by halvard", "Mod 2, by halvard"]


@pytest.mark.parametrize("width", [330, 480, 900])
def test_every_kind_of_row_is_drawn_at_any_width(
    theme: Theme, pictures: Pictures, qtbot: QtBot, width: int
) -> None:
    made = scrolled(theme, pictures, qtbot, width)
    made.show_rows(
        [
            row(1),
            row(2, before="1.0", after="", mark=Mark("Up to date", "ok", "check"), presses=()),
            row(3, progress=Progress(0.36, "184 of 512 MB · 11.3 MB/s", "29 seconds left")),
            row(4, progress=Progress(None, "184 MB", ""), presses=(Press("pause", "Pause", "pause"),)),
            row(5, before="", after="", mark=Mark("Stopped", "bad", "warning"), note="Skyrim"),
        ]
    )
    qtbot.wait(30)
    assert not made.grab().isNull()
    index = made.model().index(3, 0)
    drawing: Any = made.itemDelegate()
    for each in drawing.spots(made.visualRect(index).toRectF(), made.rows[3]):
        assert each.box.left() > made.visualRect(index).left()


@pytest.mark.parametrize(("width", "columns"), [(300, 1), (500, 2), (860, 3), (1400, 3)])
def test_cards_stand_in_as_many_columns_as_have_room(
    theme: Theme, pictures: Pictures, qtbot: QtBot, width: int, columns: int
) -> None:
    made = RowList("Popular mods")
    made.setFlow(RowList.Flow.LeftToRight)
    made.setWrapping(True)
    made.setResizeMode(RowList.ResizeMode.Adjust)
    made.draw_by(CardDrawing(theme, pictures, made))
    qtbot.addWidget(made)
    made.resize(width, 700)
    made.show()
    made.show_rows([row(number) for number in range(7)])
    qtbot.waitUntil(lambda: not made.visualRect(made.model().index(6, 0)).isEmpty())
    tops = {made.visualRect(made.model().index(number, 0)).top() for number in range(7)}
    assert len(tops) == -(-7 // columns)
    at = spot(made, min(2, columns - 1), "update")
    with qtbot.waitSignal(made.pressed) as pressed:
        qtbot.mouseClick(made.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert pressed.args == [str(min(2, columns - 1)), "update"]


# --- pictures -----------------------------------------------------------------------------------------------


def png(folder: Path, name: str, width: int = 40, height: int = 30) -> Path:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("#3a6ea5"))
    path = folder / name
    assert image.save(str(path))
    return path


def test_a_picture_comes_late_and_fills_its_frame(qapp: QApplication, tmp_path: Path, qtbot: QtBot) -> None:
    path = png(tmp_path, "one.png")
    gate = threading.Event()
    asked: list[str] = []

    def fetch(address: str) -> Path:
        asked.append(address)
        gate.wait(10)
        return path

    made = Pictures(fetch, qapp)
    assert made.of("https://p.example/1", QSize(76, 46), 2.0) is None
    assert made.of("https://p.example/1", QSize(76, 46), 2.0) is None  # asked once
    with qtbot.waitSignal(made.arrived):
        gate.set()
    found = made.of("https://p.example/1", QSize(76, 46), 2.0)
    assert found is not None
    assert (found.width(), found.height()) == (152, 92)
    assert asked == ["https://p.example/1"]
    made.close()


def test_a_picture_that_cannot_be_had_is_asked_for_again_later(qapp: QApplication, qtbot: QtBot) -> None:
    now = [0.0]
    asked: list[str] = []
    made = Pictures(lambda address: asked.append(address), qapp, lambda: now[0])  # type: ignore[arg-type,func-returns-value]
    for _ in range(2):
        assert made.of("https://p.example/1", QSize(10, 10), 1.0) is None
        qtbot.waitUntil(lambda: not made.busy)
    assert len(asked) == 1
    now[0] = 61.0
    assert made.of("https://p.example/1", QSize(10, 10), 1.0) is None
    qtbot.waitUntil(lambda: len(asked) == 2 and not made.busy)
    made.close()


def test_what_is_drawn_last_is_fetched_first(qapp: QApplication, qtbot: QtBot) -> None:
    gate = threading.Event()
    asked: list[str] = []

    def fetch(address: str) -> None:
        asked.append(address)
        gate.wait(10)

    made = Pictures(fetch, qapp)
    for number in range(200):
        made.of(f"https://p.example/{number}", QSize(10, 10), 1.0)
    gate.set()
    qtbot.waitUntil(lambda: not made.busy)
    last, earlier = (asked.index(f"https://p.example/{number}") for number in (199, 150))
    assert last < earlier
    assert len(asked) < 100  # those that scrolled by long ago are left out
    made.close()


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    assert filling(path, QSize(10, 10)) is None


# --- tabs and cards -----------------------------------------------------------------------------------------


def test_arrows_go_from_tab_to_tab_and_counts_are_heard(theme: Theme, qtbot: QtBot) -> None:
    tabs = Tabs(theme)
    qtbot.addWidget(tabs)
    tabs.resize(600, 40)
    tabs.show()
    tabs.show_counts((("mods", 128), ("downloads", 0)))
    assert tabs.accessibleTabName(0) == "Mods, 128"
    assert tabs.accessibleTabName(2) == "Downloads"
    tabs.setFocus()
    with qtbot.waitSignal(tabs.chosen) as chosen:
        qtbot.keyClick(tabs, Qt.Key.Key_Right)
    assert chosen.args == ["trending"]
    assert tabs.current == "trending"
    assert not tabs.grab().isNull()


def test_grey_rows_come_only_after_a_moment(theme: Theme, qtbot: QtBot) -> None:
    grey = GreyRows(theme, 66)
    qtbot.addWidget(grey)
    grey.show()
    grey.hide()
    grey.wait(True)
    assert not grey.shows
    qtbot.waitUntil(lambda: grey.shows, timeout=2000)
    grey.wait(False)
    assert not grey.shows


def test_the_switch_shows_what_is_so_until_it_has_changed(theme: Theme, qtbot: QtBot) -> None:
    card = LinksCard(theme)
    qtbot.addWidget(card)
    card.show_links(Links(False, True, "Vortex opens them now."))
    with qtbot.waitSignal(card.turned) as turned:
        card.switch.click()
    assert turned.args == [True]
    assert not card.switch.isChecked()
    card.show_links(Links(True, True, ""))
    assert card.switch.isChecked()


def test_a_button_of_the_details_closes_them(theme: Theme, pictures: Pictures, qtbot: QtBot) -> None:
    details = ModDetails("1", "Quiet Roads", "by halvard", "Roads.", "", (("Newest", "1.9.2"),), (UPDATE,))
    dialog = DetailsDialog(theme, pictures, details)
    qtbot.addWidget(dialog)
    dialog.show()
    pressed: list[tuple[str, str]] = []
    dialog.pressed.connect(lambda key, action: pressed.append((key, action)))
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert pressed == []
    dialog.show()
    update = next(each for each in dialog.findChildren(QWidget) if each.accessibleName() == "Update")
    qtbot.mouseClick(update, Qt.MouseButton.LeftButton)
    assert pressed == [("1", "update")]
    assert not dialog.isVisible()
