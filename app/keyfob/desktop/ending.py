"""The end of the app: waits for what must not be cut off, closes the
engine, and reports that the app may leave.

One QObject on the GUI thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.operation import Operation

log = logging.getLogger(__name__)
END_WITHIN = 45.0  # seconds: a renewal that has been sent has 30, and then its answer is saved
END_LOOK = 40  # milliseconds between looks while ending


class Ending(QObject):
    """Ends the app: waits for what is in progress, closes the engine, then emits `ended`."""

    ended = Signal(int)  # the exit code

    def __init__(self, threads: Threads, close: Callable[[], None], parent: QObject) -> None:
        """`close` closes the engine; it blocks and is called off the GUI
        thread, after everything else has ended.
        """
        super().__init__(parent)
        self._threads, self._close = threads, close
        self._begun: float | None = None
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setInterval(END_LOOK)
        self._timer.timeout.connect(self._look)

    @property
    def begun(self) -> bool:
        """Whether the app is about to end."""
        return self._begun is not None

    def begin(self) -> None:
        """Ask all operations to end, and wait for them; `ended` follows."""
        self._begun = time.monotonic()
        operation.ask_all_to_end()
        self._timer.start()
        self._look()

    def _look(self) -> None:
        assert self._begun is not None
        overdue = time.monotonic() - self._begun > END_WITHIN
        if overdue:
            log.warning("%d tasks did not end in time", len(operation.running()))
        elif operation.running() or self._threads.alive():
            return
        if not self._closed and not overdue:
            self._closed = True
            Operation(self, self._close, lambda _: None).start()
            return
        self._timer.stop()
        self.ended.emit(0)
