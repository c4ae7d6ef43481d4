"""What the app's modal dialogs have in common: Ctrl+Q quits the app as it does in the window.

A modal dialog blocks the window's shortcuts. Without this, the user would have to close it first.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QDialog, QWidget


class ModalDialog(QDialog):
    """Has `title` as its title and `name` for assistive technology. Ctrl+Q closes it and asks the window it
    belongs to, by that one's `quit_asked`, to end the app.
    """

    quit_asked = Signal()

    def __init__(self, title: str, name: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(name)
        self.setModal(True)
        self._ending = QShortcut(QKeySequence("Ctrl+Q"), self)
        self._ending.activated.connect(self.close_and_quit)

    def showEvent(self, event: QShowEvent) -> None:
        """Give what has a fixed width the height that its texts need."""
        super().showEvent(event)
        if self.minimumWidth() == self.maximumWidth():
            self.fit_height()

    def fit_height(self) -> None:
        """Take the height for this width, and no less. Qt's own `adjustSize` stops at two thirds of the
        screen, and its own minimum ignores that wrapped texts need more lines than one.
        """
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.setMinimumHeight(layout.totalMinimumHeightForWidth(self.width()))
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def close_and_quit(self) -> None:
        """Close this dialog and those under it, then ask the window to quit the app."""
        above = self.parentWidget()
        self.reject()
        if isinstance(above, ModalDialog):
            above.close_and_quit()
        else:
            getattr(above, "quit_asked", self.quit_asked).emit()
