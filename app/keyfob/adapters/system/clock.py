"""The wall clock: the only place that asks the system for the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time, aware, in UTC. It may jump: expiry is checked by it, spans within a process are not."""
    return datetime.now(UTC)
