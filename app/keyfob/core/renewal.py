"""When to renew. Only arithmetic: all times are aware datetimes in UTC, all durations are timedeltas."""

from __future__ import annotations

from datetime import datetime, timedelta

from keyfob.core.grant import Grant
from keyfob.core.min_life import SHORT_SHARE, min_life

# Monotonic clocks stop in suspend, so no sleep is longer than this: after a night's sleep the renewer looks
# again within 37 s. Prime to minutes and half-minutes, so that many machines do not fall into step.
LOOK_AGAIN = timedelta(seconds=37)
# An unknown lifetime: renew a bit before a day is over, as most silent lifetimes are a day or more.
UNKNOWN_LIFETIME = timedelta(hours=23, minutes=30)
BACKOFF_FIRST = timedelta(seconds=5)
BACKOFF_MOST = timedelta(minutes=30)
MIN_SPACING = timedelta(seconds=1)  # a provider that answers with dead tokens must not spin us
# Longer claims are taken as this: datetime arithmetic overflows, and no token honestly lives longer.
LIFETIME_MOST = timedelta(days=3650)
# A moment further ahead than this was noted by a clock that has been set back since.
AHEAD_MOST = timedelta(minutes=5)
# A server may refuse a dead grant without saying that it has ended, or not answer at all. The user is asked
# to sign in again after so many such renewals of one kind that span at least so long, all of them after the
# access token's end. Nothing is deleted.
DOUBTS_MOST = 3
REFUSED_FOR = timedelta(minutes=15)
UNANSWERED_FOR = timedelta(hours=2)  # a provider that is down may accept requests and not answer them
DOUBTED_EVERY = timedelta(hours=1)  # at most one try from then on
# How long a server that takes a used refresh token again usually does, counted from its first use.
REPEAT_WITHIN = timedelta(seconds=30)
WAIT_MOST = timedelta(days=1)  # no wait is longer: neither our backoff nor what a provider may ask for


def serves(grant: Grant, at: datetime, asked: timedelta | None) -> bool:
    """Whether the access token may be handed out as it is: not expired, and with enough life left, which is
    `asked` or, for None, the usual (`core.min_life`). A grant that can be renewed and was noted by a clock
    that was ahead is not: its end cannot be trusted, and may be years away.
    """
    if grant.renewable and predates(grant.obtained_at, at):
        return False
    lifetime = grant.lifetime
    life = min_life(
        None if lifetime is None else lifetime.total_seconds(),
        None if asked is None else asked.total_seconds(),
    )
    return not grant.expired(at) and grant.fresh(at, timedelta(seconds=life))


def margin_for(lifetime: timedelta | None, setting: timedelta, jitter: float) -> timedelta:
    """How long before expiry to renew: the smaller of `setting` and 20 % of the lifetime, stretched by up to
    10 % by `jitter` in [0, 1) so that a thousand accounts made in one minute are not renewed in one.
    """
    if lifetime is None:
        return timedelta(0)
    return min(setting, lifetime * SHORT_SHARE) * (1 + 0.1 * jitter)


def planned(
    obtained_at: datetime, expires_at: datetime | None, setting: timedelta, jitter: float
) -> datetime:
    """When a token that can be renewed should be, by the margin as it is set now."""
    if expires_at is None:
        return obtained_at + UNKNOWN_LIFETIME * (1 - 0.02 * jitter)
    margin = margin_for(expires_at - obtained_at, setting, jitter)
    return max(expires_at - margin, obtained_at + MIN_SPACING)


def renews_at(grant: Grant, setting: timedelta, jitter: float) -> datetime | None:
    """When the renewer should act, or None if it never can."""
    return planned(grant.obtained_at, grant.expires_at, setting, jitter) if grant.renewable else None


def predates(noted: datetime | None, now: datetime) -> bool:
    """Whether `now` lies well before something that has happened already: the clock was ahead then."""
    return noted is not None and noted - now > AHEAD_MOST


def waits(until: datetime | None, now: datetime) -> bool:
    """Whether `until` is still to be waited for. A moment too far away
    was noted by a clock that was ahead.
    """
    return until is not None and now < until <= now + WAIT_MOST + AHEAD_MOST


def ends_at(obtained_at: datetime, expires_at: datetime | None) -> datetime:
    """When an access token stops being of use; where its lifetime is unknown, as renewals reckon with it."""
    return obtained_at + UNKNOWN_LIFETIME if expires_at is None else expires_at


def may_repeat(replays: int, age: timedelta, *, alive: bool, waiting: bool) -> bool:
    """Whether a refresh token may be sent again whose answer never came. It was first sent `age` ago and has
    been repeated `replays` times.

    At once, the first time. Then within REPEAT_WITHIN, whenever no backoff lasts (`waiting`): a server that
    takes a used one again does so for about that long, and one that never does has ended the grant by the
    first repeat. Later, a repeat may end a grant that lives, so it waits until the access token is no longer
    `alive`: nothing is lost then.
    """
    if replays == 0:
        return True
    return not waiting and (not alive or timedelta(0) <= age <= REPEAT_WITHIN)


def backoff(failures: int, jitter: float) -> timedelta:
    """The wait after the n-th failure in a row (n ≥ 1): 5 s doubling to
    30 min, ± 25 % by `jitter` in [0, 1).
    """
    step: timedelta = min(BACKOFF_FIRST * (1 << min(max(failures, 1) - 1, 20)), BACKOFF_MOST)
    return step * (0.75 + 0.5 * jitter)


def jitter_of(key: str) -> float:
    """A number in [0, 1) that is always the same for one account: spread without a source of chance."""
    return (int.from_bytes(key.encode()[-4:].rjust(4, b"\0"), "big") * 2654435761 % 2**32) / 2**32
