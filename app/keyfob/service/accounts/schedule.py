"""When an account is due: for its next renewal, its next try after a failure, or its cleanup."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keyfob.core.account import Disconnected, NeedsSignIn, Record, still_tried
from keyfob.core.renewal import ends_at, jitter_of, may_repeat, planned, predates, waits
from keyfob.core.settings import Settings
from keyfob.ports import Journal


class Schedule:
    """Thread-safe. Reads the store and the settings, and changes
    nothing. Times are aware datetimes in UTC.
    """

    def __init__(self, journal: Journal, settings: Callable[[], Settings]) -> None:
        self._journal = journal
        self._settings = settings

    def due(self, record: Record, now: datetime) -> datetime | None:
        """When the keeper should look at this account next; None if it never needs to."""
        wanted = self.wanted(record, now)
        return record.retry_at if wanted is not None and backing_off(record, now) else wanted

    def wanted(self, record: Record, now: datetime) -> datetime | None:
        """As `due`, as if no renewal had failed."""
        if record.cleanup or isinstance(record.status, Disconnected):
            return None
        if isinstance(record.status, NeedsSignIn) and not still_tried(record.status):
            return None
        if predates(record.obtained_at, now) and record.renewable:
            return now
        intent = self._journal.intent(record.account.key)
        if intent is not None and record.obtained_at is not None:
            ends = ends_at(record.obtained_at, record.expires_at)
            alive = now < ends
            return now if may_repeat(intent.replays, now - intent.at, alive=alive, waiting=False) else ends
        if intent is not None:
            return now
        return self.planned(record) if record.renewable else record.expires_at

    def planned(self, record: Record) -> datetime | None:
        """When this account is renewed next if all goes well: by the margin
        as it is set now, not as it was set when the token came.
        """
        if not record.renewable or record.obtained_at is None or record.renews_at is None:
            return None
        margin = self._settings().margin
        return planned(record.obtained_at, record.expires_at, margin, jitter_of(record.account.key))


def backing_off(record: Record, now: datetime) -> bool:
    """Whether the account waits for its next try, since its last renewal failed."""
    return record.failures > 0 and waits(record.retry_at, now)
