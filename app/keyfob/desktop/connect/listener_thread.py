"""Runs blocking functions of the engine (`Listener.serve`) on separate QThreads.

An attempt receives `Threads.spawn` as its `Spawn`. It may be called from any thread, returns at once, and
keeps the thread until the function has returned. The engine's own stop event ends the function; nothing is
killed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QThread, Signal

log = logging.getLogger(__name__)


class _Hosted(QThread):
    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__()
        self._work = work
        self.setObjectName(name)

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:
            log.error("the thread %s ended with %s", self.objectName(), type(error).__name__)


class Threads(QObject):
    """Owner of the hosted threads. Lives on the GUI thread."""

    _ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._alive: set[_Hosted] = set()
        self._ended.connect(self._forget, Qt.ConnectionType.QueuedConnection)

    def spawn(self, work: Callable[[], None], name: str) -> None:
        """Run `work` on a new thread. Any thread may call this."""
        hosted = _Hosted(lambda: self._run(work, hosted), name)
        hosted.moveToThread(self.thread())  # it outlives the worker that asked for it
        with self._lock:
            self._alive.add(hosted)
        hosted.start()

    def alive(self) -> int:
        """How many threads still run. Thread-safe."""
        with self._lock:
            return len(self._alive)

    def wait(self, milliseconds: int) -> bool:
        """True once every hosted thread has ended; they must have been asked to stop."""
        with self._lock:
            threads = tuple(self._alive)
        return all(t.wait(milliseconds) for t in threads)

    def _run(self, work: Callable[[], None], hosted: _Hosted) -> None:
        try:
            work()
        finally:
            self._ended.emit(hosted)

    def _forget(self, hosted: _Hosted) -> None:
        hosted.wait()
        with self._lock:
            self._alive.discard(hosted)
