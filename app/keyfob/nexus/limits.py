"""What the API says of the requests that are left: its `x-rl-*` headers.

The names are those of NexusMods.App's ResponseMetadata. The times come in two shapes, both seen in recorded
answers: `2019-10-02T16:00:00+00:00` and `2019-10-03 00:00:00 +0000`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from keyfob.nexus.models import Limits


def limits_of(headers: Mapping[str, str], before: Limits) -> Limits:
    """The limits that an answer names, or those from `before` if it names none. `headers` finds lower-case
    names.
    """
    if not any(
        f"x-rl-{span}-{what}" in headers for span in ("hourly", "daily") for what in ("remaining", "limit")
    ):
        return before
    return Limits(
        hourly_left=_number(headers.get("x-rl-hourly-remaining")),
        hourly_limit=_number(headers.get("x-rl-hourly-limit")),
        hourly_resets_at=moment(headers.get("x-rl-hourly-reset")),
        daily_left=_number(headers.get("x-rl-daily-remaining")),
        daily_limit=_number(headers.get("x-rl-daily-limit")),
        daily_resets_at=moment(headers.get("x-rl-daily-reset")),
    )


def moment(text: str | None) -> datetime | None:
    """A time in one of the shapes that the API uses, in UTC. None for anything else."""
    if not text or len(text) > 40:
        return None
    try:
        # `datetime` takes no space before the zone.
        found = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d{2}:?\d{2}\Z)", "", text.strip()))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text.strip()) else None
