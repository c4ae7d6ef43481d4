"""Sizes, rates and times of downloads in words. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from keyfob.core import time_words

UNITS = ((1_000_000, "MB"), (1_000, "kB"))


def size(count: int) -> str:
    """`38.2 MB`, `1,840 MB`, `412 kB`, `12 bytes`."""
    unit, name = _unit(count)
    return f"{_number(count / unit)} {name}" if unit > 1 else f"{count} bytes"


def amount(received: int, total: int | None) -> str:
    """`184 of 512 MB`; only what has come if the whole is not known."""
    if total is None:
        return size(received)
    unit, name = _unit(total)
    done = f"{received / unit:,.0f}" if total / unit >= 100 else _number(received / unit)
    return f"{done} of {_number(total / unit)} {name}"


def rate(bytes_a_second: float) -> str:
    """`11.3 MB/s`."""
    return f"{size(round(bytes_a_second))}/s"


def left(seconds: float) -> str:
    """`29 seconds left`."""
    return f"{time_words.span(timedelta(seconds=max(round(seconds), 1)))} left"


def when(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`at 16:00` on the same day, else `tomorrow at 01:00`."""
    said = day_and_time(at, now, zone)
    return said.removeprefix("today ")


def day_and_time(at: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """`today at 13:20`, `12 March at 09:04`."""
    return f"{time_words.day(at, now, zone)} at {time_words.clock_time(at, zone)}"


def _unit(count: int) -> tuple[int, str]:
    return next(((unit, name) for unit, name in UNITS if count >= unit), (1, "bytes"))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}".removesuffix(".0")
