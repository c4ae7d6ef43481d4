"""Looks at the companion tools, checks and updates them for the window, off the GUI thread.

One QObject on the GUI thread. One look or check runs at a time, and several updates next to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal

from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.updates.models import ToolsPage, Work, failed_text, page
from keyfob.updates.companion_service import Companions, Follow, Step
from keyfob.updates.companions import Standing
from keyfob.updates.download import Progress


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look or a check has brought. `uses`: the accounts that a tool is set up for, by the tool's
    id.
    """

    standings: tuple[Standing, ...]
    uses: Mapping[str, str]
    faulty: tuple[str, ...]


class ToolsPresenter(QObject):
    """`changed` follows everything that happens; `said` is for a screen reader."""

    changed = Signal(object)  # ToolsPage
    said = Signal(str)
    unverified = Signal(str, str)  # a tool's id and title: the user has to say whether to go on

    _progressed = Signal(str, object)  # a tool's id, Progress
    _stepped = Signal(str, str)

    def __init__(
        self,
        companions: Companions,
        uses: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
        parent: QObject,
    ) -> None:
        """`uses`: as in `Looked`; called off the GUI thread."""
        super().__init__(parent)
        self._companions, self._uses, self._clock = companions, uses, clock
        self._looked: Looked | None = None
        self._busy = self._again = self._checking = self._closed = False
        self._stop = threading.Event()  # of the check
        self._cancels: dict[str, threading.Event] = {}
        self._works: dict[str, Work] = {}
        self._spoken: dict[str, int] = {}  # the last percentage that was said
        self._failures: dict[str, KeyfobError] = {}
        self._fresh: dict[str, Standing] = {}  # updated while a look or a check goes on, which saw it before
        queued = Qt.ConnectionType.QueuedConnection
        self._progressed.connect(self._took_progress, queued)
        self._stepped.connect(self._took_step, queued)

    @property
    def standings(self) -> Sequence[Standing]:
        """As they were seen last."""
        return self._looked.standings if self._looked is not None else ()

    @property
    def loaded(self) -> bool:
        """Whether the tools were looked at."""
        return self._looked is not None

    def look(self) -> None:
        """Look which tools are installed. Asks nothing of the network."""
        if self._closed:
            return
        if self._busy:
            self._again = True
            return
        self._busy = True
        Operation(self, self._work(self._companions.all), self._took).failing(self._broke).start()

    def check(self) -> None:
        """Ask for the newest versions, unless that is under way."""
        if self._closed or self._checking:
            return
        self._checking = True
        self._failures.clear()
        self.publish()
        if self._busy:
            return  # when the look has ended
        self._begin_check()

    def _begin_check(self) -> None:
        self._busy = True
        stop = self._stop = threading.Event()
        work = self._work(lambda: self._companions.check(cancelled=stop))
        Operation(self, work, self._checked).failing(self._check_broke).ending_by(stop.set).start()

    def _work(self, ask: Callable[[], tuple[Standing, ...]]) -> Callable[[], Looked]:
        def work() -> Looked:
            standings = ask()
            faults = tuple(each.sentence() for each in self._companions.files.faults())
            return Looked(standings, self._uses(), faults)

        return work

    def update(self, tool_id: str, *, unverified: bool = False) -> None:
        """Install the newest version of a tool, unless that is under way."""
        if self._closed or tool_id in self._works:
            return
        self._failures.pop(tool_id, None)
        self._works[tool_id] = Work()
        self._spoken[tool_id] = -1
        cancel = self._cancels[tool_id] = threading.Event()
        follow = Follow(
            lambda progress: self._progressed.emit(tool_id, progress),
            lambda step: self._stepped.emit(tool_id, step),
        )
        work = partial(self._companions.update, tool_id, follow, cancel, unverified=unverified)
        Operation(self, work, partial(self._updated, tool_id)).failing(
            partial(self._failed, tool_id)
        ).ending_by(cancel.set).start()
        self.publish()

    def cancel(self, tool_id: str) -> None:
        """Stop the download of a tool. What was received is kept for the next time."""
        if tool_id in self._works:
            self._cancels[tool_id].set()
            self._works[tool_id] = replace(self._works[tool_id], stopping=True)
            self.publish()

    def close(self) -> None:
        """Nothing new begins, and what runs is asked to end."""
        self._closed = True
        self._stop.set()
        for cancel in self._cancels.values():
            cancel.set()

    def publish(self) -> None:
        """Say how things stand now."""
        if self._looked is None:
            self.changed.emit(ToolsPage(checking=self._checking))
            return
        looked = self._looked
        self.changed.emit(
            page(
                looked.standings,
                self._clock(),
                checking=self._checking,
                works=self._works,
                failures=self._failures,
                uses=looked.uses,
                faulty=looked.faulty,
            )
        )

    # --- what came of it ------------------------------------------------------------------------------------

    def _took(self, looked: Looked) -> None:
        fresh, self._fresh = self._fresh, {}
        found = tuple(fresh.get(each.companion.id, each) for each in looked.standings)
        self._busy, self._looked = False, replace(looked, standings=found)
        self.publish()
        self._go_on()

    def _broke(self, _error: KeyfobError) -> None:
        self._busy = False
        self._go_on()

    def _go_on(self) -> None:
        again, self._again = self._again, False
        if self._busy or self._closed:
            return
        if self._checking:
            self._begin_check()
        elif again:
            self.look()

    def _checked(self, looked: Looked) -> None:
        self._checking = False
        self._took(looked)
        shown = page(looked.standings, self._clock())
        many = f"{shown.updates} update{'' if shown.updates == 1 else 's'}"
        self.said.emit(f"{shown.summary} {many} available." if shown.updates else shown.summary)

    def _check_broke(self, error: KeyfobError) -> None:
        self._checking = self._busy = False
        self.publish()
        if error.code != "cancelled":
            self.said.emit(error.full_message())
        self._go_on()

    def _took_progress(self, tool_id: str, progress: Progress) -> None:
        work = self._works.get(tool_id)
        if work is None:
            return
        self._works[tool_id] = replace(work, progress=progress)
        if progress.total and not work.stopping:
            self._speak(tool_id, progress.received * 100 // progress.total)
        self.publish()

    def _speak(self, tool_id: str, percent: int) -> None:
        """Once at the start and once at the half."""
        due = 50 if percent >= 50 else 0
        if due > self._spoken.get(tool_id, -1) and percent < 100:
            self._spoken[tool_id] = due
            title = self._title(tool_id)
            self.said.emit(f"Downloading {title}" if due == 0 else f"{title}: {due} %")

    def _took_step(self, tool_id: str, step: Step) -> None:
        work = self._works.get(tool_id)
        if work is not None:
            self._works[tool_id] = replace(work, step=step)
            self.publish()

    def _updated(self, tool_id: str, standing: Standing) -> None:
        self._end(tool_id)
        if self._busy:
            self._fresh[tool_id] = standing
        if self._looked is not None:
            found = tuple(
                standing if each.companion.id == tool_id else each for each in self._looked.standings
            )
            self._looked = replace(self._looked, standings=found)
        version = standing.installed.version if standing.installed is not None else None
        self.said.emit(f"100 %. {standing.companion.title} {version or ''} is installed".rstrip())
        self.publish()

    def _failed(self, tool_id: str, error: KeyfobError) -> None:
        self._end(tool_id)
        if error.code == "tool_unverified":
            self.publish()
            self.unverified.emit(tool_id, self._title(tool_id))
            return
        if error.code != "cancelled":
            self._failures[tool_id] = error
            self.said.emit(f"{self._title(tool_id)}: {failed_text(error)}")
        self.publish()

    def _end(self, tool_id: str) -> None:
        self._works.pop(tool_id, None)
        self._cancels.pop(tool_id, None)
        self._spoken.pop(tool_id, None)

    def _title(self, tool_id: str) -> str:
        return next(
            (each.companion.title for each in self.standings if each.companion.id == tool_id), tool_id
        )

    @property
    def busy(self) -> bool:
        """Whether it looks, checks or updates a tool."""
        return self._busy or self._checking or bool(self._works)
