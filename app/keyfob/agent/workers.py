"""Threads for what the agent must wait for: renewals, the keychain, a sign-in's first step."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Workers:
    """Daemon threads, made when needed and gone after a while: a call that hangs never holds up the exit."""

    def __init__(self, most: int, idle: float = 10.0) -> None:
        self._most = most
        self._idle = idle
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        self._at_work = 0

    def busy(self) -> bool:
        """Whether a job runs or waits. Thread-safe."""
        with self._lock:
            return bool(self._at_work or self._jobs.qsize())

    def submit(self, job: Callable[[], None]) -> None:
        """Run the job on a thread, at once or when one is free. Thread-safe; never blocks."""
        self._jobs.put(job)
        with self._lock:
            if self._free > self._jobs.qsize() - 1 or self._threads >= self._most:
                return
            self._threads += 1
        threading.Thread(target=self._work, name="agent", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._free += 1
            try:
                job = self._jobs.get(timeout=self._idle)
            except queue.Empty:
                with self._lock:
                    self._free -= 1
                    if self._jobs.qsize() and not self._free:
                        continue
                    self._threads -= 1
                return
            with self._lock:
                self._free -= 1
                self._at_work += 1
            try:
                job()
            except Exception:
                log.exception("a request of the agent failed")
            finally:
                with self._lock:
                    self._at_work -= 1
