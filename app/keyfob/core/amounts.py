"""Amounts of data as people read them: sizes, rates, and the time that is left."""

from __future__ import annotations

_UNITS = ("kB", "MB", "GB", "TB")


def size_text(size: int) -> str:
    """A number of bytes: `512 bytes`, `1.4 MB`. A thousand, not 1,024, makes the next unit, as in file
    managers.
    """
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    amount, units = size / 1000, list(_UNITS)
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:.1f} {units[0]}" if amount < 99.95 else f"{amount:.0f} {units[0]}"


def rate_text(rate: float) -> str:
    """A rate in bytes a second: `1.4 MB/s`."""
    return f"{size_text(round(rate))}/s"


def left_text(seconds: float | None) -> str:
    """How long it still takes: `2 min left`. Empty if that is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 90 else f"{round(seconds / 3600)} h left"
