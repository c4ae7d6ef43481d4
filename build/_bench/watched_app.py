"""The app as it is, with a clock in its event loop: how long the loop was ever kept from its work.

A timer of 4 ms notes the gap between its beats: first for some seconds with the renewer held back, then until
the file that BENCH_DONE names is there. Prints what it saw and ends at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer

from keyfob.__main__ import main
from keyfob.desktop import controller

DONE = os.environ["BENCH_DONE"]
BEAT = 4  # ms
SETTLE, QUIET = 5.0, 10.0  # seconds: what the start itself does is not meant


class Watch(QObject):
    def __init__(self, of: controller.AppController, engine) -> None:
        super().__init__(of)
        self._controller = of
        self._allowed = engine.renewer.allowed
        engine.renewer.allowed = lambda: self._released and self._allowed()
        self._released = False
        self._gaps: dict[bool, list[float]] = {False: [], True: []}
        self._began = self._last = time.perf_counter()
        self._beat = QTimer(self)
        self._beat.setTimerType(Qt.TimerType.PreciseTimer)
        self._beat.timeout.connect(self._note)
        self._beat.start(BEAT)

    def _note(self) -> None:
        now = time.perf_counter()
        if now - self._began > SETTLE:
            self._gaps[self._released].append((now - self._last) * 1000)
        self._last = now
        if not self._released and now - self._began > SETTLE + QUIET:
            self._released = True
            self._began = now - SETTLE
            self._controller.running.renewal_timer.tick_now()
        elif self._released and len(self._gaps[True]) % 200 == 0 and Path(DONE).exists():
            self._tell()

    def _tell(self) -> None:
        gaps, quiet = sorted(self._gaps[True]), sorted(self._gaps[False])
        told = {
            "beats": len(gaps),
            "most": gaps[-1],
            "p99": gaps[int(len(gaps) * 0.99)],
            "p999": gaps[int(len(gaps) * 0.999)],
            "over": sum(1 for gap in gaps if gap > 16),
            "quiet_most": quiet[-1],
        }
        print(json.dumps(told), flush=True)
        os._exit(0)


built = controller.AppController._built


def watched(self: controller.AppController, engine) -> None:
    watch = Watch(self, engine)
    built(self, engine)
    assert watch.parent() is self


controller.AppController._built = watched
sys.argv = ["keyfob"]
main()
