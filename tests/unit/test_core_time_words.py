from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core import time_words

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (-5, "0 seconds", "0 s"),
        (1, "1 second", "1 s"),
        (59, "59 seconds", "59 s"),
        (60, "1 minute", "1 min"),
        (42 * 60 + 59, "42 minutes", "42 min"),
        (3600, "1 hour", "1 h"),
        (3900, "1 hour 5 minutes", "1 h"),
        (12 * 3600 + 120, "12 hours", "12 h"),
        (3 * 86400, "3 days", "3 d"),
    ],
)
def test_spans(seconds: int, long: str, short: str) -> None:
    assert time_words.span(timedelta(seconds=seconds)) == long
    assert time_words.short_span(timedelta(seconds=seconds)) == short


def test_a_countdown_keeps_its_width() -> None:
    assert time_words.countdown(timedelta(minutes=4, seconds=2)) == "4 min 02 s"
    assert time_words.countdown(timedelta(seconds=9)) == "9 s"


@pytest.mark.parametrize(
    ("ago", "moment", "short"),
    [
        (timedelta(minutes=58), "14:02", "14:02"),
        (timedelta(days=1), "yesterday 15:00", "Thu 15:00"),
        (timedelta(days=3), "Tuesday 15:00", "Tue 15:00"),
        (timedelta(days=30), "21 October 15:00", "21 Oct"),
        (timedelta(days=400), "16 October 2025", "16 Oct"),
        (timedelta(days=-1), "tomorrow 15:00", "21 Nov"),
    ],
)
def test_moments(ago: timedelta, moment: str, short: str) -> None:
    assert time_words.moment(NOW - ago, NOW, UTC) == moment
    assert time_words.short_moment(NOW - ago, NOW, UTC) == short


def test_a_date_that_is_waited_for_has_its_year() -> None:
    assert time_words.date(NOW, UTC) == "20 November 2026"


@given(st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)))
def test_any_span_has_words(length: timedelta) -> None:
    for text in (time_words.span(length), time_words.short_span(length), time_words.countdown(length)):
        assert text
        assert "-" not in text
