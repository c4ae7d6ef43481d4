"""The history: implements `ports.History`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from keyfob.adapters.store import codec
from keyfob.adapters.store.database import Tables
from keyfob.core.account import LoggedEvent
from keyfob.core.error_codes import code_or_none
from keyfob.core.words import LOGGED_KINDS, known
from keyfob.ports import HISTORY_MOST

_COLUMNS = "SELECT at, account_id, account_key, kind, message, code, seq FROM events WHERE "
_EVENTS = _COLUMNS + "seq > :after ORDER BY seq DESC LIMIT :limit"
EVENTS_OF_ACCOUNT = _COLUMNS + "account_key = :key AND seq > :after ORDER BY seq DESC LIMIT :limit"


class EventTable(Tables):
    """The history: the last events of all accounts. Raises Fault. Thread-safe."""

    def log(self, event: LoggedEvent) -> LoggedEvent:
        """Add the event and drop the oldest ones beyond the limit. Returns it with its number."""
        at = codec.time_out(event.at)
        with self.database.writing() as connection:
            seq = connection.execute(
                "INSERT INTO events (at, account_id, account_key, kind, message, code) VALUES (?, ?, ?, ?, "
                "?, ?)",
                (at, event.account_id, event.account_key, event.kind, event.message, event.code),
            ).lastrowid
            assert seq is not None
            connection.execute("DELETE FROM events WHERE seq <= ?", (seq - HISTORY_MOST,))
        return LoggedEvent(
            at=event.at,
            account_id=event.account_id,
            account_key=event.account_key,
            kind=event.kind,
            message=event.message,
            code=event.code,
            seq=seq,
        )

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        """The newest `limit` events after number `after`, oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(
                _EVENTS if account_key is None else EVENTS_OF_ACCOUNT,
                {"after": after, "key": account_key, "limit": max(limit, 0)},
            ).fetchall()
        rows.reverse()
        return [event_of(at, *row[1:]) for row in rows for at in codec.readable(codec.time_in, [row])]


def event_of(
    at: datetime, account_id: str, account_key: str, kind: str, message: str, code: str | None, seq: int
) -> LoggedEvent:
    """A stored line. Another version's kind becomes `other` and its code is left out; its message stays."""
    word = known(LOGGED_KINDS, kind) or "other"
    return LoggedEvent(at, account_id, account_key, word, message, code_or_none(code), seq)
