"""Amounts and times of downloads in words, with what `core.amounts` has. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from keyfob.core import time_words
from keyfob.core.amounts import size_text

SIZES = {"bytes": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}


def amount(received: int, total: int | None) -> str:
    """`184 of 512 MB`; only what has come if the whole is not known."""
    if not total:
        return size_text(received)
    whole = size_text(total)
    unit = SIZES.get(whole.rpartition(" ")[2], 1)
    done = f"{received / unit:.0f}" if total / unit >= 99.95 else f"{received / unit:.1f}".removesuffix(".0")
    return f"{done} of {whole.replace('.0 ', ' ')}"


def left(seconds: float) -> str:
    """`29 seconds left`."""
    return f"{time_words.span(timedelta(seconds=max(round(seconds), 1)))} left"


def when(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`at 16:00` on the same day, else `tomorrow at 01:00`."""
    return day_and_time(at, now, zone).removeprefix("today ")


def day_and_time(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`today at 13:20`, `12 March at 09:04`."""
    return f"{time_words.day(at, now, zone)} at {time_words.clock_time(at, zone)}"
