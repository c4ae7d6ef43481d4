"""The state of the keychain, for the window: whether it works, the banner that says so if it does not, and
the button that opens the system's prompt.

One QObject on the GUI thread, created by the presenter. The vault is called off this thread. It learns of
problems from the first check, from the renewer, from an action that failed and from the desktop's own
signals. It never opens a prompt on its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.facts import Facts, filled
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.remedies import REMEDIES
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS, Banner
from keyfob.ports import Vault, VaultHealth

PROMPT_TIME = 60.0  # seconds that a user has for the system's prompt

WAITING = "Waiting for your answer…"
_TITLES = {
    "keychain_locked": "Your keychain is locked",
    "keychain_not_set_up": "Your keychain is not set up yet",
    "keychain_absent": "No keychain was found",
    "keychain_no_session": "No keychain was found",
    "keychain_withheld": "Your keychain needs your permission",
    "keychain_off": "Your keychain is turned off",
    "passphrase_needed": "The encrypted file is locked",
    "passphrase_wrong": "The encrypted file is locked",
    "keychain_timeout": "Your keychain is not responding",
    "agent_locked": "Keyfob is locked",
}
_TEXTS = {
    "keychain_locked": "Unlock it so that Keyfob can renew tokens and give them to your tools.",
    "keychain_not_set_up": "Choose a password for it. Keyfob keeps your tokens there.",
    "passphrase_needed": "Unlock it so that Keyfob can renew tokens and give them to your tools.",
    "agent_locked": "You locked it in a terminal. Until you unlock it, your tools get no tokens.",
}
BY_PASSPHRASE = frozenset({"passphrase_needed", "passphrase_wrong"})  # the window asks for it itself
FORGETFUL = Banner(
    "info",
    "Accounts are not saved",
    "This computer has no keychain, so the demo keeps its accounts in memory. They are lost when you quit.",
    None,
    "forgetful",
    "",
    None,
)


@dataclass(frozen=True, slots=True)
class _Trouble:
    code: ErrorCode
    message: str
    facts: Facts


class Keychain(QObject):
    """Whether the keychain works, for the window. It probes and asks off the GUI thread."""

    changed = Signal()
    said = Signal(str, bool)  # how a prompt ended; False: not well
    usable = Signal()  # after trouble it can be used again
    unlocked = Signal(bool)  # a prompt has been answered; False: in vain
    passphrase_asked = Signal()  # the window is to ask for it; `opened` or `declined` follows

    def __init__(self, vault: Vault, parent: QObject) -> None:
        super().__init__(parent)
        self._vault = vault
        self._trouble: _Trouble | None = None
        self._asking = False
        self._looks = 0  # only what the newest look found counts
        self.name = "your keychain"
        self.forgetful: Banner | None = None

    @property
    def in_trouble(self) -> bool:
        """Whether the last look found that it cannot be used."""
        return self._trouble is not None

    @property
    def code(self) -> ErrorCode | None:
        """The code of the KeychainError that the last look found; None if it works."""
        return self._trouble.code if self._trouble else None

    @property
    def error(self) -> KeyfobError | None:
        """The trouble; None while the keychain can be used."""
        trouble = self._trouble
        if trouble is None:
            return None
        return KeychainError(trouble.message, code=trouble.code, facts=trouble.facts)

    @property
    def banner(self) -> Banner | None:
        """What to show; None while the keychain can be used."""
        trouble = self._trouble
        if trouble is None:
            return None
        code = trouble.code
        title = _TITLES.get(code, "Your keychain cannot be used")
        if self._asking:
            return Banner("bad", title, WAITING, None, "keychain", code, None)
        text = _TEXTS.get(code) or filled(REMEDIES[code], trouble.facts)
        return Banner("bad", title, text, KEYCHAIN_BUTTONS.get(code, "Try again"), "keychain", code, None)

    # --- learning -------------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Write, read and delete something: whether all of it works."""
        self._looks += 1
        look = self._looks
        Operation(self, self._vault.probe, lambda health: self._probed(health, look)).start()

    def look(self) -> None:
        """Something may have changed. Reads only: a write could be what the desktop signals next."""
        if self._asking:
            return
        self._looks += 1
        look = self._looks
        Operation(self, lambda: self._vault.load("look"), lambda _: self._reads(look)).failing(
            lambda error: self._refuses(error, look)
        ).start()

    def look_again(self) -> None:
        """While there is trouble: whether it is over."""
        if self.in_trouble and not self._asking:
            self.probe()

    def heard(self, error: KeyfobError) -> None:
        """Somebody met trouble: the renewer, or a press."""
        self._become(_Trouble(error.code, error.message, error.facts))

    def well(self) -> None:
        """Somebody used it."""
        self._become(None)

    def _probed(self, health: VaultHealth, look: int) -> None:
        self.name = health.name or self.name
        self.forgetful = FORGETFUL if health.ok and not health.persistent else None
        if look != self._looks:
            return
        if health.ok:
            self._become(None)
        else:
            self._become(_Trouble(health.code or "keychain_refused", health.message, health.facts))
        self.changed.emit()

    def _reads(self, look: int) -> None:
        if look == self._looks and self.in_trouble:
            self.probe()

    def _refuses(self, error: KeyfobError, look: int) -> None:
        if look == self._looks:
            self.heard(error)

    def _become(self, trouble: _Trouble | None) -> None:
        before, self._trouble = self._trouble, trouble
        if before != trouble:
            self.changed.emit()
        if before is not None and trouble is None:
            self.usable.emit()

    # --- mending --------------------------------------------------------------------------------------------

    def unlock(self) -> None:
        """The system's prompt opens, or the window's for a passphrase. `unlocked` follows once it is
        answered.
        """
        if self._asking:
            return
        if self.code in BY_PASSPHRASE:
            self.passphrase_asked.emit()
            return
        self._asking = True
        gave_up = threading.Event()
        Operation(self, lambda: self._vault.unlock(PROMPT_TIME, gave_up), lambda _: self.opened()).failing(
            self._not_answered
        ).ending_by(gave_up.set).start()
        self.changed.emit()

    def declined(self) -> None:
        """The user has closed the window's prompt for the passphrase."""
        self.unlocked.emit(False)

    def opened(self) -> None:
        """The prompt has been answered well: what waited for it goes on."""
        self._asking = False
        self._looks += 1
        self._become(None)
        self.unlocked.emit(True)
        self.probe()

    def _not_answered(self, error: KeyfobError) -> None:
        self._asking = False
        if isinstance(error, KeychainError):
            self.heard(error)
        self.changed.emit()
        if error.code in BY_PASSPHRASE:
            self.passphrase_asked.emit()
            return
        self.said.emit(f"{error.message}.", False)
        self.unlocked.emit(False)
