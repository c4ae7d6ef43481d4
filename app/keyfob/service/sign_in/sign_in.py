"""Signing in: prepares an attempt, runs the flow of its method, and saves the account.

A new account is saved, then shown, and "Not you?" undoes it. If Keyfob received a grant that it may not keep
(another subject, a cancelled dialog, a keychain that refuses), it revokes it at the provider.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from keyfob.core.account import AccountView, Record
from keyfob.core.errors import Fault, KeyfobError, PeerFault
from keyfob.ports import Spawn
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.commit import Commit
from keyfob.service.sign_in.give_back import GiveBack
from keyfob.service.sign_in.journal import Journal
from keyfob.service.sign_in.methods import Methods
from keyfob.service.sign_in.preparation import Preparation
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome
from keyfob.service.sign_in.trace import Traces

log = logging.getLogger(__name__)
T = TypeVar("T")
HandOverTo = Callable[[PreparedSignIn, SignInOutcome], AccountView]


class SignIn:
    """Blocking and thread-safe; any number of attempts at a time."""

    def __init__(
        self,
        preparation: Preparation,
        journal: Journal,
        methods: Methods,
        commit: Commit,
        give_back: GiveBack,
        accounts: Accounts,
        traces: Traces,
        describe: Callable[[Record], None] = lambda _record: None,
    ) -> None:
        """`describe` keeps in the vault what it takes to list an account again."""
        self._preparation = preparation
        self._journal = journal
        self._methods = methods
        self._commit = commit
        self._give_back = give_back
        self._accounts = accounts
        self._traces = traces
        self._describe = describe

    def begin(self, request: SignInRequest) -> Attempt:
        """Checks the request and makes an attempt; nothing is sent or opened yet. Raises NotFound, Usage,
        SettingWrong `method_not_offered`.
        """
        return self._preparation.begin(request)

    def run(self, attempt: Attempt, spawn: Spawn, hand_over: HandOverTo | None = None) -> AccountView:
        """Sign in, once for each attempt. Blocks until the account is connected; raises a KeyfobError if it
        is not. `spawn` hosts the callback listener on a thread of the face's kind. For some minutes after
        this it still answers a browser that comes late; `Listeners.close` ends it. `hand_over` keeps the
        account elsewhere and returns it: nothing is saved here. What it raises revokes the sign-in.
        """
        try:
            with self._traces.watching(attempt):
                view = self._perform(attempt, spawn, hand_over)
        except KeyfobError as error:
            attempt.fail(error)
            raise
        except Exception as bug:
            log.exception("a sign-in failed")
            fault = Fault(f"Signing in failed: {type(bug).__name__}")
            attempt.fail(fault)
            raise fault from bug
        attempt.succeed(view)
        return view

    def undo(self, attempt: Attempt) -> None:
        """Undo, for "Not you?": revokes what this sign-in brought, and removes the account it made. An
        account that was there before is disconnected. Raises what Accounts.remove raises.
        """
        progress = attempt.progress
        if progress.account is None:
            return
        if progress.reconnected or progress.recognised:
            self._accounts.disconnect(progress.account.key)
        else:
            self._accounts.remove(progress.account.key)

    def interrupted(self) -> list[str]:
        """The providers of sign-ins that a closed or crashed Keyfob left unfinished, each reported once.
        Raises KeychainError.
        """
        return self._journal.interrupted()

    def view(self, key: str) -> AccountView:
        """The account with this key. Raises NotFound."""
        return self._accounts.view(key)

    def keep(self, ready: PreparedSignIn, outcome: SignInOutcome) -> AccountView:
        """Save what another computer's sign-in brought, as `run` would. Raises as `Commit.save`: what is to
        be revoked then is the other computer's.
        """
        with self._journal.entry(ready):
            try:
                self._commit.check_writable(ready.account_key)
                record, _ = self._save(ready, outcome)
            except BaseException:
                self._give_back.give_back(ready, revoke=False)
                raise
        return self.view(record.account.key)

    def _perform(self, attempt: Attempt, spawn: Spawn, hand_over: HandOverTo | None) -> AccountView:
        ready = self._preparation.prepare(attempt, spawn)
        with self._journal.entry(ready):
            if hand_over is not None:
                view, recognised = self._sign_in(ready, hand_over, here=False), False
            else:
                record, recognised = self._sign_in(ready, self._save, here=True)
                view = self.view(record.account.key)
        attempt.advance(
            stage="done",
            account=view,
            reconnected=ready.record is not None,
            recognised=recognised,
            narrower=view.narrower_scopes,
        )
        return view

    def _sign_in(
        self, ready: PreparedSignIn, keep: Callable[[PreparedSignIn, SignInOutcome], T], *, here: bool
    ) -> T:
        outcome: SignInOutcome | None = None
        try:
            if here:
                # A keychain that refuses is reported before the user goes to the browser, not after.
                self._commit.check_writable(ready.account_key)
            outcome = self._methods.sign_in(ready)
            return keep(ready, outcome)
        except BaseException as error:
            # Who breaks the protocol is not spoken to again, not even to
            # give something back. Bad JSON is not an attack.
            broken = isinstance(error, PeerFault) and error.code != "response_invalid"
            self._give_back.give_back(ready, revoke=outcome is not None or not broken)
            raise

    def _save(self, ready: PreparedSignIn, outcome: SignInOutcome) -> tuple[Record, bool]:
        record, recognised = self._commit.save(ready, outcome)
        self._describe(record)
        return record, recognised
