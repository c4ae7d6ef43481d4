"""How often programs may request a new token for an account: providers
limit or block clients that renew in a loop.

Another machine gets no new token if the current one is younger than 30 s. This computer's programs get at
most twelve a minute for each account, which stops only a loop. Thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from keyfob.core.account import Record
from keyfob.core.errors import NotFound, Transient
from keyfob.core.secret import Secret
from keyfob.service.accounts.accounts import Accounts

YOUNG = timedelta(seconds=30)
WITHIN = timedelta(minutes=1)
REPLACED_MOST = 12  # for each account, `WITHIN` this time


class Replacements:
    """How often programs may have a token replaced before its time. Thread-safe."""

    def __init__(self, accounts: Accounts, now: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._now = now
        self._lock = threading.Lock()
        self._replaced: dict[
            str, dict[int, datetime]
        ] = {}  # by account: the generations that programs caused

    def may(self, record: Record, *, forwarded: bool, rejected: Secret | None) -> bool:
        """Whether the token may be replaced at a program's wish. When it may not, a `rejected` one that is
        not the current token needs no replacement. Raises Transient `rate_limited` for one that is, and what
        Accounts.token raises.
        """
        wait = self._wait(record, forwarded)
        if wait is None:
            return True
        if rejected is not None and self._accounts.token(record.account.key).token == rejected:
            seconds = max(1, round(wait.total_seconds()))
            raise Transient(
                f"The token of {record.account.id} was replaced a moment ago",
                code="rate_limited",
                remedy=f"Try again in {seconds} s.",
                retry_after=wait,
            )
        return False

    def note(self, before: Record) -> None:
        """A program's wish was fulfilled: what it changed counts."""
        key = before.account.key
        try:
            after = self._accounts.resolve(key).generation
        except NotFound:
            return  # removed in the meantime
        if after == before.generation:
            return
        with self._lock:
            times = self._recent(key)
            times[after] = self._now()
            self._replaced[key] = times

    def _wait(self, record: Record, forwarded: bool) -> timedelta | None:
        """How long until the token may be replaced, None for now."""
        now = self._now()
        if forwarded and record.obtained_at is not None:
            # A moment in the future was noted by a clock that was ahead: it says nothing about the age.
            age = now - record.obtained_at
            if timedelta(0) <= age < YOUNG:
                return YOUNG - age
        with self._lock:
            times = self._recent(record.account.key)
            if len(times) >= REPLACED_MOST:
                return min(times.values()) + WITHIN - now
        return None

    def _recent(self, key: str) -> dict[int, datetime]:
        now = self._now()
        times = self._replaced.get(key, {})
        return {number: at for number, at in times.items() if timedelta(0) <= now - at < WITHIN}
