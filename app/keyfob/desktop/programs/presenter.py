"""Between the gateway's database and the page Programs: reads off the GUI thread and makes view models.

One QObject on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError, NotFound, Usage
from keyfob.core.provider import Provider
from keyfob.desktop.programs import viewmodel, words
from keyfob.desktop.programs.gateway import GatewayRun
from keyfob.desktop.programs.models import AccountChoice, GatewayCard, ProgramsPage, Wanted
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.avatar import Face
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window.names import name_of
from keyfob.engine import Engine
from keyfob.gateway.grants import Grant, Uses
from keyfob.gateway.own_gateway import Standing
from keyfob.gateway.packages import check_packages, own_file

if TYPE_CHECKING:
    from keyfob.gateway.programs import Given, Programs

EVERY = 2_000  # milliseconds between two looks while the page is shown
SOON = 1_000  # milliseconds, while a new program's first request is waited for
_Read = tuple[viewmodel.Known, bool]  # and whether another process serves these programs


class ProgramsPresenter(QObject):
    """`changed` follows each look, and each change of the accounts or of the gateway."""

    changed = Signal(object)  # ProgramsPage
    ended = Signal(str, str)  # a program's name and its account
    failed = Signal(str)  # ending did

    def __init__(
        self, engine: Engine, gateway: GatewayRun, clock: Callable[[], datetime], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._engine, self._gateway, self._clock = engine, gateway, clock
        self._programs: Programs | None = None
        self._views: Sequence[AccountView] = ()
        self._faces: Mapping[str, Face] = {}
        self.known: viewmodel.Known = ()
        self._order: list[str] = []
        self._problem = ""
        self._missing: KeyfobError | None = None  # what the gateway needs is not installed
        self.loaded = self._reading = self._again = self._closed = False
        self._on = self._settings_known = self._elsewhere = False
        self._watched: set[str] = set()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        gateway.changed.connect(self.publish)

    # --- what there is --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Count the programs, if there may be any."""
        if own_file(self._engine.home.data).exists():
            self.look()
        else:
            self.loaded = True
            self.publish()

    def look(self) -> None:
        """Read grants and uses again; calls while that is under way become one more."""
        if self._closed:
            return
        if self._reading:
            self._again = True
            return
        self._reading, self._again = True, False
        Operation(self, self._read, self._took).failing(self._not_read).start()

    def watch(self, what: str, *, watched: bool) -> None:
        """`page` or `dialog` is shown, or not: look again and again while one is."""
        before = set(self._watched)
        (self._watched.add if watched else self._watched.discard)(what)
        if self._watched and self._watched != before:
            self._timer.start(SOON if "dialog" in self._watched else EVERY)
            self.look()
        elif not self._watched:
            self._timer.stop()

    def show_accounts(self, views: Sequence[AccountView], faces: Mapping[str, Face]) -> None:
        """The accounts as they are now."""
        if (views, faces) != (self._views, self._faces):
            self._views, self._faces = views, faces
            self.publish()

    def show_setting(self, on: bool) -> None:
        """What the setting says."""
        self._on, self._settings_known = on, True
        self.publish()

    def sort(self) -> None:
        """The last used first, from now on."""
        self._order = viewmodel.by_last_use(self.known, self._clock())
        self.publish()

    def publish(self) -> None:
        """Make the page again."""
        self.changed.emit(self.page())

    def page(self) -> ProgramsPage:
        """The page now."""
        made = viewmodel.page(
            self.known,
            self._views,
            self._faces,
            self.card(),
            self._clock(),
            self._order,
            loading=not self.loaded,
            problem=self._problem,
        )
        self._order = [row.key for row in made.rows]
        return made

    def card(self) -> GatewayCard:
        """How the gateway stands."""
        standing = self._gateway.standing
        if self._missing is not None:
            standing = Standing("failed", standing.port, self._missing)
        elif standing.state == "off" and self._elsewhere:
            standing = replace(standing, state="elsewhere")
        return viewmodel.gateway_card(standing, on=self._on, known=self._settings_known)

    def close(self) -> None:
        """Nothing is read any more."""
        self._closed = True
        self._timer.stop()
        programs, self._programs = self._programs, None
        if programs is not None:
            Operation(self, programs.close, lambda _: None).start()

    def _read(self) -> _Read:
        """Off the GUI thread."""
        check_packages()
        elsewhere = self._gateway.runs_elsewhere()
        if not own_file(self._engine.home.data).exists():
            return (), elsewhere
        self._gateway.write_uses()
        return self._opened().all(self._clock()), elsewhere

    def _opened(self) -> Programs:
        """Off the GUI thread: the gateway's packages are loaded here."""
        from keyfob.gateway.programs import Programs

        if self._programs is None:
            self._programs = Programs(self._engine.home.data)
        return self._programs

    def _took(self, read: _Read) -> None:
        first = not self.loaded
        self.loaded, self._reading = True, False
        (known, self._elsewhere), self._problem = read, ""
        self.known = known
        if first:
            self._order = viewmodel.by_last_use(known, self._clock())
        self._read_once()

    def _read_once(self) -> None:
        self.publish()
        if self._again:
            self.look()

    def _not_read(self, error: KeyfobError) -> None:
        self.loaded, self._reading = True, False
        missing = error.code == "gateway_not_installed"
        self._missing = error if missing else None
        self._problem = "" if missing else remedies.sentence(error)
        self._read_once()

    # --- what the person asks -------------------------------------------------------------------------------

    def choices(self) -> tuple[AccountChoice, ...]:
        """The accounts for the dialog. Those that may be shared come first."""
        made = [
            viewmodel.account_choice(view, self._preset(view.provider), self._faces.get(view.key))
            for view in self._views
        ]
        return tuple(sorted(made, key=lambda one: bool(one.refusal)))

    def _preset(self, provider: str) -> Provider | None:
        try:
            return self._engine.providers.get(provider)
        except NotFound:
            return None

    def give(
        self, wanted: Wanted, done: Callable[[Given], None], refused: Callable[[KeyfobError], None]
    ) -> None:
        """Make a key and its grant. `refused` gets what is wrong."""
        now = self._clock()

        def work() -> Given:
            programs = self._opened()
            from keyfob.gateway.programs import Access

            until = words.end_of_day(wanted.until) if wanted.until is not None else None
            try:
                paths = words.pattern_of(wanted.path)
            except ValueError as fault:
                raise Usage(str(fault)) from None
            methods = ("read",) if wanted.reads else ()
            access = Access(wanted.name, wanted.account, methods, paths, until, wanted.per_hour)
            return programs.give(access, now)

        def made(given: Given) -> None:
            self._order.insert(0, given.grant.grant_id)
            self.look()
            done(given)

        Operation(self, work, made).failing(refused).start()

    def end(self, key: str) -> None:
        """End a program's access. `ended` or `failed` follows."""
        found = self.grant(key)
        if found is None:
            return
        account = next((view for view in self._views if view.id == found.account), None)
        name = found.account if account is None else name_of(account)

        def done(_: None) -> None:
            self.ended.emit(found.name, name)
            self.look()

        def not_done(error: KeyfobError) -> None:
            self.failed.emit(remedies.sentence(error))

        Operation(self, lambda: self._opened().end(key), done).failing(not_done).start()

    def grant(self, key: str) -> Grant | None:
        """One that is known."""
        return next((grant for grant, _ in self.known if grant.grant_id == key), None)

    def uses(self, key: str) -> Uses:
        """Of one that is known."""
        return next((used for grant, used in self.known if grant.grant_id == key), Uses())
