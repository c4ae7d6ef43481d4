"""Lists lost accounts again, from their descriptions in the keychain, once the user has agreed.

One QObject on the GUI thread. The keychain and the store are used off it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QWidget

from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.words import restored

if TYPE_CHECKING:
    from keyfob.service.accounts.recovery import Recovered

TITLE = "Restore your accounts?"
TEXT = (
    "Keyfob lists them again from your keychain, which describes each account. The damaged data is kept "
    "under another name."
)
RESTART = "Quit Keyfob and start it again to restore your accounts."


class Restoring(QObject):
    """One at a time."""

    said = Signal(str, bool)  # what came of it; False: it failed
    ended = Signal()  # well or not: look again

    def __init__(self, theme: Theme, window: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._theme, self._window = theme, window
        self.dialog: Confirm | None = None

    def ask(self, work: Callable[[], Recovered]) -> None:
        """Ask, and do `work` if the user agrees."""
        if self.dialog is not None:
            return
        dialog = self.dialog = Confirm(self._theme, TITLE, TEXT, "Restore", self._window, kind="primary")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.confirmed.connect(lambda: self._restore(work))
        dialog.finished.connect(self._closed)
        dialog.open()

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _closed(self, _result: int) -> None:
        self.dialog = None

    def _restore(self, work: Callable[[], Recovered]) -> None:
        Operation(self, work, self._done).failing(self._failed).start()

    def _done(self, found: Recovered) -> None:
        self.said.emit(restored(found), True)
        self.ended.emit()

    def _failed(self, error: KeyfobError) -> None:
        # The whole file is damaged, and this app has it open.
        open_here = error.code == "store_damaged"
        self.said.emit(f"{error.message}. {RESTART}" if open_here else remedies.sentence(error), False)
        self.ended.emit()
