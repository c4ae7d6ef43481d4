"""The Keeper: hands out an account's grant, renewed where it must be, and never loses one.

Its promises, each quoted by a test:

(1) One renewal an account at a time, across threads and processes: everything happens under the account's lock,
    and who gets the lock reads the vault again before anything else.
(2) `rejected=` names the refused token, so thirty callers with one 401 cost one renewal.
(3) Cancellable until the request leaves, never after.
(4) Saved before returned: the new grant is in the vault, read back, before anybody sees it.
(5) No refresh token in the answer keeps the old one.
(6) Only the grant's true end ends it: `invalid_grant` or the preset's own word for it, read twice.
(7) A changed subject is refused: its access token is dropped, the rotated refresh token is kept.

The order around one renewal is: lock, read, prove the vault writable, write the intent, send once, save, clear the
intent, and only then judge the answer. An intent that is open while nobody holds the lock says that an answer may have
been lost: if the vault holds a newer generation, that is taken; else the same refresh token is sent once more, at
once, since many servers allow that for some seconds (`core.renewal.may_repeat` says when it may be sent again after
that). What no client can prevent is a server without such grace whose answer never arrived.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta

from keyfob.core.account import (
    Disconnected,
    Intent,
    NeedsSignIn,
    Record,
    still_tried,
)
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInNeeded,
    Transient,
)
from keyfob.core.grant import Grant
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.renewal import ends_at, jitter_of, may_repeat, planned, predates, serves, waits
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.ports import AccountStore, Locks
from keyfob.protocol.oauth import token
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import GrantStore, Stored, lock_name
from keyfob.service.accounts.revocations import Revocations, report
from keyfob.service.accounts.saving import Saving
from keyfob.service.contexts import ContextBuilder, Signing
from keyfob.service.events import EventBus
from keyfob.service.runner import EffectHandlers, Runner, pause

log = logging.getLogger(__name__)

LOCK_WAIT = timedelta(seconds=45)  # longer than one renewal's deadline of 30 s with its saving
# After `invalid_grant`: another program without our lock (a second machine's sync, a restored home) may have won
# and be about to save. Between 1 and 2 s covers a keychain's slowest write seen.
SECOND_LOOK = timedelta(seconds=1.5)
# While another process holds a new grant: it saves within a second of the keychain's being usable again.
SAVED_WITHIN, SAVED_LOOK = 5.0, 0.2  # seconds


class Keeper:
    """Blocking and thread-safe. One a process; any number of processes may share a home.

    More than seven collaborators would each be passed through to the same few lines, so they are all here:
    the vault's grants, the store, the locks, the plans, the runner, revocations, the events, settings and signing.
    """

    def __init__(
        self,
        grants: GrantStore,
        store: AccountStore,
        locks: Locks,
        plans: ContextBuilder,
        runner: Runner,
        revocations: Revocations,
        events: EventBus,
        settings: Callable[[], Settings],
        signing: Signing,
        *,
        save_for: timedelta | None = None,
    ) -> None:
        """`save_for`: how long to go on trying to save a received grant; None means for as long as it takes."""
        self._grants = grants
        self._store = store
        self._locks = locks
        self._plans = plans
        self._runner = runner
        self._revocations = revocations
        self._events = events
        self._settings = settings
        self._signing = signing
        self._state = AccountState(store, events, settings, signing)
        self.saving = Saving(grants, locks, events, self._state, signing, save_for)

    @property
    def state(self) -> AccountState:
        return self._state

    # --- asking ---------------------------------------------------------------------------------------------

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
        `force`; at most once. `due_only` is the renewer's: like `force`, unless the account turns out, under the
        lock, not to be due any more. A token that has not expired is served even where the provider gives no more than
        `min_life`; None means the usual minute, or 20 % of a lifetime too short for that. Raises SignInNeeded, KeychainError, Transient, PeerFault, SettingWrong, NotFound.
        The grant's secrets are the caller's to pass on and not to keep.
        """
        force = force or due_only
        record = self._record(key, force)
        unsaved = self.saving.waiting(key)
        if unsaved is not None:
            # The keychain cannot be read either, and a new token is handed out only once it is saved.
            error, old = unsaved
            return self._serve_or_raise(old, rejected, force, error)
        stored = self._look(record)
        served = not force and self._serves(stored, min_life, rejected)
        if served and not self._recovers(record, stored):
            return stored.grant
        if stored.grant.refresh is None or not METHOD_FACTS[record.account.method].renewable:
            return self._cannot_renew(record, stored, rejected)
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
            self._events.notify(record, "renewing")
            try:
                if due_only and not self._still_due(key):
                    return self._look(self._record(key, force)).grant
                return self._under_lock(key, stored, min_life, rejected, force)
            finally:
                self._events.notify(record, "idle")

    def _wait_for_saver(self, key: str) -> None:
        for _ in range(round(SAVED_WITHIN / SAVED_LOOK)):
            if not self.saving.elsewhere(key) or self._store.intent(key) is None:
                return
            pause(timedelta(seconds=SAVED_LOOK), None)

    def due(self, record: Record, now: datetime) -> datetime | None:
        """When this account next wants the keeper, None where it never does by itself."""
        if record.cleanup or isinstance(record.status, Disconnected):
            return None
        if isinstance(record.status, NeedsSignIn) and not still_tried(record.status):
            return None
        if record.failures and waits(record.retry_at, now):
            return record.retry_at
        if predates(record.obtained_at, now) and record.renewable:
            return now
        intent = self._store.intent(record.account.key)
        if intent is not None and record.obtained_at is not None:
            ends = ends_at(record.obtained_at, record.expires_at)
            return (
                now if may_repeat(intent.replays, now - intent.at, alive=now < ends, waiting=False) else ends
            )
        if intent is not None:
            return now
        if not record.renewable:
            return record.expires_at
        return self.planned(record)

    def planned(self, record: Record) -> datetime | None:
        """When this account is renewed next if all goes well: by the margin as it is set now, not as it was set when
        the token came."""
        if not record.renewable or record.obtained_at is None or record.renews_at is None:
            return None
        margin = self._settings().margin
        return planned(record.obtained_at, record.expires_at, margin, jitter_of(record.account.key))

    def _still_due(self, key: str) -> bool:
        now = self._signing.now()
        when = self.due(self._record(key, True), now)
        return when is not None and when <= now

    # --- under the lock -------------------------------------------------------------------------------------

    def _under_lock(
        self, key: str, seen: Stored, min_life: timedelta | None, rejected: Secret | None, force: bool
    ) -> Grant:
        record = self._record(key, force)
        stored = self._look(record)
        if stored.grant.generation < record.generation:
            # A keychain that answers with what it held before (a sync, a service that is starting) may do better in a
            # moment. The older refresh token may be a spent one, and is sent only where there is no other.
            pause(SECOND_LOOK, None)
            stored = self._look(record)
        overtaken = stored.grant.generation != seen.grant.generation
        intent = self._store.intent(key)
        if intent is not None and not _is_of(intent, stored.grant):
            # Saved after all, before the crash: the newer generation is the truth.
            self._store.clear_intent(key)
            intent = None
            overtaken = True
        if overtaken or record.generation != stored.grant.generation:
            record = self._state.apply_grant(key, stored.grant)
        # Who waited for somebody else's renewal takes its result: another could give no more life than that one.
        enough = timedelta(0) if overtaken else min_life
        if intent is None and (not force or overtaken) and self._serves(stored, enough, rejected):
            return stored.grant
        if stored.grant.refresh is None:
            return self._cannot_renew(record, stored, rejected)
        if intent is not None and self.saving.elsewhere(key):
            # What the vault holds is spent, and its new refresh token is on its way there.
            unsaved = KeychainError(
                f"A new token of {record.account.id} waits in another process for the keychain",
                code="keychain_locked",
            )
            return self._serve_or_raise(stored, rejected, force, unsaved)
        now = self._signing.now()
        waiting = record.failures > 0 and waits(record.retry_at, now)
        if intent is not None and not self._may_repeat(intent, stored, rejected, waiting=waiting):
            return self._serve_or_raise(stored, rejected, force, self._unanswered(record, intent, stored))
        # A person's own "Renew now" overrides our backoff, but not what the provider asked for.
        if waits(record.asked_until, now):
            return self._serve_or_raise(stored, rejected, force, self._asked_to_wait(record, now))
        if waiting and not force:
            return self._serve_or_raise(stored, rejected, force, self._remembered(record, now))
        return self._renew(record, stored, intent, rejected, force)

    def _renew(
        self, record: Record, stored: Stored, intent: Intent | None, rejected: Secret | None, force: bool
    ) -> Grant:
        key, grant = record.account.key, stored.grant
        assert grant.refresh is not None
        sending = Intent(
            key=key,
            generation=grant.generation,
            refresh_hash=grant.refresh.fingerprint(),
            at=intent.at if intent else self._signing.now(),
            replays=intent.replays + 1 if intent else 0,
        )
        try:
            plan = self._plans.for_account(record, grant)
            self._grants.check_writable(key)
            self._store.put_intent(sending)
        except SignInNeeded as error:
            return self._state.mark_ended(record, error)
        except KeyfobError as error:
            return self._fall_back(record, stored, rejected, force, error)
        flow = token.renew(plan, grant, subject=record.account.subject, env=self._signing.env)
        held = [stored]  # the newest last

        def keep(new: Grant) -> None:
            held.append(Stored(new, self._keep(record, new, held[-1])))

        try:
            renewed = self._runner.run(flow, EffectHandlers(keep=keep))
        except SignInNeeded as error:
            return self._second_look(record, stored, rejected, error)
        except Transient as error:
            left = self._left(key, held)
            if len(held) == 1 and error.sent and not error.answered:
                return self._fall_back(record, left, rejected, force, error, lost=sending)
            self._not_spent(key, intent, held)
            refused = error.code == "request_refused"
            return self._fall_back(record, left, rejected, force, error, refused=refused)
        except PeerFault as error:
            left = self._left(key, held)
            if error.code == "response_invalid":
                # Bad JSON says nothing against the old token, and may have held a new one.
                lost = sending if len(held) == 1 else None
                return self._fall_back(record, left, rejected, force, error, lost=lost)
            self._not_spent(key, intent, held)
            self._given_up(self._state.record_failure(record, left.grant, error, refused=len(held) == 1))
            raise
        except SettingWrong as error:
            self._not_spent(key, intent, held)
            ends = record.grant_ends_at
            if error.code == "client_refused" and ends is not None and self._signing.now() >= ends:
                # The client that was registered for this account has ended (RFC 7591 §3.2.1); signing in makes another.
                ended = SignInNeeded(
                    f"The app registration of {record.account.id} has ended", code="grant_ended"
                )
                return self._state.mark_ended(record, ended)
            return self._fall_back(record, self._left(key, held), rejected, force, error)
        except KeyfobError as error:
            self._state.record_failure(record, grant, error)
            raise
        except Exception as bug:
            # A bug of ours is no reason to sign anybody out: kept, backed off, and told as what it is.
            log.exception("renewing %s failed", record.account.id)
            fault = Fault(f"Renewing {record.account.id} failed: {type(bug).__name__}")
            self._state.record_failure(record, held[-1].grant, fault)
            raise fault from bug
        self._state.apply_grant(key, renewed)
        if renewed.expired(self._signing.now()):
            dead = Transient("The provider answered the renewal with an expired token", answered=True)
            self._state.record_failure(record, renewed, dead)
            raise dead
        return renewed

    def _not_spent(self, key: str, before: Intent | None, held: list[Stored]) -> None:
        """This request certainly spent nothing that is not kept: it never left, or was answered without a new grant. An
        answer that was lost before it is lost still."""
        if before is not None and len(held) == 1:
            self._store.put_intent(before)
        else:
            self._store.clear_intent(key)

    def _left(self, key: str, held: list[Stored]) -> Stored:
        """What a refused renewal leaves: the newest grant that it stored, noted in the account's row too."""
        if len(held) > 1:
            self._state.note_kept(key, held[-1].grant)
        return held[-1]

    def _keep(self, record: Record, grant: Grant, before: Stored) -> str:
        """Store what the provider gave; returns its slot only when it is stored. Saved before anything else is looked
        at: were the account disconnected meanwhile, nobody can read the slots before we let go of the lock."""
        key = record.account.key
        slot = self.saving.save(record, grant, before)
        # An intent that stays because the disk is full is told from a lost answer by the newer generation.
        self._state.quietly(lambda: self._store.clear_intent(key))
        current = self._store.get(key)
        if current is None or current.epoch != record.epoch:
            # Disconnected while the answer was on its way: revoked, not left standing. Queued before it is forgotten,
            # so that a keychain which refuses leaves it where the account's cleanup finds it.
            tells = self._revocations.can_revoke(record)
            pending = self._revocations.queue(record, grant) if tells else None
            self._grants.forget(key)
            if pending is not None:
                report(self._events, record, [self._revocations.settle(pending)])
            raise SignInNeeded(f"{record.account.id} was disconnected in the meantime", code="disconnected")
        return slot

    def save_in_turn(self, record: Record, grant: Grant, beside: str) -> None:
        """For a process that stands by (`Saving.stand_by`): save `grant` unless whoever received it has done so. `record`
        is the account's at that time. Raises Transient `busy` while that one is still at it, KeychainError while the
        vault cannot be used, SignInNeeded `disconnected` when the account was disconnected: then it is revoked."""
        key = record.account.key
        with self._locks.hold(lock_name(key), timeout=timedelta(0)):
            held = self._grants.newest_or_none(key)
            if held is None or held.grant.generation < grant.generation:
                self._grants.check_writable(key)
                self._keep(record, grant, held or Stored(grant, beside))
                self._state.note_saved_late(key, grant)

    # --- what may come of it ----------------------------------------------------------------------------------

    def _fall_back(
        self,
        record: Record,
        stored: Stored,
        rejected: Secret | None,
        force: bool,
        error: KeyfobError,
        *,
        refused: bool = False,
        lost: Intent | None = None,
    ) -> Grant:
        """A renewal that did not come about: the old token serves while it lives, unless it was refused. The last two
        are as in `AccountState.failed`."""
        changed = self._state.record_failure(record, stored.grant, error, refused=refused, lost=lost)
        if refused or (lost is not None and lost.replays):
            self._given_up(changed)
        return self._serve_or_raise(stored, rejected, force, error)

    @staticmethod
    def _given_up(record: Record | None) -> None:
        """Raises SignInNeeded where all that may help now is to sign in again."""
        if record is not None and isinstance(record.status, NeedsSignIn):
            error = record.status.error
            raise SignInNeeded(error.message, code=error.code, detail=error.detail)

    def _serve_or_raise(
        self, stored: Stored, rejected: Secret | None, force: bool, error: KeyfobError
    ) -> Grant:
        refused = rejected is not None and rejected == stored.grant.access
        if force or refused or stored.grant.expired(self._signing.now()):
            raise error
        return stored.grant

    def _second_look(
        self, record: Record, stored: Stored, rejected: Secret | None, error: SignInNeeded
    ) -> Grant:
        """`invalid_grant`: somebody else may have renewed. Read again, wait, read again; only then is it the end."""
        key = record.account.key
        if error.code == "disconnected":
            raise error
        for wait in (timedelta(0), SECOND_LOOK):
            pause(wait, None)
            newest = self._look(record)
            if newest.grant.generation > stored.grant.generation:
                self._store.clear_intent(key)
                self._state.apply_grant(key, newest.grant)
                refused = rejected is not None and rejected == newest.grant.access
                if not refused and not newest.grant.expired(self._signing.now()):
                    return newest.grant
                raise Transient(
                    f"{record.account.id} was renewed by another process in the meantime", code="busy"
                )
        self._store.clear_intent(key)
        return self._state.mark_ended(record, error)

    def _cannot_renew(self, record: Record, stored: Stored, rejected: Secret | None) -> Grant:
        """No refresh token: what has not expired serves; what has expired or was refused needs the person."""
        title = record.account.id
        if stored.grant.expired(self._signing.now()):
            return self._state.mark_ended(
                record,
                SignInNeeded(f"The token of {title} has expired and cannot be renewed", code="token_expired"),
            )
        if rejected is not None and rejected == stored.grant.access:
            # Told, not believed: one program's word does not sign an account out for all others.
            error = SignInNeeded(
                f"The token of {title} was refused and cannot be renewed", code="token_rejected"
            )
            self._state.note_error(record, error)
            raise error
        return stored.grant

    # --- reading --------------------------------------------------------------------------------------------

    def _record(self, key: str, force: bool) -> Record:
        record = self._store.get(key)
        if record is None:
            raise NotFound("This account does not exist")
        match record.status:
            case Disconnected():
                raise SignInNeeded(f"{record.account.id} is disconnected", code="disconnected")
            case NeedsSignIn() if still_tried(record.status) and (
                force or not waits(record.retry_at, self._signing.now())
            ):
                return record
            case NeedsSignIn(error=error):
                return self._mended(record, error.code, error.message)
        return record

    def _mended(self, record: Record, code: str, message: str) -> Record:
        """An account that needs signing in, unless the vault holds a newer grant than the one that ended."""
        try:
            stored = self._grants.newest(record.account.key)
        except KeychainError:
            stored = None  # a locked keychain changes nothing about a grant that has ended
        newer = stored is not None and (
            stored.grant.generation > record.generation
            or (code == "grant_missing" and record.obtained_at is not None)
            # A clock that was ahead for a while said so, and nobody else.
            or (code == "token_expired" and not stored.grant.expired(self._signing.now()))
        )
        if stored is None or not newer:
            raise SignInNeeded(message, code=code)
        return self._state.apply_grant(record.account.key, stored.grant)

    def _look(self, record: Record) -> Stored:
        try:
            stored = self._grants.newest(record.account.key)
        except KeychainError as error:
            if error.code != "entry_damaged":
                raise
            self._state.mark_ended(record, SignInNeeded(error.message, code="grant_missing"))
            raise
        if stored is None:
            missing = SignInNeeded(f"The keychain has no token of {record.account.id}", code="grant_missing")
            self._state.mark_ended(record, missing)
            raise missing
        return stored

    def _serves(self, stored: Stored, min_life: timedelta | None, rejected: Secret | None) -> bool:
        refused = rejected is not None and rejected == stored.grant.access
        if stored.grant.refresh is not None and predates(stored.grant.obtained_at, self._signing.now()):
            # Noted by a clock that was ahead: the end it tells cannot be trusted, and may be years away.
            return False
        return not refused and serves(stored.grant, self._signing.now(), min_life)

    def _recovers(self, record: Record, stored: Stored) -> bool:
        """Whether an answer may have been lost that is worth asking for again now, though the token still lives. While
        somebody renews, the lock is held and the intent is theirs."""
        key = record.account.key
        intent = self._store.intent(key)
        if intent is None or self._locks.held(lock_name(key)):
            return False
        waiting = record.failures > 0 and waits(record.retry_at, self._signing.now())
        return not waiting and self._may_repeat(intent, stored, None, waiting=waiting)

    def _may_repeat(self, intent: Intent, stored: Stored, rejected: Secret | None, *, waiting: bool) -> bool:
        grant = stored.grant
        refused = rejected is not None and rejected == grant.access
        alive = not refused and self._signing.now() < ends_at(grant.obtained_at, grant.expires_at)
        age = self._signing.now() - intent.at
        return may_repeat(intent.replays, age, alive=alive, waiting=waiting)

    def _unanswered(self, record: Record, intent: Intent, stored: Stored) -> KeyfobError:
        ends = ends_at(stored.grant.obtained_at, stored.grant.expires_at)
        until = max(ends, record.retry_at or ends)
        return Transient(
            f"{self._title(record)} did not answer the last {intent.replays + 1} renewals, so Keyfob is waiting",
            code="answer_lost",
            until=until,
            retry_after=until - self._signing.now(),
        )

    def _asked_to_wait(self, record: Record, now: datetime) -> KeyfobError:
        assert record.asked_until is not None
        return Transient(
            f"{self._title(record)} asked Keyfob to wait",
            code="asked_to_wait",
            until=record.asked_until,
            retry_after=record.asked_until - now,
            answered=True,
        )

    def _title(self, record: Record) -> str:
        try:
            return self._plans.provider(record).title
        except KeyfobError:
            return record.account.provider

    def _remembered(self, record: Record, now: datetime) -> KeyfobError:
        """The failure that is being waited out, told again without asking the provider again."""
        assert record.retry_at is not None
        note = record.last_error
        if note is None:
            return Transient("The last renewal failed", retry_after=record.retry_at - now)
        error: KeyfobError
        match note.advice:
            case "fix_setting":
                error = SettingWrong(note.message, code=note.code)
            case "unlock_keychain":
                error = KeychainError(note.message, code=note.code)
            case _:
                error = Transient(
                    note.message, code=note.code, retry_after=record.retry_at - now, answered=True
                )
        return error


def _is_of(intent: Intent, grant: Grant) -> bool:
    return (
        grant.refresh is not None
        and intent.generation == grant.generation
        and intent.refresh_hash == grant.refresh.fingerprint()
    )
