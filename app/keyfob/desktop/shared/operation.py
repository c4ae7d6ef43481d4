"""Runs work off the GUI thread. Nothing else does.

`Operation(parent, work, done).failing(f).start()` runs `work()` on a separate thread and calls `done(result)`
or `f(error)` on the GUI thread. If the parent is gone, the result is dropped. A running thread is never
destroyed: it is kept here until it has finished, and the app waits for it at the end (`running`,
`ask_all_to_end`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, Signal
from shiboken6 import isValid

from keyfob.core.errors import Fault, KeyfobError

log = logging.getLogger(__name__)

_RUNNING: set[Operation] = set()


class _Thread(QThread):
    """Runs the work and says how it ended, from its own thread."""

    succeeded = Signal(object)
    broke = Signal(object)

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        try:
            result = self._work()
        except KeyfobError as error:
            self.broke.emit(error)
        except Exception as error:
            # Only if it happened and of what kind: an exception's text may quote what it choked on.
            place = traceback.extract_tb(error.__traceback__)[-1]
            detail = f"{type(error).__name__} in {place.name}, line {place.lineno}"
            log.error("a background task failed: %s", detail)
            self.broke.emit(Fault("Something went wrong inside Keyfob", detail=detail))
        else:
            self.succeeded.emit(result)


class Operation(QObject):
    """One piece of work off the GUI thread. Make and start it on the GUI thread."""

    def __init__(self, parent: QObject, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        super().__init__()  # no Qt parent: a parent's end must not destroy a thread that runs
        self._owner = parent
        self._done = done
        self._failed: Callable[[KeyfobError], None] | None = None
        self._end: Callable[[], None] | None = None
        self._thread = _Thread(work)
        queued = Qt.ConnectionType.QueuedConnection
        self._thread.succeeded.connect(self._deliver, queued)
        self._thread.broke.connect(self._deliver_failure, queued)
        self._thread.finished.connect(self._finished, queued)

    def failing(self, failed: Callable[[KeyfobError], None]) -> Operation:
        """Called on the GUI thread with what went wrong. Without it a failure is only logged."""
        self._failed = failed
        return self

    def ending_by(self, end: Callable[[], None]) -> Operation:
        """How the work is asked to end early; must not block. Without it the work is waited for."""
        self._end = end
        return self

    def start(self) -> Operation:
        """Run it on its thread. It keeps itself alive until it is done."""
        _RUNNING.add(self)
        self._thread.start()
        return self

    def ask_to_end(self) -> None:
        """Ask the work to end early, if it can. Does not wait."""
        if self._end is not None:
            self._end()

    def wait(self, milliseconds: int) -> bool:
        """True once the thread has ended. Its result still comes through the event loop."""
        return self._thread.wait(milliseconds)

    def _deliver(self, result: object) -> None:
        if isValid(self._owner):
            self._done(result)

    def _deliver_failure(self, error: KeyfobError) -> None:
        if not isValid(self._owner):
            return
        if self._failed is None:
            log.warning("a background task failed: %s", error.code)
        else:
            self._failed(error)

    def _finished(self) -> None:
        self._thread.wait()
        _RUNNING.discard(self)


def running() -> tuple[Operation, ...]:
    """What has not finished yet."""
    return tuple(_RUNNING)


def ask_all_to_end() -> None:
    """Ask every running operation to end that knows how to."""
    for operation in running():
        operation.ask_to_end()
