"""The threads of a process that want the same lock, in the order they came. For the locks, which hold across
processes too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from keyfob.core.errors import SignInEnded, Transient

POLL = 0.025  # s between tries while another process holds it


class Turns:
    """Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.queues: dict[str, deque[threading.Event]] = {}  # whose turn it is first

    @contextmanager
    def turn(self, name: str, end: float, cancel: threading.Event | None) -> Iterator[None]:
        """It is this thread's turn inside. `end`: a moment of the monotonic clock. Raises as `pause`."""
        with self._guard:
            queue = self.queues.setdefault(name, deque())
            turn = threading.Event()
            queue.append(turn)
        try:
            while queue[0] is not turn:
                pause(end, cancel, turn)
            yield
        finally:
            with self._guard:
                queue.remove(turn)
                if queue:
                    queue[0].set()
                else:
                    del self.queues[name]


def pause(end: float, cancel: threading.Event | None, turn: threading.Event | None = None) -> None:
    """Wait a moment. Raises Transient `busy` when the time is up, SignInEnded `cancelled`."""
    if cancel is not None and cancel.is_set():
        raise SignInEnded("Cancelled while waiting", code="cancelled")
    left = end - time.monotonic()
    if left <= 0:
        raise Transient("Another program is working on this", code="busy", sent=False)
    (turn or cancel or threading.Event()).wait(min(POLL, left))
