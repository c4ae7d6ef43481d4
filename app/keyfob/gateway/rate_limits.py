"""What a provider says of its limits with an answer: how many requests are left, and until when. Pure, but
for `RateLimits`, which remembers the last of each account.

`RateLimit` and `RateLimit-*` come from drafts of the IETF's working group on HTTP APIs, `X-RateLimit-*` from
before. OpenAI and Anthropic have names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyfob.core.times import from_rfc3339

FORGET = timedelta(hours=1)  # what has no end is not believed for longer
EPOCH_FROM = 1_000_000_000  # a larger number is a time, not a span of seconds
ACCOUNTS_MOST = 1000
NAMES = (
    ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    (
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
)
_SPAN = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d{1,6})?)s)?(?:(\d{1,6})ms)?")
_PART = re.compile(r"(?:^|[;,\s])(limit|remaining|reset|r|t|q)=(\d{1,12})")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """As the provider said it `at` that time."""

    remaining: int
    limit: int | None
    resets_at: datetime | None
    at: datetime

    def holds(self, now: datetime) -> bool:
        """Whether it still says something."""
        return now < (self.resets_at or self.at + FORGET)


def rate_limit_of(headers: Mapping[str, str], now: datetime) -> RateLimit | None:
    """What an answer's headers say; None if they say nothing that can be read. `headers` ignores case."""
    for limit, remaining, reset in NAMES:
        left = _number(headers.get(remaining))
        if left is not None:
            return RateLimit(left, _number(headers.get(limit)), _moment(headers.get(reset), now), now)
    parts = dict(_PART.findall(headers.get("RateLimit", "")[:500]))
    left = _number(parts.get("remaining") or parts.get("r"))
    if left is None:
        return None
    policy = dict(_PART.findall(headers.get("RateLimit-Policy", "")[:500]))
    most = _number(parts.get("limit") or policy.get("q"))
    return RateLimit(left, most, _moment(parts.get("reset") or parts.get("t"), now), now)


class RateLimits:
    """The last of each account. One thread notes; any may read."""

    def __init__(self) -> None:
        self._known: dict[str, RateLimit] = {}

    def note(self, account: str, headers: Mapping[str, str]) -> None:
        """An answer has come."""
        found = rate_limit_of(headers, datetime.now(UTC))
        if found is not None and (account in self._known or len(self._known) < ACCOUNTS_MOST):
            self._known[account] = found

    def all(self) -> Mapping[str, RateLimit]:
        """By account."""
        return dict(self._known)


def _number(text: str | None) -> int | None:
    text = (text or "").partition(",")[0].strip()  # several windows: the first
    return int(text) if text.isascii() and text.isdigit() and len(text) < 13 else None


def _moment(text: str | None, now: datetime) -> datetime | None:
    """A time (seconds since 1970, RFC 3339), or a span: seconds, or `6m0s`."""
    text = (text or "").strip()
    number = _number(text)
    if number is not None:
        if number >= EPOCH_FROM:
            return datetime.fromtimestamp(number, UTC) if number < 10 * EPOCH_FROM else None
        return now + timedelta(seconds=number)
    if text[:4].isdigit():
        try:
            return from_rfc3339(text)
        except ValueError:
            return None
    span = _SPAN.fullmatch(text)
    if not text or span is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in span.groups())
    return now + timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
