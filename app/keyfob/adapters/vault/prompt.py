"""For a command that a user runs in a terminal: if the keychain is locked, opens the system's prompt, and
continues the call when the user has answered.

A command's vault is wrapped in this if `can_ask()`: there is a terminal to say so, and a screen for the
prompt. If the user closes the prompt, the same command does not ask again. Never for the app or the agent,
whose renewals must not open prompts. The app has a button for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from keyfob.adapters.vault.deadline import PROMPT_DEADLINE
from keyfob.core.errors import KeychainError
from keyfob.process.terminal import ASKABLE

if TYPE_CHECKING:
    from keyfob.core.secret import Secret
    from keyfob.ports import Vault, VaultHealth

T = TypeVar("T")

_WORDS = {
    "keychain_locked": "Unlock your keychain in the window that opened",
    "keychain_withheld": "Allow Keyfob to use its entries in the window that opened",
    "keychain_not_set_up": "Choose a password for your keychain in the window that opened",
}


class AskingVault:
    """A `ports.Vault` over one that does not prompt. Thread-safe where `inner` is; `say` takes the one line
    that tells the user what to do.
    """

    def __init__(self, inner: Vault, say: Callable[[str], None], seconds: float = PROMPT_DEADLINE) -> None:
        self._inner = inner
        self._say = say
        self._seconds = seconds
        self._lock = threading.Lock()
        self._gave_up = threading.Event()
        self._refused: Exception | None = None

    def load(self, name: str) -> Secret | None:
        """The inner vault's value; asks the user to unlock it first if that helps."""
        return self._asking(lambda: self._inner.load(name))

    def save(self, name: str, value: Secret) -> None:
        """Save in the inner vault; asks the user to unlock it first if that helps."""
        self._asking(lambda: self._inner.save(name, value))

    def delete(self, name: str) -> None:
        """Delete in the inner vault; asks the user to unlock it first if that helps."""
        self._asking(lambda: self._inner.delete(name))

    def names(self) -> Sequence[str] | None:
        """All entries in the inner vault; asks the user to unlock it first if that helps."""
        return self._asking(self._inner.names)

    def probe(self) -> VaultHealth:
        """The inner vault's health, after the user was asked to unlock it if that helps."""
        health = self._inner.probe()
        if health.code not in ASKABLE:
            return health
        try:
            self.ask(health.code)
        except Exception:  # the health says what is the matter
            return health
        return self._inner.probe()

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """Unlock the inner vault. It asks by itself, so nothing is asked here."""
        self._inner.unlock(timeout, cancel)

    def ask(self, code: str) -> None:
        """Ask the user, of whom `code` says what is wanted. Raises what `unlock` raises, and that again at
        once after the first refusal.
        """
        with self._lock:
            if self._refused is not None:
                raise self._refused
            self._say(f"{_WORDS[code]} (waiting up to {self._seconds:.0f} s) …")
            try:
                self._inner.unlock(self._seconds, self._gave_up)
            except Exception as error:
                self._refused = error
                raise

    def give_up(self) -> None:
        """Wait for no prompt any more, now and later: the user wants the command to end. Any thread."""
        self._gave_up.set()

    def close(self) -> None:
        """Close the inner vault, if it can be closed."""
        closing = getattr(self._inner, "close", None)
        if closing is not None:
            closing()

    def _asking(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except KeychainError as error:
            if error.code not in ASKABLE:
                raise
            self.ask(error.code)
        return call()
