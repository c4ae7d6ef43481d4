"""An account's last days, as lines to read and as points on a strip. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from keyfob.core import time_words

if TYPE_CHECKING:
    from keyfob.core.account import LoggedEvent

DAYS = 3  # how far back the strip looks
MOST_LINES = 6

_WORDS = {
    "connected": "Connected",
    "reconnected": "Signed in again",
    "renewed": "Renewed",
    "disconnected": "Disconnected",
    "revoked": "Revoked at the provider",
    "revocation_pending": "Revocation not confirmed yet. Keyfob keeps trying.",
    "revocation_failed": "Not revoked at the provider. End access in your settings there.",
    "removed": "Removed",
}
_TONES = {
    "connected": "accent",
    "reconnected": "accent",
    "renewed": "ok",
    "renewal_failed": "warn",
    "needs_sign_in": "bad",
    "key_expiring": "warn",
    "revocation_failed": "warn",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the history lists it."""

    when: str
    text: str
    tone: str
    tooltip: str


@dataclass(frozen=True, slots=True)
class Point:
    """One event on the strip of days."""

    place: float  # 0: three days ago, 1: now
    tone: str


@dataclass(frozen=True, slots=True)
class Day:
    """The beginning of a day on the strip."""

    place: float  # as a point's
    name: str


def days(now: datetime, zone: tzinfo | None = None) -> tuple[Day, ...]:
    """The midnights on the strip, oldest first."""
    start, midnight = (
        now - timedelta(days=DAYS),
        now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0),
    )
    out = []
    for back in range(DAYS):
        # Each midnight by the calendar: a day may have 23 or 25 hours.
        at = (
            (midnight.replace(tzinfo=None) - timedelta(days=back)).replace(tzinfo=zone).astimezone(now.tzinfo)
        )
        if at > start:
            out.append(Day((at - start) / timedelta(days=DAYS), time_words.day(at, now, zone).capitalize()))
    return tuple(reversed(out))


def lines(events: Sequence[LoggedEvent], now: datetime, zone: tzinfo | None = None) -> tuple[Line, ...]:
    """Newest first. A run of equal renewals or equal failures is one line that counts them."""
    runs: list[list[LoggedEvent]] = []
    for event in sorted(events, key=lambda e: (e.at, e.seq), reverse=True):
        folds = event.kind in ("renewed", "renewal_failed", "revoked")
        if runs and folds and runs[-1][0].kind == event.kind and text_of(runs[-1][0]) == text_of(event):
            runs[-1].append(event)
        else:
            runs.append([event])
    out = []
    for run in runs[:MOST_LINES]:
        text, newest = text_of(run[0]), run[0]
        if len(run) > 1 and newest.kind != "revoked":  # one disconnect, a token at a time
            text = f"{text}, {len(run)} times since {time_words.short_moment(run[-1].at, now, zone)}"
        tooltip = f"{time_words.moment(newest.at, now, zone)}: {newest.message or text}"
        out.append(Line(time_words.short_moment(newest.at, now, zone), text, tone_of(newest), tooltip))
    return tuple(out)


def points(events: Sequence[LoggedEvent], now: datetime) -> tuple[Point, ...]:
    """Where on the strip something happened in the last days, oldest first."""
    start = now - timedelta(days=DAYS)
    return tuple(
        Point((e.at - start) / timedelta(days=DAYS), tone_of(e))
        for e in sorted(events, key=lambda e: e.at)
        if start <= e.at <= now
    )


def text_of(event: LoggedEvent) -> str:
    """The event in words for the user."""
    return _WORDS.get(event.kind) or event.message or event.kind.replace("_", " ").capitalize()


def tone_of(event: LoggedEvent) -> str:
    """The colour of the event, by its name in the palette."""
    return _TONES.get(event.kind, "ink2")
