"""When the window is drawn again without any news: relative times change, and tokens expire.

One QObject on the GUI thread. Hidden, nothing wakes up but for a token that expires.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from PySide6.QtCore import QObject, QTimer, Signal

COARSE, FINE = 30_000, 1_000  # milliseconds between refreshes of relative times
FURTHEST = timedelta(hours=6)


class Refresh(QObject):
    """Says when times on screen are out of date, no more often than needed."""

    due = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.times = self._timer()  # runs while relative times are shown
        self._expiry = self._timer()
        self.visible = False  # whether the window is on screen

    def _timer(self) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(self.due)
        return timer

    def set_visible(self, visible: bool) -> None:
        """Whether the window is on screen. While it is not, relative times need no refresh."""
        self.visible = visible
        if not visible:
            self.times.stop()

    def arm(self, now: datetime, *, shows_times: bool, urgent: bool, change: datetime | None) -> None:
        """`change`: the next moment at which an account stands otherwise; None: there is no such moment."""
        if self.visible and shows_times:
            self.times.start(FINE if urgent else COARSE)
        if change is None:
            self._expiry.stop()
        else:
            # A moment later than the end, and never further ahead than a timer can count.
            wait = min((change - now) + timedelta(milliseconds=5), FURTHEST)
            self._expiry.start(math.ceil(wait.total_seconds() * 1000))

    def stop(self) -> None:
        """Stop all timers."""
        self.times.stop()
        self._expiry.stop()
