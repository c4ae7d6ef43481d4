"""Texts of the page Programs. Pure: `now` and every time are arguments. Clock times are in `zone` (None: the
computer's).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta, tzinfo

from keyfob.core import time_words
from keyfob.gateway.grants import READING

DAY = timedelta(days=1)
ANYWHERE = "Any path of its API"
_PATH = re.compile(r"/?[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def used(last_at: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """`Used 2 min ago`, `Used at 05:10`, `Used on Thursday`."""
    if last_at is None:
        return "Not used yet"
    ago = now - last_at
    if ago < timedelta(minutes=1):
        return "Used just now"
    if ago < timedelta(hours=1):
        return f"Used {time_words.short_span(ago)} ago"
    where = time_words.day(last_at, now, zone)
    if where == "today":
        return f"Used at {time_words.clock_time(last_at, zone)}"
    if where == "yesterday":
        return "Used yesterday"
    return f"Used on {where if where.endswith('day') else time_words.short_moment(last_at, now, zone)}"


def methods(allowed: Sequence[str]) -> str:
    """`Read only`, `Read and write`, or the methods by name."""
    if not allowed:
        return "Read and write"
    if set(allowed) == set(READING):
        return "Read only"
    return ", ".join(allowed)


def shown_path(pattern: str) -> str:
    """`/repos/acme/**` as it is said: everything under `/repos/acme`."""
    return pattern.removesuffix("/**") or "/"


def limit(paths: Sequence[str]) -> str:
    """`Only /repos/acme`."""
    if not paths:
        return ANYWHERE
    more = len(paths) - 1
    return f"Only {shown_path(paths[0])}" + (f" and {more} more" if more else "")


def often(per_hour: int | None) -> str:
    """`At most 100 an hour`."""
    return "" if per_hour is None else f"At most {per_hour} an hour"


def refused(by_hour: Sequence[int], now: datetime, zone: tzinfo | None = None) -> str:
    """`3 requests refused today`. Hours that began before midnight count to yesterday."""
    hours = now.astimezone(zone).hour + 1  # that today has so far
    count = sum(by_hour[-hours:])
    return f"{count} request{'' if count == 1 else 's'} refused today" if count else ""


def requests(count: int) -> str:
    """`137 requests`."""
    return f"{count} request{'' if count == 1 else 's'}"


def until(end: datetime | None, now: datetime, zone: tzinfo | None = None) -> tuple[str, str]:
    """When it ends, and how long that is: `30 November`, `in 9 days`."""
    if end is None:
        return "No end", "until you end it"
    where = _day(end, now, zone)
    if where == "Today":
        where += f", {time_words.clock_time(end, zone)}"
    return where, f"in {_span(end - now)}"


def in_a_line(until: str, left: str, *, over: bool) -> str:
    """`Until 30 November (in 9 days)`."""
    if over:
        return f"Ended: {until} ({left})"
    if until == "No end":
        return f"No end, {left}"
    return f"Until {until[:1].lower() + until[1:]} ({left})"


def ended(at: datetime, now: datetime, zone: tzinfo | None = None) -> tuple[str, str]:
    """When it ended, and how long ago."""
    where = _day(at, now, zone)
    ago = "just now" if now - at < timedelta(minutes=1) else f"{_span(now - at)} ago"
    return where, ago


def _day(at: datetime, now: datetime, zone: tzinfo | None) -> str:
    """`Today`, `Tomorrow`, `Thursday`, `30 November`, or `30 Nov 2027`: for a narrow column."""
    then = at.astimezone(zone)
    if then.year != now.astimezone(zone).year:
        return f"{time_words.short_moment(at, now, zone)} {then.year}"
    where = time_words.day(at, now, zone)
    return where[:1].upper() + where[1:]


def _span(length: timedelta) -> str:
    """In one unit."""
    if length < timedelta(hours=1):
        return time_words.span(length)
    hours = round(length / timedelta(hours=1))
    if hours < 48:
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return time_words.span(length)


def end_of_day(day: str, zone: tzinfo | None = None) -> datetime:
    """The last second of a day, given in ISO 8601, as a time with its zone."""
    last = datetime.combine(datetime.fromisoformat(day), time(23, 59, 59))
    return last.astimezone() if zone is None else last.replace(tzinfo=zone)


def pattern_of(path: str) -> tuple[str, ...]:
    """What was entered as a path, as patterns: everything under it, unless it has a `*`. Raises ValueError
    with what is wrong.
    """
    text = path.strip()
    if not text:
        return ()
    if "://" in text:
        raise ValueError("Enter the path alone, without the server’s name.")
    if "?" in text or "#" in text:
        raise ValueError("A path has no “?” and no “#”.")
    if not _PATH.fullmatch(text):
        raise ValueError("This path has characters that an address must not have.")
    if "//" in text or any(part in (".", "..") for part in text.split("/")):
        raise ValueError("This path can be read in two ways. Leave out “//” and dots between slashes.")
    whole = "/" + text.strip("/") if "*" not in text else "/" + text.removeprefix("/")
    return (whole if "*" in whole else f"{whole.rstrip('/')}/**",)
