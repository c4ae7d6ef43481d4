"""The keeper: returns an account's grant, renews it if needed, and never loses one.

Its promises, each quoted by a test:

(1) One renewal an account at a time, across threads and processes: everything happens under the account's
    lock, and who gets the lock reads the vault again before anything else.
(2) `rejected=` names the refused token, so thirty callers with one 401 cost one renewal.
(3) Cancellable until the request leaves, never after.
(4) Saved before returned: the new grant is in the vault, read back, before anybody sees it.
(5) No refresh token in the answer keeps the old one.
(6) Only the grant's true end ends it: `invalid_grant`, an error that asks for the person, or the preset's own
    word for it, read twice.
(7) A changed subject is refused: its access token is dropped, the rotated refresh token is kept.

The order around one renewal is: lock, read, check that the vault can be written, write the intent, send once,
save, clear the intent, and only then check the answer. If an intent is open and nobody holds the lock, an
answer may have been lost. If the vault has a newer generation, that one is used. Otherwise the keeper sends
the same refresh token again, at once, because many servers allow that for some seconds
(`core.renewal.may_repeat` says when it may be sent again after that). One case remains that no client can
prevent: a server without such a grace period, and an answer that never arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

from keyfob.core.account import Disconnected, Intent, Record
from keyfob.core.errors import KeychainError, KeyfobError, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.secret import Secret
from keyfob.ports import Locks
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import Stored, lock_name
from keyfob.service.accounts.intents import Intents, is_of
from keyfob.service.accounts.judge import Judge, Renewal
from keyfob.service.accounts.reading import GrantReader, GrantRequest
from keyfob.service.accounts.saving import Saving
from keyfob.service.accounts.token_endpoint import TokenEndpoint
from keyfob.service.runner import pause

LOCK_WAIT = timedelta(seconds=45)  # longer than one renewal's deadline of 30 s with its saving
# While another process holds a new grant: it saves within a second of the keychain's being usable again.
SAVED_WITHIN, SAVED_LOOK = 5.0, 0.2  # seconds


class Keeper:
    """Blocking and thread-safe. One a process; any number of processes may share a home."""

    def __init__(
        self,
        locks: Locks,
        reader: GrantReader,
        intents: Intents,
        endpoint: TokenEndpoint,
        saving: Saving,
        judge: Judge,
        state: AccountState,
    ) -> None:
        self._locks = locks
        self._reader = reader
        self._intents = intents
        self._endpoint = endpoint
        self.saving = saving
        self._judge = judge
        self.state = state
        self._in_progress = 0
        self._idle = threading.Condition()

    def settled(self, timeout: timedelta) -> bool:
        """Waits until no renewal is in progress in this process, at most `timeout`. True if none is."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._in_progress, timeout.total_seconds())

    def grant(
        self,
        key: str,
        *,
        min_life: timedelta | None,
        rejected: Secret | None = None,
        force: bool = False,
        due_only: bool = False,
        cancel: threading.Event | None = None,
    ) -> Grant:
        """The account's grant with an access token that has not expired.

        Renews first where less than `min_life` is left, where `rejected` is the current access token, or with
        `force`; at most once. `due_only` is the renewer's: like `force`, unless the account turns out, under
        the lock, not to be due any more. A token that has not expired is served even if the provider gives no
        more than `min_life`; None means the usual minute, or 20 % of a lifetime too short for that. Raises
        SignInNeeded, KeychainError, Transient, PeerFault, SettingWrong, NotFound. The grant's secrets are the
        caller's to pass on and not to keep.
        """
        request = GrantRequest(min_life, rejected, force or due_only)
        record = self._reader.record(key, force=request.force)
        try:
            return self._valid_grant(record, request, due_only=due_only, cancel=cancel)
        except KeyfobError as error:
            error.facts = {"account": record.account.id, **error.facts}
            raise

    def _valid_grant(
        self, record: Record, request: GrantRequest, *, due_only: bool, cancel: threading.Event | None
    ) -> Grant:
        key = record.account.key
        unsaved = self.saving.waiting(key)
        if unsaved is not None:
            # The keychain cannot be read either, and a new token is returned only once it is saved.
            error, old = unsaved
            return self._judge.serve_or_raise(old, request, error)
        stored = self._reader.newest(record)
        served = not request.force and self._reader.serves(stored, request)
        if served and not self._recovers(record, stored):
            return stored.grant
        if not stored.grant.renewable or not METHOD_FACTS[record.account.method].renewable:
            return self._judge.cannot_renew(record, stored, request)
        if not served:
            self._wait_for_saver(key)
        with ExitStack() as stack:
            try:
                wait = timedelta(0) if served else LOCK_WAIT
                stack.enter_context(self._locks.hold(lock_name(key), timeout=wait, cancel=cancel))
            except Transient:
                if served:
                    return stored.grant  # somebody is renewing it, and this token still lives
                raise
            stack.enter_context(self._counted())
            self.state.events.notify(record, "renewing")
            try:
                if due_only and not self._reader.still_due(key):
                    return self._reader.newest(self._reader.record(key, force=True)).grant
                return self._under_lock(key, stored, request)
            finally:
                self.state.events.notify(record, "idle")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A renewal in progress. It begins before the vault is read, so that a vault which is closed for
        reading sees no later one begin.
        """
        with self._idle:
            self._in_progress += 1
        try:
            yield
        finally:
            with self._idle:
                self._in_progress -= 1
                self._idle.notify_all()

    def kept(self, record: Record) -> Grant:
        """The account's newest grant as the vault holds it, whatever the account's status. Raises
        KeychainError, SignInNeeded `grant_missing`.
        """
        return self._reader.newest(record).grant

    def end_refused(self, record: Record, refused: Secret, error: SignInNeeded) -> None:
        """The provider refused the access token `refused` in Keyfob's own test, and it cannot be renewed: the
        account needs its user, and `error` is raised. Nothing is deleted. If the account has another token by
        now, or was disconnected, nothing happens. Raises Transient `busy`, KeychainError, NotFound.
        """
        key = record.account.key
        with self._locks.hold(lock_name(key), timeout=LOCK_WAIT):
            now = self._reader.listed(key)
            if not isinstance(now.status, Disconnected) and self.kept(now).access == refused:
                self.state.mark_ended(now, error)

    def _wait_for_saver(self, key: str) -> None:
        for _ in range(round(SAVED_WITHIN / SAVED_LOOK)):
            if not self.saving.elsewhere(key) or self._intents.open(key) is None:
                return
            pause(timedelta(seconds=SAVED_LOOK), None)

    def _recovers(self, record: Record, stored: Stored) -> bool:
        """Whether an answer may have been lost that is worth asking for again now, though the token still
        lives. While somebody renews, the lock is held and the intent is theirs.
        """
        key = record.account.key
        intent = self._intents.open(key)
        if intent is None or self._locks.held(lock_name(key)) or self._reader.waiting(record):
            return False
        return self._intents.may_repeat(intent, stored.grant, refused=False, waiting=False)

    # --- under the lock -------------------------------------------------------------------------------------

    def _under_lock(self, key: str, seen: Stored, request: GrantRequest) -> Grant:
        record = self._reader.record(key, force=request.force)
        stored = self._reader.newest(record)
        if stored.grant.generation < record.generation:
            # A keychain that answers with what it held before (a sync, a service that is starting) may do
            # better in a moment. The older refresh token may be a used one, and is sent only if there is no
            # other.
            stored = self._reader.newest_later(record)
        overtaken = stored.grant.generation != seen.grant.generation
        intent = self._intents.open(key)
        if intent is not None and not is_of(intent, stored.grant):
            # Saved after all, before the crash: the newer generation is the truth.
            self._intents.clear(key)
            intent = None
            overtaken = True
        if overtaken or record.generation != stored.grant.generation:
            record = self.state.apply_grant(key, stored.grant)
        # Who waited for somebody else's renewal takes its result:
        # another could give no more life than that one.
        enough = replace(request, min_life=timedelta(0)) if overtaken else request
        if intent is None and (not request.force or overtaken) and self._reader.serves(stored, enough):
            return stored.grant
        if not stored.grant.renewable:
            return self._judge.cannot_renew(record, stored, request)
        if intent is not None and self.saving.elsewhere(key):
            # What the vault holds is used up, and its new refresh token is on its way there.
            unsaved = KeychainError(
                f"A new token of {record.account.id} waits in another process for the keychain",
                code="keychain_locked",
            )
            return self._judge.serve_or_raise(stored, request, unsaved)
        reason = self._judge.reason_to_wait(record, stored, intent, request)
        if reason is not None:
            return self._judge.serve_or_raise(stored, request, reason)
        return self._renew(record, stored, intent, request)

    def _renew(self, record: Record, stored: Stored, before: Intent | None, request: GrantRequest) -> Grant:
        """Prove the vault writable, write the intent, send once, keep what comes, and only then judge it."""
        key, grant = record.account.key, stored.grant
        renewal = Renewal(record, request, before, self._intents.next(key, grant, before), [stored])
        try:
            context = self._endpoint.context(record, grant)
            self.saving.check_writable(key)
            self._intents.write(renewal.sending)
        except KeyfobError as error:
            return self._judge.not_sent(renewal, error)

        def keep(new: Grant) -> None:
            slot = self.saving.keep(record, new, renewal.newest)
            renewal.held.append(Stored(new, slot))

        try:
            renewed = self._endpoint.renew(context, record, grant, keep)
        except Exception as error:
            return self._judge.failure(renewal, error)
        return self._judge.success(renewal, renewed)
