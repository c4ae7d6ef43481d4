"""Where tokens are kept, in Settings: the choice, what a change means, and when it takes effect."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal

from keyfob.core.settings import VAULTS
from keyfob.core.words import VaultChoice
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, label

TITLES: Mapping[VaultChoice, str] = {
    "keychain": "System keychain",
    "sealed": "Encrypted file",
    "pass": "pass",
}
_PLACES: Mapping[VaultChoice, str] = {
    "keychain": "the system keychain",
    "sealed": "an encrypted file",
    "pass": "the password store pass",
}
# What the user must know before.
_NEEDS: Mapping[VaultChoice, str] = {
    "keychain": "",
    "sealed": " Keyfob asks for the file's passphrase each time it starts.",
    "pass": " pass and its GPG key must be set up on this computer.",
}


def changing(new: VaultChoice, kept_in: str, accounts: int) -> tuple[str, str]:
    """The question before a change, and what it means."""
    then = "Quit Keyfob and start it again to use the new place."
    if accounts:
        them = "your account" if accounts == 1 else f"your {accounts} accounts"
        then += f" Your tokens do not move: they stay in {kept_in}, and you sign in to {them} again."
    return f"Keep tokens in {_PLACES[new]}?", then + _NEEDS[new]


class VaultPicker(Choice):
    """`picked` once the user has confirmed. Cancel shows again what holds. For the encrypted file,
    `file_wanted` instead: the app asks, since a new file needs a passphrase first.
    """

    picked = Signal(str)
    file_wanted = Signal(str, str)  # the question and what the change means

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Tokens are kept in")
        self._theme = theme
        self._holds: VaultChoice = "keychain"
        self._in_use: VaultChoice = "keychain"
        self._name, self._accounts = "your keychain", 0
        for each in VAULTS:
            self.addItem(TITLES[each], each)
        self.note = label("", "small", wrap=True)
        self.activated.connect(self._choose)

    def show_use(self, name: str, in_use: VaultChoice) -> None:
        """`in_use`: what this run of Keyfob keeps its tokens in, and `name` what that is called."""
        self._name, self._in_use = name, in_use
        self._say()

    def show_choice(self, holds: VaultChoice) -> None:
        """What the settings name."""
        self._holds = holds
        self.setCurrentIndex(VAULTS.index(holds))
        self._say()

    def count_accounts(self, accounts: int) -> None:
        """How many accounts a change concerns."""
        self._accounts = accounts

    def _say(self) -> None:
        now = f"In use: {self._name}."
        later = f" Quit Keyfob and start it again to use {_PLACES[self._holds]}."
        self.note.setText(now if self._holds == self._in_use else now + later)

    def _choose(self, number: int) -> None:
        new = VAULTS[number]
        if new == self._holds:
            return
        if new == self._in_use:  # as it was: nothing to lose
            self.picked.emit(new)
            return
        words = changing(new, self._name, self._accounts)
        if new == "sealed":
            self.file_wanted.emit(*words)
        else:
            self.confirm(new, *words)

    def confirm(self, new: VaultChoice, title: str, text: str) -> None:
        """Ask whether tokens are to be kept there."""
        asked = Confirm(self._theme, title, text, "Change", self.window())
        asked.confirmed.connect(lambda: self.picked.emit(new))
        asked.rejected.connect(self.cancel)
        asked.open()

    def cancel(self) -> None:
        """Show again what holds."""
        self.show_choice(self._holds)
