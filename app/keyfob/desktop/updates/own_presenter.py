"""Looks for a newer version of Keyfob and installs it for the window, off the GUI thread.

One QObject on the GUI thread. One thing at a time. It never restarts the app by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from PySide6.QtCore import QObject, Qt, Signal

from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.updates.own_models import Change, own, view
from keyfob.updates.change import Stage, Watcher
from keyfob.updates.download import Progress
from keyfob.updates.service import Updates, UpdateStatus


class OwnPresenter(QObject):
    """`changed` follows everything that happens; `said` is for a screen reader."""

    changed = Signal(object, object)  # OwnUpdate, UpdateView
    said = Signal(str)

    _progressed = Signal(object)
    _staged = Signal(str)

    def __init__(self, make: Callable[[], Updates], clock: Callable[[], datetime], parent: QObject) -> None:
        """`make` reads files, so it is called once, off the GUI thread."""
        super().__init__(parent)
        self._make, self._clock = make, clock
        self._made: Updates | None = None
        self.status: UpdateStatus | None = None
        self._change: Change | None = None
        self._problem = ""
        self._busy = self._checking = self._closed = False
        self._next: Callable[[], UpdateStatus] | None = None  # was asked for while something goes on
        self._spoken = -1
        self._cancel = threading.Event()
        queued = Qt.ConnectionType.QueuedConnection
        self._progressed.connect(self._took_progress, queued)
        self._staged.connect(self._took_stage, queued)

    @property
    def busy(self) -> bool:
        """Whether it looks or installs."""
        return self._busy

    def _updates(self) -> Updates:
        """Off the GUI thread, where one thing at a time goes on."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def look(self, *, wanted: bool = False) -> None:
        """Say what is known. `wanted`: also ask, if that is due and this copy updates itself."""

        def work() -> UpdateStatus:
            return (
                self._updates().check(cancelled=self._cancel)
                if self._updates().due(wanted)
                else self._updates().status()
            )

        self._start(work)

    def check(self) -> None:
        """Ask for a newer version."""
        self._checking = True
        self._start(lambda: self._updates().check(cancelled=self._cancel))
        self.publish()

    def _start(self, work: Callable[[], UpdateStatus]) -> None:
        if self._closed:
            return
        if self._busy:
            self._next = work
            return
        self._busy, self._cancel = True, threading.Event()
        Operation(self, work, self._took).failing(self._broke).ending_by(self._cancel.set).start()

    def install(self) -> None:
        """Install the newest version. It is used from the next start on."""
        if self._busy or self._closed:
            return
        self._busy, self._cancel = True, threading.Event()
        self._change, self._problem, self._spoken = Change(), "", -1
        watcher = Watcher(self._staged.emit, self._progressed.emit)
        cancelled = self._cancel

        def work() -> UpdateStatus:
            self._updates().install(watcher=watcher, cancelled=cancelled)
            return self._updates().status()

        Operation(self, work, self._installed).failing(self._failed).ending_by(cancelled.set).start()
        self.publish()

    def cancel(self) -> None:
        """Stop. What was received is kept for the next time."""
        if self._change is not None:
            self._cancel.set()
            self._change = replace(self._change, stopping=True)
            self.publish()

    def close(self) -> None:
        """Nothing new begins, and what runs is asked to end."""
        self._closed = True
        self._cancel.set()

    def publish(self) -> None:
        """Say how things stand now."""
        if self.status is not None:
            card = own(self.status, self._clock(), change=self._change, checking=self._checking)
            self.changed.emit(card, view(self.status, self._change, self._problem))

    # --- what came of it ------------------------------------------------------------------------------------

    def _took(self, status: UpdateStatus) -> None:
        self.status = status
        self._end()

    def _broke(self, _error: KeyfobError) -> None:
        self._end()

    def _end(self) -> None:
        """Go on with what was asked for meanwhile."""
        self._busy, self._change, work, self._next = False, None, self._next, None
        self._checking = self._checking and work is not None
        if work is not None:
            self._start(work)
        self.publish()

    def _took_progress(self, progress: Progress) -> None:
        if self._change is None:
            return
        self._change = replace(self._change, progress=progress)
        percent = progress.received * 100 // progress.total if progress.total else 0
        due = 50 if percent >= 50 else 0
        if due > self._spoken and percent < 100 and not self._change.stopping:
            self._spoken = due
            self.said.emit("Downloading Keyfob" if due == 0 else f"Keyfob: {due} %")
        self.publish()

    def _took_stage(self, stage: Stage) -> None:
        if self._change is not None:
            self._change = replace(self._change, stage=stage)
            self.publish()

    def _installed(self, status: UpdateStatus) -> None:
        self.status = status
        if status.next_start is not None:
            self.said.emit(f"100 %. Keyfob {status.next_start} is ready. Restart to use it.")
        self._end()

    def _failed(self, error: KeyfobError) -> None:
        self._problem = "" if error.code == "cancelled" else failed_text(error)
        if self._problem:
            self.said.emit(self._problem)
        self._end()


def failed_text(error: KeyfobError) -> str:
    """What happened, what did not happen, and what to do."""
    return f"{error.full_message().rstrip('.')}. Nothing was installed. {remedies.remedy(error)}".rstrip()
