"""Decides what follows from a renewal: what is saved, and whether the old token is returned, an error is
raised, or the account needs a sign-in.

The keeper calls it under the account's lock, after everything from the
provider is in the vault. It sends nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from keyfob.core.account import Intent, NeedsSignIn, Record
from keyfob.core.error_codes import Advice
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    PeerFault,
    SettingWrong,
    SignInNeeded,
    Transient,
)
from keyfob.core.grant import Grant
from keyfob.core.renewal import ends_at, waits
from keyfob.ports import Clock
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import Stored
from keyfob.service.accounts.intents import Intents
from keyfob.service.accounts.reading import GrantReader, GrantRequest
from keyfob.service.contexts import ContextBuilder

log = logging.getLogger(__name__)
# The provider refused the renewal over the app or the scopes. Some answer so for a grant that has ended.
REFUSALS = frozenset({"client_refused", "scope_refused"})


@dataclass(frozen=True, slots=True)
class Renewal:
    """One renewal in progress. `before` is open because an earlier answer was lost, and `sending` is what is
    sent now. `held`: the grant that it began with, and what the provider has given since, all in the vault;
    the newest last.
    """

    record: Record
    request: GrantRequest
    before: Intent | None
    sending: Intent
    held: list[Stored]

    @property
    def newest(self) -> Stored:
        """The grant that tokens come from now: the last one that was read or obtained."""
        return self.held[-1]

    @property
    def brought_a_grant(self) -> bool:
        """Whether the provider gave a new grant while this renewal ran."""
        return len(self.held) > 1

    @property
    def may_have_lost(self) -> bool:
        """Whether a token was spent for an answer that did not come. A service account spends none."""
        return not self.brought_a_grant and self.newest.grant.refresh is not None


class Judge:
    """Blocking and thread-safe."""

    def __init__(
        self,
        reader: GrantReader,
        intents: Intents,
        state: AccountState,
        contexts: ContextBuilder,
        now: Clock,
    ) -> None:
        self._reader = reader
        self._intents = intents
        self._state = state
        self._contexts = contexts
        self._now = now

    # --- before anything is sent ----------------------------------------------------------------------------

    def serve_or_raise(self, stored: Stored, request: GrantRequest, error: KeyfobError) -> Grant:
        """The old token serves while it lives, unless it was refused or the caller wants another."""
        if request.force or request.refuses(stored) or stored.grant.expired(self._now()):
            raise error
        return stored.grant

    def cannot_renew(self, record: Record, stored: Stored, request: GrantRequest) -> Grant:
        """No refresh token: what has not expired serves; what has expired or was refused needs the user."""
        title = record.account.id
        if stored.grant.expired(self._now()):
            return self._state.mark_ended(
                record,
                SignInNeeded(f"The token of {title} has expired and cannot be renewed", code="token_expired"),
            )
        if request.refuses(stored):
            # Noted, not believed: one program's word does not sign an account out for all others.
            error = SignInNeeded(
                f"The token of {title} was refused and cannot be renewed", code="token_rejected"
            )
            self._state.note_error(record, error)
            raise error
        return stored.grant

    def reason_to_wait(
        self, record: Record, stored: Stored, intent: Intent | None, request: GrantRequest
    ) -> KeyfobError | None:
        """Why nothing may be sent now; None if it may be."""
        now = self._now()
        waiting = self._reader.waiting(record)
        refused = request.refuses(stored)
        if intent is not None and not self._intents.may_repeat(
            intent, stored.grant, refused=refused, waiting=waiting
        ):
            ends = ends_at(stored.grant.obtained_at, stored.grant.expires_at)
            until = max(ends, record.retry_at or ends)
            return Transient(
                f"{self._title(record)} did not answer the last {intent.replays + 1} renewals, so Keyfob "
                "is waiting",
                code="answer_lost",
                until=until,
                retry_after=until - now,
            )
        # A user's own "Renew now" overrides our backoff, but not what the provider asked for.
        if record.asked_until is not None and waits(record.asked_until, now):
            return Transient(
                f"{self._title(record)} asked Keyfob to wait",
                code="asked_to_wait",
                until=record.asked_until,
                retry_after=record.asked_until - now,
                answered=True,
            )
        return self._last_failure(record) if waiting and not request.force else None

    def _last_failure(self, record: Record) -> KeyfobError:
        """The failure that is being waited out, raised again without asking the provider again."""
        assert record.retry_at is not None
        left = record.retry_at - self._now()
        note = record.last_error
        if note is None:
            return Transient("The last renewal failed", retry_after=left)
        error: KeyfobError
        match note.advice:
            case Advice.FIX_SETTING:
                error = SettingWrong(note.message, code=note.code)
            case Advice.UNLOCK_KEYCHAIN:
                error = KeychainError(note.message, code=note.code)
            case _:
                error = Transient(note.message, code=note.code, retry_after=left, answered=True)
        return error

    def _title(self, record: Record) -> str:
        try:
            return self._contexts.provider(record).title
        except KeyfobError:
            return record.account.provider

    def not_sent(self, renewal: Renewal, error: KeyfobError) -> Grant:
        """The request could not be prepared; nothing was sent."""
        if isinstance(error, SignInNeeded):
            return self._state.mark_ended(renewal.record, error)
        return self._fall_back(renewal, error)

    # --- afterwards -----------------------------------------------------------------------------------------

    def success(self, renewal: Renewal, renewed: Grant) -> Grant:
        """The answer was good. Raises Transient if its token has expired already."""
        self._state.apply_grant(renewal.record.account.key, renewed)
        if renewed.expired(self._now()):
            dead = Transient("The provider answered the renewal with an expired token", answered=True)
            self._state.record_failure(renewal.record, renewed, dead)
            raise dead
        return renewed

    def failure(self, renewal: Renewal, error: Exception) -> Grant:
        """The renewal raised `error`: the old token, or an error."""
        record = renewal.record
        match error:
            case SignInNeeded():
                return self._second_look(renewal, error)
            case Transient():
                self._note_kept(renewal)
                if renewal.may_have_lost and error.sent and not error.answered:
                    return self._fall_back(renewal, error, lost=renewal.sending)
                self._nothing_spent(renewal)
                return self._fall_back(renewal, error, refused=error.code == "request_refused")
            case PeerFault(code="response_invalid"):
                # Bad JSON says nothing against the old token, and may have held a new one.
                self._note_kept(renewal)
                lost = renewal.sending if renewal.may_have_lost else None
                return self._fall_back(renewal, error, lost=lost)
            case PeerFault():
                self._note_kept(renewal)
                self._nothing_spent(renewal)
                refused = not renewal.brought_a_grant
                changed = self._state.record_failure(record, renewal.newest.grant, error, refused=refused)
                self._given_up(changed)
                raise error
            case SettingWrong():
                self._nothing_spent(renewal)
                ends = record.grant_ends_at
                if error.code == "client_refused" and ends is not None and self._now() >= ends:
                    # The client that was registered for this account has
                    # ended (RFC 7591 §3.2.1); signing in makes another.
                    ended = SignInNeeded(
                        f"The app registration of {record.account.id} has ended", code="grant_ended"
                    )
                    return self._state.mark_ended(record, ended)
                self._note_kept(renewal)
                refused = error.code in REFUSALS and not renewal.brought_a_grant
                return self._fall_back(renewal, error, refused=refused)
            case KeyfobError():
                self._state.record_failure(record, renewal.newest.grant, error)
                raise error
        # A bug in Keyfob is no reason to sign anybody out: the account
        # is kept and backs off, and the bug is named.
        log.error("renewing %s failed", record.account.id, exc_info=error)
        fault = Fault(f"Renewing {record.account.id} failed: {type(error).__name__}")
        self._state.record_failure(record, renewal.newest.grant, fault)
        raise fault from error

    def _note_kept(self, renewal: Renewal) -> None:
        """A refused renewal may have stored a grant all the same: the account's row says so too."""
        if renewal.brought_a_grant:
            self._state.note_kept(renewal.record.account.key, renewal.newest.grant)

    def _nothing_spent(self, renewal: Renewal) -> None:
        """This request certainly used up nothing that is not saved: it never left, or was answered without a
        new grant. An answer that was lost before it is lost still.
        """
        if renewal.before is not None and not renewal.brought_a_grant:
            self._intents.write(renewal.before)
        else:
            self._intents.clear(renewal.record.account.key)

    def _fall_back(
        self, renewal: Renewal, error: KeyfobError, *, refused: bool = False, lost: Intent | None = None
    ) -> Grant:
        """The old token serves while it lives, unless it was refused. The last two are as in
        `AccountState.record_failure`.
        """
        changed = self._state.record_failure(
            renewal.record, renewal.newest.grant, error, refused=refused, lost=lost
        )
        if refused or (lost is not None and lost.replays):
            self._given_up(changed)
        return self.serve_or_raise(renewal.newest, renewal.request, error)

    @staticmethod
    def _given_up(record: Record | None) -> None:
        """Raises SignInNeeded if all that may help now is to sign in again."""
        if record is not None and isinstance(record.status, NeedsSignIn):
            error = record.status.error
            raise SignInNeeded(error.message, code=error.code, detail=error.detail)

    def _second_look(self, renewal: Renewal, error: SignInNeeded) -> Grant:
        """`invalid_grant`: somebody else may have renewed. Read again, wait, read again; only then is it the
        end.
        """
        record, sent = renewal.record, renewal.held[0].grant
        key = record.account.key
        if error.code == "disconnected":
            raise error
        for look in (self._reader.newest, self._reader.newest_later):
            newest = look(record)
            if newest.grant.generation > sent.generation:
                self._intents.clear(key)
                self._state.apply_grant(key, newest.grant)
                if not renewal.request.refuses(newest) and not newest.grant.expired(self._now()):
                    return newest.grant
                raise Transient(
                    f"{record.account.id} was renewed by another process in the meantime", code="busy"
                )
        self._intents.clear(key)
        return self._state.mark_ended(record, error)
