"""Times and durations in words, for every face. Pure: `now` and every time are arguments, aware. Clock times
are in `zone` (None: the computer's).
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def span(length: timedelta) -> str:
    """`42 minutes`, `1 hour 5 minutes`, `3 days`: for sentences. Never negative."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 60:
        return _count(seconds, "second")
    minutes = seconds // 60
    if minutes < 60:
        return _count(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    if hours < 10 and rest:
        return f"{_count(hours, 'hour')} {_count(rest, 'minute')}"
    if hours < 48:
        return _count(hours, "hour")
    return _count(hours // 24, "day")


def short_span(length: timedelta) -> str:
    """`42 min`, `7 h`, `12 d`: for a list."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} d"


def countdown(length: timedelta) -> str:
    """`4 min 12 s`: for a wait that the user watches."""
    seconds = max(int(length.total_seconds()), 0)
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def clock_time(at: datetime, zone: tzinfo | None = None) -> str:
    """`14:02`."""
    return at.astimezone(zone).strftime("%H:%M")


def day(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`today`, `yesterday`, `Tuesday` within a week, else `12 March`, with its year if it is another."""
    then, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    distance = (today - then).days
    if distance == 0:
        return "today"
    if distance == 1:
        return "yesterday"
    if distance == -1:
        return "tomorrow"
    if 1 < distance < 7:
        return _DAYS[then.weekday()]
    text = f"{then.day} {_MONTHS[then.month - 1]}"
    return text if then.year == today.year else f"{text} {then.year}"


def date(at: datetime, zone: tzinfo | None = None) -> str:
    """`12 March 2026`: a day that is waited for."""
    then = at.astimezone(zone).date()
    return f"{then.day} {_MONTHS[then.month - 1]} {then.year}"


def moment(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`14:02` on the same day, else `Tuesday 14:02`, `12 March 14:02`; beyond a year's end only the date."""
    where = day(at, now, zone)
    if where == "today":
        return clock_time(at, zone)
    if abs((at - now).days) > 300:
        return where
    return f"{where} {clock_time(at, zone)}"


def short_moment(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """For a narrow column: `14:02`, `Tue 14:02`, `12 Mar`."""
    where = day(at, now, zone)
    if where == "today":
        return clock_time(at, zone)
    then = at.astimezone(zone)
    if where == "yesterday" or where in _DAYS:
        return f"{_DAYS[then.weekday()][:3]} {clock_time(at, zone)}"
    return f"{then.day} {_MONTHS[then.month - 1][:3]}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
