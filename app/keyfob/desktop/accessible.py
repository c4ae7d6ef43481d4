"""What assistive technology is told where Qt's own word is not enough.

On Linux Qt names a combo box by what it shows, so that "Method" could not be found by that name. `teach` is called
once, by the widget's module, before the first such widget is looked at.
"""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QComboBox

# Qt keeps only the bare pointer of what the factory returns. Each goes with its widget.
_ALIVE: dict[int, NamedComboBox] = {}
_taught = False


class NamedComboBox(QAccessibleWidget):
    """A combo box with its accessible name as the name, and what it shows as the value; its list is its child."""

    def __init__(self, box: QComboBox) -> None:
        super().__init__(box, QAccessible.Role.ComboBox)
        self._box = box

    def text(self, kind: QAccessible.Text) -> str:
        match kind:
            case QAccessible.Text.Name:
                return self._box.accessibleName()
            case QAccessible.Text.Value:
                return self._box.currentText()
        return super().text(kind)

    def childCount(self) -> int:
        return 1

    def child(self, _index: int) -> QAccessibleInterface:
        return QAccessible.queryAccessibleInterface(self._box.view())

    def indexOfChild(self, child: QAccessibleInterface) -> int:
        return 0 if child.object() is self._box.view() else -1

    def actionNames(self) -> list[str]:
        return ["ShowMenu", "SetFocus"]

    def doAction(self, name: str) -> None:
        if name == "SetFocus":
            self._box.setFocus()
        elif self._box.view().isVisible():
            self._box.hidePopup()
        else:
            self._box.showPopup()


def teach(class_name: str) -> None:
    """Name widgets of this class, a QComboBox, by their accessible name. Called on the GUI thread."""
    global _taught
    if _taught:
        return
    _taught = True

    def make(key: str, widget: QObject | None) -> QAccessibleInterface | None:
        if key != class_name or not isinstance(widget, QComboBox):
            return None
        number = id(widget)
        interface = _ALIVE[number] = NamedComboBox(widget)
        widget.destroyed.connect(lambda: _ALIVE.pop(number, None))
        return interface

    QAccessible.installFactory(make)
