"""The renewer's timer: one single-shot timer, set to what the last tick returned, and at most 37 s.

It also ticks when the machine wakes, the network comes back, the keychain was unlocked, or something happened
to an account here or in another process, because the last tick could not know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from keyfob.core.errors import KeyfobError
from keyfob.core.renewal import LOOK_AGAIN
from keyfob.desktop.shared.operation import Operation

SETTLE = 200  # milliseconds: a sign-in or a renewal writes several times


class RenewalTimer(QObject):
    """Calls the renewer when the next renewal is due, off the GUI thread."""

    looked = Signal()

    def __init__(self, tick: Callable[[], timedelta], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tick = tick
        self._beating = self._again = self._stopped = False
        self.timer = QTimer(self)  # to the next tick; off while one runs, and after `stop`
        self.timer.setSingleShot(True)
        # A coarse timer may be 5 % late, and is woken together with others.
        self.timer.setTimerType(Qt.TimerType.CoarseTimer)
        self.timer.timeout.connect(self.tick_now)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self.tick_now)

    def beat_soon(self) -> None:
        """Look in a moment: several such are one look."""
        if not self._stopped and not self._settle.isActive():
            self._settle.start(SETTLE)

    def tick_now(self) -> None:
        """Look now. While a look is in progress, one more follows it."""
        if self._stopped:
            return
        if self._beating:
            self._again = True
            return
        self._beating = True
        self.timer.stop()
        Operation(self, self._tick, self._beaten).failing(self._failed).start()

    def stop(self) -> None:
        """No further tick. One that runs is not waited for."""
        self._stopped = True
        self.timer.stop()
        self._settle.stop()

    def _beaten(self, wait: timedelta) -> None:
        self._beating = False
        self.looked.emit()
        self._next(wait)

    def _failed(self, _error: KeyfobError) -> None:
        self._beating = False
        self._next(LOOK_AGAIN)

    def _next(self, wait: timedelta) -> None:
        if self._stopped:
            return
        if self._again:
            self._again = False
            self.tick_now()
            return
        milliseconds = min(max(wait, timedelta(0)), LOOK_AGAIN).total_seconds() * 1000
        self.timer.start(max(round(milliseconds), 50))
