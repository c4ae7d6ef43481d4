"""What the page of one Nexus Mods account shows. Whatever waits for the network or the disk runs off the GUI
thread.

One QObject on the GUI thread for each account. `actions.py` has what presses do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from keyfob.core.errors import KeyfobError
from keyfob.desktop.nexus import viewmodel
from keyfob.desktop.nexus.models import Links, ListName, NexusPage
from keyfob.desktop.nexus.spoken import Spoken
from keyfob.desktop.nexus.viewmodel import Known, Popular
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window.models import Detail
from keyfob.nexus.link_state import LinkState
from keyfob.nexus.models import DownloadItem, Game, Mod, ModState, Profile
from keyfob.nexus.service import Nexus, NexusService

FRESH = timedelta(minutes=5)  # what is younger is not asked for again
COALESCED = 120  # milliseconds: changes of downloads that come together are shown together
SETTLED = 500  # milliseconds after a download's end, when its file counts as installed
LOOK = 2000  # milliseconds between looks at downloads that another process runs


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is known without asking the site."""

    service: NexusService
    profile: Profile
    mods: tuple[ModState, ...]
    adult: bool
    links: LinkState
    game: str


@dataclass(frozen=True, slots=True)
class _Read:
    profile: Profile
    games: tuple[Game, ...]
    mods: tuple[ModState, ...]


class NexusPresenter(QObject):
    """`changed` follows each change of what is known."""

    changed = Signal(object)  # NexusPage
    spoken = Signal(str)  # for screen readers
    begun = Signal()  # what this computer knows is shown

    _stirred = Signal()  # a download has changed; from any thread
    _counted = Signal()  # mods were checked; from any thread

    def __init__(
        self,
        nexus: Nexus,
        account: str,
        clock: Callable[[], datetime],
        home: Path,
        parent: QObject,
        *,
        remembered: Callable[[], str] = lambda: "",
    ) -> None:
        """`account`: its id. `remembered`: the game that was shown last; may block."""
        super().__init__(parent)
        self.nexus, self.account = nexus, account
        self.service: NexusService | None = None  # once it is there
        self._clock, self._remembered = clock, remembered
        self.known = Known(home=home)
        self._detail: Detail | None = None
        self._renews, self._leads, self._closed = "", True, False
        self._mods_at: datetime | None = None
        self._spoken = Spoken()
        self._looked = False  # the downloads were read once
        self._soon = self._timer(self.look)
        self._later = self._timer(self._read_known)
        self._progress = (0, 0)  # mods that are checked, of how many
        self._count = self._timer(self._show_progress)
        self._again = self._timer(self._look_again)
        queued = Qt.ConnectionType.QueuedConnection
        self._stirred.connect(self._downloads_changed, queued)
        self._counted.connect(self._progressed, queued)
        self._unobserve = nexus.transfers.observe(self._stirred.emit)

    def _timer(self, target: Callable[[], None]) -> QTimer:
        made = QTimer(self)
        made.setSingleShot(True)
        made.timeout.connect(target)
        return made

    # --- showing --------------------------------------------------------------------------------------------

    def show_account(self, detail: Detail, renews: str, *, leads: bool) -> None:
        """What the account's own page says of it now."""
        back = detail.connected and self._detail is not None and not self._detail.connected
        self._detail, self._renews, self._leads = detail, renews, leads
        self.publish()
        if back:
            self.load(again=True)

    def publish(self) -> None:
        """Make the page again, and show it."""
        if self._detail is not None and not self._closed:
            self.changed.emit(self.page())

    def page(self) -> NexusPage:
        """The page as it is now."""
        assert self._detail is not None
        now = self._clock()
        return viewmodel.page(self._detail, self.known, now, renews=self._renews, leads=self._leads)

    def change(self, **values: Any) -> None:  # noqa: ANN401 - fields of Known
        """Something is known otherwise now."""
        self.known = replace(self.known, **values)
        self.publish()

    @property
    def now(self) -> datetime:
        """The time."""
        return self._clock()

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[KeyfobError], None] | None = None,
    ) -> None:
        """Do it off the GUI thread. A failure that nobody takes is only logged."""
        if not self._closed:
            operation = Operation(self, work, self._while_open(done))
            if failed is not None:
                operation.failing(self._while_open(failed))
            operation.start()

    def _while_open(self, then: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda result: None if self._closed else then(result)

    def close(self) -> None:
        """Nothing more is asked for or shown."""
        if not self._closed:
            self._closed = True
            self._unobserve()
            for timer in (self._soon, self._later, self._count, self._again):
                timer.stop()

    # --- reading --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Show what is known, without asking the site, and go on with downloads. Once."""
        self.change(loading_mods=True)
        self.run(self._begin, self._begun, self._not_begun)

    def _begin(self) -> _Begun:
        service = self.nexus.service(self.account)
        self.nexus.transfers.take()
        mods = tuple(service.known_mods())
        domains, game = sorted({each.mod.game for each in mods}), self._remembered()
        return _Begun(
            service,
            service.known_profile(),
            mods,
            service.adult,
            self.nexus.links.state(),
            game if game in domains else next(iter(domains), ""),
        )

    def _begun(self, begun: _Begun) -> None:
        self.service = begun.service
        self.change(
            profile=begun.profile,
            mods=begun.mods or None,
            adult=begun.adult,
            links=shown_links(begun.links),
            game=begun.game,
            loading_mods=False,
        )
        self.look()
        self.begun.emit()

    def _not_begun(self, error: KeyfobError) -> None:
        self.change(loading_mods=False, mods_problem=error)

    def load(self, *, again: bool = False) -> None:
        """Ask the site who it is, and for the mods and their updates. `again`: even if that is fresh."""
        service = self.service
        if service is None:
            if again and not self.known.loading_mods:
                self.begin()
            return
        if self._detail is None or not self._detail.connected or self.known.loading_mods:
            return
        if not again and self._mods_at is not None and self._clock() - self._mods_at < FRESH:
            return
        self.change(loading_mods=True)
        self.run(lambda: self._read(service), self._took, self._not_read)

    @staticmethod
    def _read(service: NexusService) -> _Read:
        profile = service.profile()
        mods = tuple(service.mods())
        return _Read(profile, tuple(service.games()), mods)

    def _took(self, read: _Read) -> None:
        self._mods_at = self._clock()
        domains = [game.domain for game in read.games]
        game = self.known.game if self.known.game in domains else next(iter(domains), "")
        self.change(
            profile=read.profile,
            games=read.games,
            game=game,
            mods=read.mods,
            mods_at=self._mods_at,
            mods_problem=None,
            **self._limits(),
        )
        self.read_folder()
        self._check()

    def _check(self) -> None:
        service = self.service
        assert service is not None
        self._progress = (0, 0)

        def report(done: int, total: int) -> None:
            self._progress = (done, total)
            self._counted.emit()

        self.run(lambda: tuple(service.check(report=report)), self._checked, self._not_read)

    def _progressed(self) -> None:
        if not self._count.isActive() and not self._closed:
            self._count.start(COALESCED)

    def _show_progress(self) -> None:
        if self.known.loading_mods:
            self.change(checked=self._progress)

    def _checked(self, mods: tuple[ModState, ...]) -> None:
        self.change(mods=mods, loading_mods=False, checked=None, mods_problem=None, **self._limits())

    def _not_read(self, error: KeyfobError) -> None:
        self.change(loading_mods=False, checked=None, mods_problem=error, **self._limits())

    def _limits(self) -> dict[str, Any]:
        return {} if self.service is None else {"limits": self.service.limits}

    def _read_known(self) -> None:
        """The list as it is on this computer."""
        service = self.service
        if service is not None:
            self.run(lambda: tuple(service.known_mods()), lambda mods: self.change(mods=mods))

    def read_folder(self) -> None:
        """Where downloads of the chosen game go."""
        service, game = self.service, self.known.game
        if service is not None and game:
            self.run(lambda: service.folder(game), lambda folder: self.change(folder=folder))

    # --- the site's lists -----------------------------------------------------------------------------------

    def load_popular(self, *, again: bool = False) -> None:
        """Ask for the chosen list of the chosen game, if it is not fresh."""
        service, game, which = self.service, self.known.game, self.known.list
        if service is None or not game or self._detail is None or not self._detail.connected:
            return
        found = self.known.popular.get((game, which))
        if self.known.loading_popular or (
            not again and found is not None and self._clock() - found.at < FRESH
        ):
            return
        self.change(loading_popular=True)
        adult = self.known.adult
        self.run(
            lambda: tuple(service.site.browse(game, which, adult_pictures=adult, fresh=again)),
            lambda mods: self._took_popular(game, which, mods),
            self._no_popular,
        )

    def _took_popular(self, game: str, which: ListName, mods: tuple[Mod, ...]) -> None:
        popular = {**self.known.popular, (game, which): Popular(mods, self._clock())}
        self.change(popular=popular, loading_popular=False, popular_problem=None, **self._limits())
        if (game, which) != (self.known.game, self.known.list):
            self.load_popular()  # another was chosen in the meantime

    def _no_popular(self, error: KeyfobError) -> None:
        self.change(loading_popular=False, popular_problem=error, **self._limits())

    # --- downloads ------------------------------------------------------------------------------------------

    def _downloads_changed(self) -> None:
        if not self._soon.isActive() and not self._closed:
            self._soon.start(COALESCED)

    def look(self) -> None:
        """Read the downloads."""
        self.run(self.nexus.transfers.items, self._took_downloads)

    def _took_downloads(self, items: Sequence[DownloadItem]) -> None:
        before = {item.id: item.state for item in self.known.downloads}
        ended = any(item.state == "done" and before.get(item.id, "") != "done" for item in items)
        for sentence in self._spoken.news(items):
            self.spoken.emit(sentence)
        self.change(downloads=tuple(items), **self._limits())
        if ended and self._looked:
            self._later.start(SETTLED)
        self._looked = True
        if not self.nexus.transfers.own:
            self._again.start(LOOK)

    def _look_again(self) -> None:
        """Another process runs the downloads; it may have ended."""
        self.run(self.nexus.transfers.take, lambda _: self.look())


def shown_links(state: LinkState) -> Links:
    """The switch for links, in words."""
    if state.on:
        return Links(on=True, text="Links of the button Mod Manager Download come to Keyfob.")
    other = f"{state.program} opens them now." if state.program else "Nothing opens them now."
    return Links(on=False, text=other, program=state.program or "")
