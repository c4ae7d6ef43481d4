"""What providers say of their limits, as their documentation has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict

from keyfob.gateway.rate_limits import RateLimit, RateLimits, rate_limit_of

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=50)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # GitHub
        (
            {
                "x-ratelimit-limit": "5000",
                "x-ratelimit-remaining": "4831",
                "x-ratelimit-reset": str(int(SOON.timestamp())),
            },
            (4831, 5000, SOON),
        ),
        # GitLab
        (
            {
                "RateLimit-Limit": "60",
                "RateLimit-Remaining": "0",
                "RateLimit-Reset": str(int(SOON.timestamp())),
            },
            (0, 60, SOON),
        ),
        # an earlier draft: several windows, and seconds
        (
            {
                "RateLimit-Limit": "10, 10;w=1, 50;w=60",
                "RateLimit-Remaining": "9",
                "RateLimit-Reset": "50",
            },
            (9, 10, SOON),
        ),
        # the draft of today
        ({"RateLimit": '"default";r=7;t=50', "RateLimit-Policy": '"default";q=100;w=60'}, (7, 100, SOON)),
        ({"RateLimit": "limit=100, remaining=50, reset=50"}, (50, 100, SOON)),
        # OpenAI
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "50s",
            },
            (59, 60, SOON),
        ),
        # Anthropic
        (
            {
                "anthropic-ratelimit-requests-limit": "1000",
                "anthropic-ratelimit-requests-remaining": "999",
                "anthropic-ratelimit-requests-reset": "2026-11-20T15:00:50Z",
            },
            (999, 1000, SOON),
        ),
        ({"X-RateLimit-Remaining": "7"}, (7, None, None)),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "never"}, (7, None, None)),
    ],
)
def test_a_limit_is_read(headers: dict[str, str], expected: tuple[int, int | None, datetime | None]) -> None:
    found = rate_limit_of(CIMultiDict(headers), NOW)
    assert found is not None
    assert (found.remaining, found.limit, found.resets_at) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Remaining": "-1"},
        {"X-RateLimit-Remaining": "lots"},
        {"X-RateLimit-Remaining": "9" * 40},
        {"RateLimit": "x" * 100_000},
        {"RateLimit": '"default"'},
    ],
)
def test_what_says_nothing(headers: dict[str, str]) -> None:
    assert rate_limit_of(CIMultiDict(headers), NOW) is None


@pytest.mark.parametrize(("text", "seconds"), [("6m0s", 360), ("1h2m3.5s", 3723.5), ("20ms", 0.02)])
def test_spans(text: str, seconds: float) -> None:
    names = ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
    found = rate_limit_of(CIMultiDict(zip(names, ("1", text), strict=True)), NOW)
    assert found is not None
    assert found.resets_at == NOW + timedelta(seconds=seconds)


def test_it_holds_until_its_reset_and_an_hour_without_one() -> None:
    assert RateLimit(1, 2, SOON, NOW).holds(NOW)
    assert not RateLimit(1, 2, SOON, NOW).holds(SOON)
    assert RateLimit(1, 2, None, NOW).holds(NOW + timedelta(minutes=59))
    assert not RateLimit(1, 2, None, NOW).holds(NOW + timedelta(hours=1))


def test_the_last_of_each_account_is_remembered() -> None:
    limits = RateLimits()
    limits.note("github/you", CIMultiDict({"X-RateLimit-Remaining": "7"}))
    limits.note("github/you", CIMultiDict({"X-RateLimit-Remaining": "6"}))
    limits.note("github/you", CIMultiDict({}))
    limits.note("gitlab/you", CIMultiDict({}))
    assert {account: found.remaining for account, found in limits.all().items()} == {"github/you": 6}
