"""What assistive technology gets where Qt's own answer is not enough.

On Linux, Qt names a combo box by its text, so "Method" could not be found by its name. Qt's scroll area also
uses a child's number without checking how many children there are: asked for a scroll bar that has just
disappeared, the app crashes. `teach` is called once for each class, by its module, before the first such
widget is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QComboBox, QScrollArea, QWidget

# Qt keeps only the bare pointer of what the factory returns. Each goes with its widget.
_ALIVE: dict[int, QAccessibleWidget] = {}
_MAKERS: dict[str, Callable[[Any], QAccessibleWidget]] = {}


class NamedComboBox(QAccessibleWidget):
    """A combo box with its accessible name as the name, and what it shows
    as the value; its list is its child.
    """

    def __init__(self, box: QComboBox) -> None:
        super().__init__(box, QAccessible.Role.ComboBox)
        self._box = box

    def text(self, kind: QAccessible.Text) -> str:
        """The name and the value apart, for screen readers."""
        match kind:
            case QAccessible.Text.Name:
                return self._box.accessibleName()
            case QAccessible.Text.Value:
                return self._box.currentText()
        return super().text(kind)

    def childCount(self) -> int:
        """One: the list that drops down."""
        return 1

    def child(self, _index: int) -> QAccessibleInterface:
        """The list that drops down."""
        return QAccessible.queryAccessibleInterface(self._box.view())

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        """0 for the list that drops down, -1 for anything else."""
        return 0 if child.object() is self._box.view() else -1

    def actionNames(self) -> list[str]:
        """What assistive programs can do with it."""
        return ["ShowMenu", "SetFocus"]

    def doAction(self, name: str) -> None:
        """Give it the focus, or open or close the list."""
        if name == "SetFocus":
            self._box.setFocus()
        elif self._box.view().isVisible():
            self._box.hidePopup()
        else:
            self._box.showPopup()


def scroll_area(area: QScrollArea) -> QAccessibleWidget:
    """A scroll area as a plain widget, which answers for a child that is not there with none."""
    return QAccessibleWidget(area, QAccessible.Role.Client)


def list_item(widget: QWidget) -> QAccessibleWidget:
    """A row that the arrow keys move between: read as an item, with its name and description."""
    return QAccessibleWidget(widget, QAccessible.Role.ListItem)


def teach(class_name: str, make: Callable[[Any], QAccessibleWidget]) -> None:
    """Have `make` answer for widgets of this class. Called on the GUI thread."""
    if not _MAKERS:
        QAccessible.installFactory(_interface)
    _MAKERS[class_name] = make


def _interface(key: str, widget: QObject | None) -> QAccessibleInterface | None:
    make = _MAKERS.get(key)
    if make is None or widget is None:
        return None
    number = id(widget)
    interface = _ALIVE[number] = make(widget)
    widget.destroyed.connect(lambda: _ALIVE.pop(number, None))
    return interface
