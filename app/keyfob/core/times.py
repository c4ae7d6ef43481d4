"""Times as Keyfob stores them: aware datetimes in UTC, whole seconds in files, RFC 3339 with a `Z`."""

from __future__ import annotations

from datetime import UTC, datetime


def to_rfc3339(at: datetime | None) -> str | None:
    """`2026-11-20T18:00:00Z`, or None for None. Naive datetimes are a bug and raise ValueError."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_rfc3339(text: str | None) -> datetime | None:
    """The inverse; None for None or an empty string. Raises ValueError
    for anything else that is not a time.
    """
    if not text:
        return None
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC)


def from_epoch(seconds: float) -> datetime:
    """The moment in UTC. Raises OverflowError, OSError or ValueError for one that a date cannot hold."""
    return datetime.fromtimestamp(seconds, UTC)
