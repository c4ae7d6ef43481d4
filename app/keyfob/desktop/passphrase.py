"""Asks for the encrypted file's passphrase in the window: to open the file, and to make it when the user
chooses it in Settings.

One QObject on the GUI thread. The file is opened off it. The passphrase goes to the file and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication, QWidget

from keyfob.core.errors import KeyfobError
from keyfob.core.secret import Secret
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.passphrase_dialog import PassphraseDialog, Question
from keyfob.desktop.shared.theme import Theme
from keyfob.ports import EncryptedFile

UNLOCK = Question(
    "Unlock the encrypted file",
    "Enter the passphrase that you chose for it. Keyfob then renews your tokens and gives them to your "
    "tools.",
    "Unlock",
)
NEW = Question(
    "Choose a passphrase",
    "It protects the encrypted file that your tokens are kept in. Keyfob asks for it each time it starts.",
    "Create file",
    new=True,
)


class Passphrase(QObject):
    """One dialog at a time."""

    opened = Signal()  # the file is open
    declined = Signal()  # the user has closed the dialog

    def __init__(
        self, theme: Theme, window: QWidget, file: Callable[[], EncryptedFile], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._theme, self._window, self._file = theme, window, file
        self.dialog: PassphraseDialog | None = None

    def ask(self) -> None:
        """Ask for the passphrase, or for a new one if there is no file yet. `opened` or `declined`
        follows.
        """
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        Operation(self, lambda: self._file().exists(), self._found).start()

    def ask_for_new(self, title: str, text: str, action: str) -> None:
        """Ask for a new passphrase with these words. `opened` or `declined` follows."""
        self._open(Question(title, text, action, new=True))

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _found(self, exists: bool) -> None:
        self._open(UNLOCK if exists else NEW)

    def _open(self, question: Question) -> None:
        if self.dialog is not None:
            return
        above = QApplication.activeModalWidget() or self._window
        dialog = self.dialog = PassphraseDialog(self._theme, question, above)
        dialog.entered.connect(self._entered)
        dialog.finished.connect(self._finished)
        dialog.open()

    def _entered(self, passphrase: Secret) -> None:
        Operation(self, lambda: self._file().open_with(passphrase), self._opened).failing(
            self._refused
        ).start()

    def _opened(self, _result: object) -> None:
        if self.dialog is not None:
            self.dialog.accept()
        else:  # it was closed in the meantime, and the file is open all the same
            self.opened.emit()

    def _refused(self, error: KeyfobError) -> None:
        if self.dialog is not None:
            self.dialog.complain(remedies.sentence(error))

    def _finished(self, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()
        if result == PassphraseDialog.DialogCode.Accepted:
            self.opened.emit()
        else:
            self.declined.emit()
