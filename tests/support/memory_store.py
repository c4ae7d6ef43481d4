"""An account store and locks in memory, for unit tests of the services. They pass the same contract suites as
the real ones, for one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta

from keyfob.core.account import Intent, LoggedEvent, PendingRevocation, Record
from keyfob.core.errors import SignInEnded, Transient, Usage
from keyfob.ports import HISTORY_MOST, Unread


class Memory:
    """What the parts share. `writes` counts transactions that changed something."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self.writes = 0
        self.unreadable: list[Unread] = []  # what a test says cannot be read


class MemoryRecords(Memory):
    """ports.AccountRecords."""

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, Record] = {}

    def records(self) -> Sequence[Record]:
        with self._guard:
            return sorted(self._records.values(), key=lambda r: (r.account.provider, r.account.label.lower()))

    def unread(self) -> Sequence[Unread]:
        return [*self.unreadable]

    def refresh(self, key: str) -> None:
        """Nothing is kept beside the records."""

    def restore(self, record: Record) -> None:
        self.put(record)

    def get(self, key: str) -> Record | None:
        with self._guard:
            return self._records.get(key)

    def put(self, record: Record) -> None:
        account = record.account
        with self._guard:
            for other in self._records.values():
                same = (other.account.provider, other.account.label.lower()) == (
                    account.provider,
                    account.label.lower(),
                )
                if same and other.account.key != account.key:
                    raise Usage(f"There is already an account {account.id}", code="label_taken")
            self._records[account.key] = record
            self.writes += 1

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        with self._guard:
            record = self._records.get(key)
            if record is None:
                return None
            changed = change(record)
            if changed is None:
                return record
            if changed.account.key != key:
                raise ValueError("an account's key never changes")
            self.put(changed)
            return changed

    def remove(self, key: str) -> None:
        with self._guard:
            self._records.pop(key, None)
            self.writes += 1


class MemoryJournal(Memory):
    """ports.Journal."""

    def __init__(self) -> None:
        super().__init__()
        self._intents: dict[str, Intent] = {}
        self._revocations: dict[str, PendingRevocation] = {}

    def intent(self, key: str) -> Intent | None:
        with self._guard:
            return self._intents.get(key)

    def put_intent(self, intent: Intent) -> None:
        with self._guard:
            self._intents[intent.key] = intent
            self.writes += 1

    def clear_intent(self, key: str) -> None:
        with self._guard:
            self._intents.pop(key, None)
            self.writes += 1

    def intents(self) -> Sequence[Intent]:
        with self._guard:
            return [self._intents[key] for key in sorted(self._intents)]

    def revocations(self) -> Sequence[PendingRevocation]:
        with self._guard:
            return [self._revocations[entry] for entry in sorted(self._revocations)]

    def put_revocation(self, pending: PendingRevocation) -> None:
        with self._guard:
            self._revocations[pending.entry] = pending
            self.writes += 1

    def remove_revocation(self, entry: str) -> None:
        with self._guard:
            self._revocations.pop(entry, None)
            self.writes += 1


class MemoryHistory(Memory):
    """ports.History."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[LoggedEvent] = []
        self._seq = 0

    def log(self, event: LoggedEvent) -> LoggedEvent:
        if event.at.tzinfo is None:
            raise ValueError("a time without a zone")
        with self._guard:
            self._seq += 1
            logged = replace(event, seq=self._seq)
            self._events.append(logged)
            del self._events[:-HISTORY_MOST]
            self.writes += 1
            return logged

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        with self._guard:
            found = [e for e in self._events if e.seq > after and account_key in (None, e.account_key)]
            return found[max(len(found) - max(limit, 0), 0) :]


class MemoryNamedValues(Memory):
    """ports.NamedValues."""

    def __init__(self) -> None:
        super().__init__()
        self._named: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        with self._guard:
            return self._named.get(name)

    def write(self, name: str, value: str | None) -> None:
        with self._guard:
            if value is None:
                self._named.pop(name, None)
            else:
                self._named[name] = value
            self.writes += 1

    def names(self, prefix: str) -> Sequence[str]:
        with self._guard:
            return sorted(name for name in self._named if name.startswith(prefix))


class MemoryAccountStore(MemoryRecords, MemoryJournal, MemoryHistory, MemoryNamedValues):
    """ports.AccountStore."""

    def remove(self, key: str) -> None:
        with self._guard:
            super().remove(key)
            self._intents.pop(key, None)

    def close(self) -> None:
        pass

    def data_version(self) -> int:
        return self.writes

    def check(self) -> str | None:
        return None


class MemoryLocks:
    """ports.Locks within one process."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def hold(
        self, name: str, *, timeout: timedelta, cancel: threading.Event | None = None
    ) -> AbstractContextManager[None]:
        return self._hold(name, timeout.total_seconds(), cancel)

    @contextmanager
    def _hold(self, name: str, timeout: float, cancel: threading.Event | None) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        end = time.monotonic() + timeout
        while True:
            if cancel is not None and cancel.is_set():
                raise SignInEnded("Cancelled while waiting", code="cancelled")
            left = end - time.monotonic()
            if lock.acquire(timeout=max(min(0.01, left), 0)):
                break
            if left <= 0:
                raise Transient("Another program is working on this", code="busy", sent=False)
        try:
            yield
        finally:
            lock.release()

    def held(self, name: str) -> bool:
        with self._guard:
            lock = self._locks.get(name)
        return lock is not None and lock.locked()

    def retire(self, name: str) -> None:
        with self._guard:
            self._locks.pop(name, None)
