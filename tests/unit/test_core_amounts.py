"""Amounts of data in words."""

from __future__ import annotations

import pytest

from keyfob.core.amounts import left_text, rate_text, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (1449, "1.4 kB"),
        (99_900, "99.9 kB"), (99_990, "100 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (123_456_789, "123 MB"), (5 * 10**12, "5.0 TB"), (10**16, "10000 TB"),
    ],
)  # fmt: skip
def test_a_size(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_rate() -> None:
    assert rate_text(1_440_000.4) == "1.4 MB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""), (0.2, "1 s left"), (59.4, "59 s left"), (60.0, "1 min left"), (600.0, "10 min left"),
        (5400.0, "2 h left"),
    ],
)  # fmt: skip
def test_the_time_left(seconds: float | None, text: str) -> None:
    assert left_text(seconds) == text
