"""Slows down whoever guesses passwords."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from keyfob.gateway.auth.result import TooManyAttemptsError

FREE = 5  # wrong passwords before a wait
FIRST_WAIT = 1.0  # seconds; doubles with each wrong password
LONGEST_WAIT = 900.0
FORGET_AFTER = 3600.0  # seconds without an attempt
KEPT_MOST = 50_000  # names and addresses


class Attempts:
    """Counts failures by name: a user, an address. In memory, for this process. Thread-safe."""

    def __init__(self, *, free: int = FREE, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._clock = free, clock
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}  # how many, when the last

    def check(self, *names: str) -> None:
        """Raises TooManyAttemptsError if one of them has to wait."""
        now = self._clock()
        with self._lock:
            wait = max((self._wait(name, now) for name in names), default=0.0)
        if wait > 0:
            raise TooManyAttemptsError(
                "There were too many wrong passwords",
                code="rate_limited",
                retry_after=timedelta(seconds=wait),
            )

    def failed(self, *names: str) -> None:
        """A password was wrong."""
        now = self._clock()
        with self._lock:
            if len(self._failures) >= KEPT_MOST:
                self._sweep(now)
            for name in names:
                count, at = self._failures.get(name, (0, now))
                self._failures[name] = (1 if now - at > FORGET_AFTER else count + 1), now

    def succeeded(self, name: str) -> None:
        """The user signed in. Their address is not forgiven: it may guess at others too."""
        with self._lock:
            self._failures.pop(name, None)

    def _wait(self, name: str, now: float) -> float:
        count, at = self._failures.get(name, (0, now))
        if count < self._free or now - at > FORGET_AFTER:
            return 0.0
        return min(FIRST_WAIT * 2.0 ** min(count - self._free, 20), LONGEST_WAIT) - (now - at)

    def _sweep(self, now: float) -> None:
        kept = {name: seen for name, seen in self._failures.items() if now - seen[1] <= FORGET_AFTER}
        oldest_first = sorted(kept.items(), key=lambda item: item[1][1])
        self._failures = dict(oldest_first[-KEPT_MOST // 2 :])
