"""What is written in batches: when keys were last used, how often, and what was refused.

A request never waits for a write. What is in memory is written every 30 seconds, and at `flush`. If the
process is killed, that much of the trail is lost. That a key was created or revoked is written at once.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import insert, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.gateway.auth.tables import ApiKey, AuditEvent, close_database

_log = logging.getLogger("keyfob.gateway.auth")
EVERY = 30.0  # seconds between two writes
WAITING_MOST = 10_000  # different things that wait to be written; a flood of more is counted as one

_Event = tuple[str, str | None, str | None, str | None, str | None]  # kind, key, user, tenant, detail


class Uses:
    """Collects in memory, and writes on a thread of its own. Thread-safe."""

    def __init__(self, sessions: sessionmaker[Session], *, owned: bool = False) -> None:
        """`owned`: `close` closes the database too."""
        self._owned = owned
        self._sessions = sessions
        self._lock = threading.Lock()
        self._events: Counter[_Event] = Counter()
        self._last: dict[str, datetime] = {}
        self._timer: threading.Timer | None = None

    def used(self, key_id: str, user_id: str | None, tenant_id: str | None) -> None:
        """A request was let in by this key."""
        self._add(("used", key_id, user_id, tenant_id, None), key_id)

    def refused(
        self,
        reason: str,
        *,
        key_id: str | None = None,
        user_id: str | None = None,
        tenant_id: str | None = None,
    ) -> None:
        """A caller was refused. `reason` is a fixed word, never text of the caller's."""
        self._add(("refused", key_id, user_id, tenant_id, reason), None)

    def _add(self, event: _Event, key_id: str | None) -> None:
        with self._lock:
            if event not in self._events and len(self._events) >= WAITING_MOST:
                event = (event[0], None, None, None, "many")
            self._events[event] += 1
            if key_id is not None:
                self._last[key_id] = datetime.now(UTC)
            if self._timer is None:
                self._timer = threading.Timer(EVERY, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Writes what waits. Blocks."""
        self.flush()
        if self._owned:
            close_database(self._sessions)

    def flush(self) -> None:
        """Writes what waits. Blocks. A database that fails keeps it waiting."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            events, self._events = self._events, Counter()
            last, self._last = self._last, {}
        if not events:
            return
        now = datetime.now(UTC)
        rows = [
            {
                "at": now,
                "kind": kind,
                "key_id": key_id,
                "user_id": user_id,
                "tenant_id": tenant_id,
                "count": count,
                "detail": detail,
            }
            for (kind, key_id, user_id, tenant_id, detail), count in events.items()
        ]
        try:
            with self._sessions.begin() as session:
                session.execute(insert(AuditEvent), rows)
                if last:
                    session.execute(
                        update(ApiKey), [{"key_id": key, "last_used_at": at} for key, at in last.items()]
                    )
        except SQLAlchemyError as error:
            _log.warning("The audit trail cannot be written now (%s)", type(error).__name__)
            with self._lock:
                self._events.update(events)
                self._last = last | self._last
