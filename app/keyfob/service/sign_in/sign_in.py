"""Signing in: prepares an attempt, runs the flow of its method, and saves the account.

A new account is saved, then shown, and "Not you?" undoes it. If Keyfob received a grant that it may not keep
(another subject, a cancelled dialog, a keychain that refuses), it revokes it at the provider.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

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

    def run(self, attempt: Attempt, spawn: Spawn) -> AccountView:
        """Sign in, once for each attempt. Blocks until the account is connected; raises a KeyfobError if it
        is not. `spawn` hosts the callback listener on a thread of the face's kind. For some minutes after
        this it still answers a browser that comes late; `Listeners.close` ends it.
        """
        try:
            with self._traces.watching(attempt):
                view = self._perform(attempt, spawn)
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

    def _perform(self, attempt: Attempt, spawn: Spawn) -> AccountView:
        ready = self._preparation.prepare(attempt, spawn)
        with self._journal.entry(ready):
            record, recognised = self._sign_in(ready)
        view = self._accounts.view(record.account.key)
        attempt.advance(
            stage="done",
            account=view,
            reconnected=ready.record is not None,
            recognised=recognised,
            narrower=view.narrower_scopes,
        )
        return view

    def _sign_in(self, ready: PreparedSignIn) -> tuple[Record, bool]:
        outcome: SignInOutcome | None = None
        try:
            # A keychain that refuses is reported before the user goes to the browser, not after.
            self._commit.check_writable(ready.account_key)
            outcome = self._methods.sign_in(ready)
            record, recognised = self._commit.save(ready, outcome)
            self._describe(record)
        except BaseException as error:
            # Who breaks the protocol is not spoken to again, not even to
            # give something back. Bad JSON is not an attack.
            broken = isinstance(error, PeerFault) and error.code != "response_invalid"
            self._give_back.give_back(ready, revoke=outcome is not None or not broken)
            raise
        return record, recognised
