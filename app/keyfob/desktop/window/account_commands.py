"""Runs what a press on an account asks of the engine, off the GUI thread, and says in one sentence what came
of it.

One QObject on the GUI thread. One command at a time for each account: a
second press while one runs does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from PySide6.QtCore import QObject, Signal

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeyfobError
from keyfob.core.secret import Secret
from keyfob.desktop.shared import remedies, words
from keyfob.desktop.shared.clipboard import CLEARED_AFTER, SecretClipboard
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window.keychain import Keychain
from keyfob.desktop.window.names import name_of
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.views import Disconnection, TestResult, Token

COPIED_LIFE = timedelta(seconds=60)  # a token put on the clipboard is good for at least this


class AccountCommands(QObject):
    """Runs commands on accounts off the GUI thread, one for each account at a time."""

    said = Signal(str, bool)  # what came of a command; False: it failed
    failed = Signal(str)  # the account whose failure was said
    busy_changed = Signal()
    done = Signal()  # the account has changed, or may have: read it again

    def __init__(
        self, accounts: Accounts, keychain: Keychain, clock: Callable[[], datetime], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._accounts, self._keychain, self._clock = accounts, keychain, clock
        self._clipboard = SecretClipboard(self)
        self.busy: frozenset[str] = frozenset()  # keys of accounts with a command in progress

    def run(self, action: str, view: AccountView) -> None:
        """renew, test, copy, copy_name, disconnect, remove; `said` and `done` follow."""
        accounts, key = self._accounts, view.key
        name = name_of(view)
        match action:
            case "renew":
                self._do(key, lambda: accounts.renew(key), lambda _: self._renewed(name))
            case "test":
                self._do(key, lambda: accounts.test(key), self._tested)
            case "copy":
                self._do(key, lambda: accounts.token(key, min_life=COPIED_LIFE), self._copied)
            case "disconnect":
                self._do(
                    key, lambda: accounts.disconnect(key), lambda d: self._ended(d, view, "disconnected")
                )
            case "remove":
                self._do(key, lambda: accounts.remove(key), lambda d: self._ended(d, view, "removed"))
            case "copy_name":
                self.copy_plain(view.id, f"{view.id} copied.")

    def rename(
        self, key: str, label: str, done: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        """Give the account another label; `done`, or `failed` with the reason in a sentence."""

        def renamed(_view: AccountView) -> None:
            done()
            self.done.emit()

        def refused(error: KeyfobError) -> None:
            failed(remedies.sentence(error))

        Operation(self, lambda: self._accounts.rename(key, label), renamed).failing(refused).start()

    def _do(self, key: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        if key in self.busy:
            return
        self.busy |= {key}
        self.busy_changed.emit()

        def finished(result: object) -> None:
            self.busy -= {key}
            done(result)
            self.done.emit()

        def failed(error: KeyfobError) -> None:
            self.busy -= {key}
            text = remedies.sentence(error)
            if error.advice is Advice.UNLOCK_KEYCHAIN:
                # The banner says what to do. A press that changes nothing on it is answered all the same.
                text = f"{error.message}." if self._keychain.in_trouble else ""
                self._keychain.heard(error)
            self.busy_changed.emit()
            if text:
                self.failed.emit(key)
                self.said.emit(f"{text} ({time_words.clock_time(self._clock())})", False)
            self.done.emit()

        Operation(self, work, finished).failing(failed).start()

    def _renewed(self, name: str) -> None:
        self.said.emit(f"{name} is renewed.", True)

    def _tested(self, result: TestResult) -> None:
        if result.ok:
            who = f" as {result.name}" if result.name else ""
            self.said.emit(f"It works: signed in{who}, answered in {result.milliseconds} ms.", True)
        else:
            self.said.emit(f"The provider answered {result.status or 'nothing'} to the test.", False)

    def _copied(self, token: Token) -> None:
        self._clipboard.copy(token.token)
        self.said.emit(
            f"Token copied. Keyfob clears it from the clipboard after {CLEARED_AFTER} seconds.", True
        )

    def _ended(self, ended: Disconnection, view: AccountView, what: str) -> None:
        name, provider = name_of(view), view.provider_title
        self.said.emit(f"{name} is {what}. {words.revocation(ended, provider)}", True)

    # --- the clipboard --------------------------------------------------------------------------------------

    def copy_plain(self, text: str, said: str) -> None:
        """Copy what is not secret."""
        SecretClipboard.copy_plain(text)
        self.said.emit(said, True)

    def copy_secret(self, secret: Secret) -> None:
        """Copy a secret, or what carries one, such as a link with its state; it is cleared after a while."""
        self._clipboard.copy(secret)

    def close(self) -> None:
        """Remove Keyfob's token from the clipboard."""
        self._clipboard.clear()
