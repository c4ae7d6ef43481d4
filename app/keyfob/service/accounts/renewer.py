"""The renewer: finds accounts that are due and renews them, independently of each other.

The window's timer or the agent's loop calls `tick()`, and again after the time that it returned. They also
call it when the machine resumes, the network is back or the keychain was unlocked.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from keyfob.core.account import Connected, Disconnected, Record, Stale
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.methods import holds_key
from keyfob.core.renewal import LOOK_AGAIN, waits
from keyfob.core.transitions import KeychainUnlocked, after
from keyfob.ports import AccountStore, Clock
from keyfob.service.accounts.disconnecting import Disconnector
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.schedule import Schedule
from keyfob.service.events import EventBus

log = logging.getLogger(__name__)

# Enough that a slow provider delays no other account, few enough that a
# thousand accounts are not a thousand threads.
IN_FLIGHT_MOST = 24
IN_FLIGHT_PER_PROVIDER = 6
SOON = timedelta(milliseconds=250)  # when a place was taken: look again as soon as one may be free
ASLEEP = timedelta(seconds=120)  # a gap between looks no timer explains: the machine was suspended
KEY_REMINDER = timedelta(days=7)

Submit = Callable[[Callable[[], None]], None]


class Renewer:
    """`tick` is called from one thread at a time; jobs run wherever `submit` puts them."""

    def __init__(
        self,
        keeper: Keeper,
        schedule: Schedule,
        disconnector: Disconnector,
        store: AccountStore,
        events: EventBus,
        clock: Clock,
        submit: Submit,
    ) -> None:
        self._keeper = keeper
        self._schedule = schedule
        self._disconnector = disconnector
        self._store = store
        self._events = events
        self._clock = clock
        self._submit = submit
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running: dict[str, str] = {}  # job -> provider's host
        self._paused: dict[str, datetime] = {}  # host -> not before, from its own Retry-After
        self._looked_at: datetime | None = None
        # Whether this process is the user's one renewer; asked at each tick, so that it can take over.
        self.allowed: Callable[[], bool] = lambda: True
        # Called from any thread when a job has changed when the next
        # look is due; a face without events sets it.
        self.sooner: Callable[[], None] = lambda: None
        # What is done once in each home, as a separate job; a KeychainError has it done at a later tick.
        self.first: Callable[[], None] = lambda: None
        self._first_done = False

    def tick(self) -> timedelta:
        """Start what is due; the span until the next look, at most 37 s. Blocks for store reads only."""
        if not self.allowed():
            return LOOK_AGAIN
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > ASLEEP:
            self._keeper.state.slept = now - self._looked_at
        self._looked_at = now
        wait = LOOK_AGAIN
        for record in self._store.records():
            when = self._when(record, now)
            if when is None:
                continue
            if when <= now:
                started = self._start(record, now)
                wait = min(wait, LOOK_AGAIN if started else SOON)
            else:
                wait = min(wait, when - now)
        for pending in self._store.revocations():
            if not pending.held and not waits(pending.retry_at, now):
                self._launch(f"revoke:{pending.entry}", "", lambda p=pending: self._disconnector.settle(p))  # type: ignore[misc]
        if not self._first_done:
            self._launch("first", "", self._do_first)
        return max(wait, SOON)

    def keychain_back(self) -> None:
        """The keychain was unlocked: what had to wait for it is due at the next look, and no backoff holds it
        up.
        """
        self._events.keychain(None)
        unlocked = KeychainUnlocked()
        for record in self._store.records():
            if after(record, unlocked) != record:
                self._store.update(record.account.key, partial(after, event=unlocked))

    def _note_keychain(self, key: str, error: KeyfobError) -> None:
        """A renewal was due and the keychain refused: reported once, and saved with the account."""
        record = self._store.get(key)
        known = record.last_error.code if record is not None and record.last_error else None
        if record is not None and not record.cleanup and known != error.code:
            self._keeper.state.note_error(record, error)
        self._events.keychain(error)

    def busy(self) -> bool:
        """Whether a renewal is in progress in this process. Thread-safe."""
        with self._lock:
            return bool(self._running)

    def settled(self, timeout: timedelta) -> bool:
        """Waits until no job runs, at most `timeout`: a renewal that has begun is never cut. True if none
        does.
        """
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout.total_seconds())

    def _do_first(self) -> None:
        try:
            self.first()
        except KeychainError as error:
            log.info("the keychain is asked again later: %s", error.code)
            return
        self._first_done = True

    def _when(self, record: Record, now: datetime) -> datetime | None:
        if record.cleanup:
            return now
        if isinstance(record.status, Disconnected):
            return None
        self._remind(record, now)
        return self._schedule.due(record, now)

    def _start(self, record: Record, now: datetime) -> bool:
        host = _host(record)
        if waits(self._paused.get(host), now) and not record.cleanup:
            return True
        return self._launch(f"account:{record.account.key}", host, lambda: self._serve(record, host))

    def _serve(self, record: Record, host: str) -> None:
        key = record.account.key
        try:
            if record.cleanup:
                self._disconnector.clean_up(key)
            else:
                self._keeper.grant(key, min_life=timedelta(0), due_only=True)
            self._events.keychain(None)
        except KeyfobError as error:
            log.info("%s: %s", record.account.id, error.code)
            if error.advice is Advice.UNLOCK_KEYCHAIN:
                self._note_keychain(key, error)
            if error.retry_after is not None and error.code == "rate_limited":
                self._paused[host] = self._clock() + error.retry_after
        finally:
            self._plan_anew(key)

    def _plan_anew(self, key: str) -> None:
        """What the last look returned did not know how this job would end. Not for an account that is still
        due, such as with a locked keychain: that one has its turn at the next look.
        """
        now = self._clock()
        record = self._store.get(key)
        when = self._when(record, now) if record is not None else None
        if when is None or when > now:
            self.sooner()

    def _launch(self, job: str, host: str, work: Callable[[], None]) -> bool:
        """False if there is no place for it now; True if it runs, was running already or has just begun."""
        with self._lock:
            if job in self._running:
                return True
            same = sum(1 for other in self._running.values() if other == host)
            if len(self._running) >= IN_FLIGHT_MOST or same >= IN_FLIGHT_PER_PROVIDER:
                return False
            self._running[job] = host

        def run() -> None:
            try:
                work()
            except Exception:
                log.exception("a job of the renewer failed")
            finally:
                with self._idle:
                    self._running.pop(job, None)
                    self._idle.notify_all()

        self._submit(run)
        return True

    def _remind(self, record: Record, now: datetime) -> None:
        """Once, a week before a key that cannot renew itself ends."""
        ends = record.expires_at if holds_key(record.account.method) else record.grant_ends_at
        if (
            ends is None
            or not now < ends <= now + KEY_REMINDER
            or not isinstance(record.status, Connected | Stale)
        ):
            return
        mark = f"reminded/{record.account.key}"
        stamp = ends.isoformat()
        if (
            self._store.read(mark) != stamp
            and record.connected_at
            and ends - record.connected_at > KEY_REMINDER
        ):
            self._store.write(mark, stamp)
            what = "The key" if holds_key(record.account.method) else "The sign-in"
            days = max((ends - now).days, 1)
            self._events.publish(
                record, "key_expiring", f"{what} ends in {days} day{'s' if days > 1 else ''}"
            )


def _host(record: Record) -> str:
    server = record.account.pin.server
    return urlsplit(server.endpoints.token_endpoint or server.issuer or "").netloc or record.account.provider
