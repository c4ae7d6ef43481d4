"""When a token is handed out, renewed and given up: the arithmetic of lifetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyfob.core.grant import Grant
from keyfob.core.renewal import (
    AHEAD_MOST,
    MIN_SPACING,
    UNKNOWN_LIFETIME,
    WAIT_MOST,
    ends_at,
    planned,
    predates,
    renews_at,
    serves,
    waits,
)
from keyfob.core.secret import Secret

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MARGIN = timedelta(minutes=10)


def grant(seconds: float | None, *, refresh: bool = True) -> Grant:
    return Grant(
        access=Secret("made-up-token"),
        obtained_at=AT,
        expires_at=None if seconds is None else AT + timedelta(seconds=seconds),
        refresh=Secret("made-up-refresh") if refresh else None,
    )


@pytest.mark.parametrize(
    ("lifetime", "left", "yes"),
    [
        (3600, 61, True),
        (3600, 59, False),
        (100, 21, True),
        (100, 19, False),
        (None, 0, True),
        (3600, -1, False),
    ],
)
def test_a_token_is_handed_out_with_a_minute_left_or_a_fifth_of_a_short_life(
    lifetime: float | None, left: float, yes: bool
) -> None:
    at = AT if lifetime is None else AT + timedelta(seconds=lifetime - left)
    assert serves(grant(lifetime), at, None) is yes


def test_a_tool_may_want_more_or_less_life() -> None:
    at = AT + timedelta(minutes=50)
    assert serves(grant(3600), at, timedelta(minutes=9))
    assert not serves(grant(3600), at, timedelta(minutes=11))
    assert not serves(grant(3600), AT + timedelta(hours=1), timedelta(0))


def test_a_token_that_a_clock_which_was_ahead_noted_is_not_trusted_if_it_can_be_renewed() -> None:
    before = AT - AHEAD_MOST
    assert serves(grant(3600), before, timedelta(0))
    assert not serves(grant(3600), before - SECOND, timedelta(0))
    assert serves(grant(3600, refresh=False), before - SECOND, timedelta(0))


def test_when_a_token_is_renewed() -> None:
    assert renews_at(grant(3600), MARGIN, 0) == AT + timedelta(minutes=50)
    assert renews_at(grant(600), MARGIN, 0) == AT + timedelta(minutes=8)
    assert renews_at(grant(3600, refresh=False), MARGIN, 0) is None
    assert planned(AT, None, MARGIN, 0) == AT + UNKNOWN_LIFETIME
    assert planned(AT, None, MARGIN, 0.5) < AT + UNKNOWN_LIFETIME
    assert planned(AT, AT + SECOND, MARGIN, 0) == AT + MIN_SPACING
    assert planned(AT, AT + timedelta(hours=1), MARGIN, 0.5) < AT + timedelta(minutes=50)


def test_when_a_token_is_of_no_more_use() -> None:
    assert ends_at(AT, AT + SECOND) == AT + SECOND
    assert ends_at(AT, None) == AT + UNKNOWN_LIFETIME


def test_a_clock_that_was_ahead_is_noticed() -> None:
    assert predates(AT + AHEAD_MOST + SECOND, AT)
    assert not predates(AT + AHEAD_MOST, AT)
    assert not predates(None, AT)
    assert waits(AT + SECOND, AT)
    assert waits(AT + WAIT_MOST, AT)
    assert not waits(AT, AT)
    assert not waits(AT + WAIT_MOST + AHEAD_MOST + SECOND, AT)
    assert not waits(None, AT)
