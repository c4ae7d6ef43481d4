"""Runs the doctor's checks for the window, one after the other and off the GUI thread.

One QObject on the GUI thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from PySide6.QtCore import QObject, Qt, Signal

from keyfob.core.errors import KeyfobError
from keyfob.core.finding import Finding
from keyfob.core.time_words import clock_time
from keyfob.desktop.check import models
from keyfob.desktop.check.models import Check, Result
from keyfob.desktop.check.report import report
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.service.doctor import Doctor, Step


class CheckPresenter(QObject):
    """One run at a time, so that no check meets itself. `changed` follows each check that ends."""

    changed = Signal(object)  # Check
    finished = Signal(object)  # Check, of a run that has ended
    failed = Signal(str)  # the run could not begin

    _planned = Signal(object)
    _found = Signal(object, float)

    def __init__(
        self,
        doctor: Doctor,
        tray: Callable[[], bool],
        clock: Callable[[], datetime],
        parent: QObject,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`tray`: whether there is one now. `timer`: seconds, for how long a check takes."""
        super().__init__(parent)
        self._doctor, self._tray, self._clock, self.timer = doctor, tray, clock, timer
        self._stop = threading.Event()  # of the run that goes on: no further check begins
        self._running = self._closed = False
        self._again = False  # a run was asked for while a stopped one still waits for its last check
        self._whole = False  # what was found last comes from a run that was not stopped
        self._steps: Sequence[Step] = ()
        self._results: list[Result] = []
        self.report = ""  # of the last run that has ended
        self._planned.connect(self._begun, Qt.ConnectionType.QueuedConnection)
        self._found.connect(self._took, Qt.ConnectionType.QueuedConnection)

    @property
    def ran(self) -> bool:
        """Whether everything is checked, or will be without another `run`."""
        return self._whole or self._again or (self._running and not self._stop.is_set())

    def run(self) -> None:
        """Check everything again, unless that is under way. A stopped run that still waits ends first."""
        if self._closed:
            return
        if self._running:
            self._again = self._stop.is_set()
            return
        self._running, self._again, self._whole = True, False, False
        self._stop = stop = threading.Event()
        self._results = []
        self.changed.emit(models.progress(self._steps, ()))
        tray = self._tray()
        Operation(self, lambda: self._work(tray, stop), self._done).failing(self._broke).ending_by(
            self.close
        ).start()

    def stop(self) -> None:
        """Nobody looks: no further check begins, and what was found of this run does not count."""
        self._stop.set()
        self._again = False

    def close(self) -> None:
        """As `stop`, and no further run begins. The check that runs is waited for."""
        self._closed = True
        self.stop()

    def _work(self, tray: bool, stop: threading.Event) -> float:
        """Off the GUI thread: seconds in all."""
        began = self.timer()
        steps = self._doctor.steps(tray)
        self._planned.emit(steps)
        for step in steps:
            if stop.is_set():
                break
            start = self.timer()
            found = step.run()
            self._found.emit(found, self.timer() - start)
        return self.timer() - began

    def _begun(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self.changed.emit(models.progress(steps, ()))

    def _took(self, finding: Finding, seconds: float) -> None:
        self._results.append(Result(finding, seconds))
        if not self._stop.is_set():
            self.changed.emit(models.progress(self._steps, self._results))

    def _done(self, seconds: float) -> None:
        self._running = False
        if len(self._results) < len(self._steps):  # it was stopped
            self._go_on()
            return
        self._whole, self._again = True, False
        check = models.ended(self._steps, self._results, clock_time(self._clock()), seconds)
        self.report = report(self._steps, self._results, seconds)
        self.changed.emit(check)
        self.finished.emit(check)

    def _broke(self, error: KeyfobError) -> None:
        self._running = False
        if self._stop.is_set():
            self._go_on()
            return
        sentence = remedies.sentence(error)
        self.changed.emit(Check(sentence))
        self.failed.emit(sentence)

    def _go_on(self) -> None:
        """A stopped run has ended: begin the one that was asked for meanwhile."""
        if self._again:
            self.run()
