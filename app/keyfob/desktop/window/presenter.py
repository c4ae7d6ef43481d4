"""Between the engine and the window: keeps what is known, calls the engine off the GUI thread, and makes view
models.

One QObject on the GUI thread. Widgets never see the engine, and the presenter never sees a widget. Every
action goes through `act`. Its result comes back as `said` and as a new `changed` model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import outside_text, remedies
from keyfob.desktop.shared.bridge import Bridge
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.account_commands import AccountCommands
from keyfob.desktop.window.keychain import Keychain
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.notices import Attention, Notices, unfinished_banner, unread_banner
from keyfob.desktop.window.pictures import Pictures
from keyfob.desktop.window.problem import details
from keyfob.desktop.window.refresh import Refresh

if TYPE_CHECKING:
    from keyfob.engine import Engine
    from keyfob.gateway.rate_limits import RateLimit

SETTLE = 120  # milliseconds: several events of one action are one reload
COARSE, FINE = 30_000, 1_000  # milliseconds between refreshes of relative times
FURTHEST = timedelta(hours=6)
COPIED_LIFE = timedelta(seconds=60)  # a token put on the clipboard is good for at least this


def utc_now() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


_Read = tuple[list[AccountView], str | None, Sequence[LoggedEvent], Banner | None]


DETAILS_COPIED = "Details copied. They contain no secret."


class Presenter(QObject):
    """What the window shows, and what its commands do. On the GUI thread; the engine works on others."""

    changed = Signal(object)  # Window
    said = Signal(str, bool)  # what a press brought; False: it failed
    settled = Signal()  # the cause of the failure that `said` showed last is gone
    attention = Signal(object)  # Need: the accounts that need the user are others than before
    happened = Signal()  # something happened to an account, in this process
    pictured = Signal()  # a picture has arrived

    def __init__(
        self, engine: Engine, parent: QObject | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._clock = clock
        self._views: list[AccountView] = []
        self._history: Sequence[LoggedEvent] = ()
        self._history_of: str | None = None
        self.selected: str | None = None
        self._failed: str | None = None  # the account whose failure was said last
        self._cause_seen = False  # that account was read again since, and its error was there
        self.keychain = Keychain(engine.vault, self)
        self.keychain.changed.connect(self._keychain_changed)
        self.keychain.said.connect(self.said)
        self._keychain_notes: set[tuple[str, datetime]] = set()
        self.rate_limits: Callable[[], Mapping[str, RateLimit]] = dict  # by account id, as the gateway knows
        self._offline = False
        self._tray_missing = False
        self._loaded = self._loading = self._again = False
        self.model = viewmodel.window((), None, (), clock(), kept_in=self.keychain.name, loading=True)
        self.commands = AccountCommands(engine.accounts, self.keychain, clock, self)
        self.commands.said.connect(self.said)
        self.commands.failed.connect(self._command_failed)
        self.commands.busy_changed.connect(self.publish)
        self.commands.done.connect(self.reload)
        self._notices, self._attention = Notices(), Attention()
        self._pictures = Pictures(engine.avatars, self)
        self._pictures.arrived.connect(self.publish)
        self._pictures.arrived.connect(self.pictured)
        self._settle = QTimer(self, singleShot=True)
        self._settle.timeout.connect(self.reload)
        self.refresh = Refresh(self)
        self.refresh.due.connect(self.publish)
        self._bridge = Bridge(engine.events, self)
        self._bridge.logged.connect(self._happened)

    # --- what there is --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the accounts, then look at the keychain. Called after the first paint."""
        self.reload()
        self.keychain.probe()

    def reload(self) -> None:
        """Read accounts and history again; calls while one is in progress become one more."""
        if self._loading:
            self._again = True
            return
        self._loading = True
        selected = self.selected
        Operation(self, lambda: self._read(selected), self._took).failing(self._not_read).start()

    def reload_soon(self) -> None:
        """Something may have changed: several such within a moment are one reload."""
        if not self._settle.isActive():
            self._settle.start(SETTLE)

    def _happened(self, event: LoggedEvent) -> None:
        if event.kind == "keychain_trouble" and event.code != self.keychain.code:
            self.keychain.heard(KeyfobError(event.message, code=event.code))
        elif event.kind == "keychain_well":
            self.keychain.well()
        self.happened.emit()
        self.reload_soon()

    def _read(self, selected: str | None) -> _Read:
        views, unread = self._engine.accounts.views(), self._engine.accounts.unread()
        keys = [v.key for v in views]
        chosen = selected if selected in keys else (keys[0] if keys else None)
        events = self._engine.accounts.history(chosen, limit=80) if chosen else ()
        shown = [outside_text.account(view) for view in views]
        return shown, chosen, [outside_text.event(each) for each in events], unread_banner(unread)

    def _took(self, read: _Read) -> None:
        views, chosen, history, self._notices.unread = read
        self._loading, self._loaded = False, True
        self._views = views
        if self.selected is None or self.selected not in {v.key for v in views}:
            self.selected = chosen
        if chosen == self.selected:
            self._history, self._history_of = history, chosen
        else:
            self._again = True  # another was chosen in the meantime
        self._settle_failure()
        self._pictures.fetch(self._views)
        self._heed_others(views)
        self.publish()
        if self._again:
            self._again = False
            self.reload()

    def _settle_failure(self) -> None:
        """A failure that was said stays on screen no longer than the error that caused it."""
        if self._failed is None:
            return
        view = self.view(self._failed)
        if view is not None and (view.last_error is not None or self.keychain.in_trouble):
            self._cause_seen = True
        elif view is None or self._cause_seen:
            self._failed = None
            self.settled.emit()

    def _command_failed(self, key: str) -> None:
        self._failed, self._cause_seen = key, False

    def _keychain_changed(self) -> None:
        """What the window found out holds for all that this engine serves."""
        self._engine.events.keychain(self.keychain.error)
        self.publish()

    def _heed_others(self, views: Sequence[AccountView]) -> None:
        """Another process that keeps the accounts writes down that the keychain refused it."""
        notes = {
            (v.key, v.last_error.at)
            for v in views
            if v.last_error and v.last_error.advice is Advice.UNLOCK_KEYCHAIN
        }
        new, self._keychain_notes = notes - self._keychain_notes, notes
        if new and not self.keychain.in_trouble:
            self.keychain.look()

    def _not_read(self, error: KeyfobError) -> None:
        self._loading = False
        self.said.emit(remedies.sentence(error), False)

    def publish(self) -> None:
        """Make the model again from what is known and the time, and show it."""
        now = self._clock()
        self.model = viewmodel.window(
            self._views,
            self.selected,
            self._history if self._history_of == self.selected else (),
            now,
            kept_in=self.keychain.name,
            hidden=self._notices.hidden,
            busy=self.commands.busy,
            keychain=self.keychain.banner,
            offline=self._offline,
            loading=not self._loaded,
            tray_missing=self._tray_missing,
            pictures=self._pictures.files,
            limits=self.rate_limits(),
        )
        more = self._notices.banners(forgetful=self.keychain.forgetful)
        self.model = replace(self.model, banners=(*self.model.banners, *more))
        self.changed.emit(self.model)
        if self._loaded:
            need = self._attention.news(self.views(), now)
            if need is not None:
                self.attention.emit(need)
        change = viewmodel.next_change(self._views, now)
        self.refresh.arm(now, shows_times=bool(self._views), urgent=self.model.urgent, change=change)

    def view(self, key: str) -> AccountView | None:
        """The account by its key, None if it is gone."""
        return next((v for v in self.views() if v.key == key), None)

    def views(self) -> tuple[AccountView, ...]:
        """The accounts as they stand now."""
        now, trouble = self._clock(), self.keychain.in_trouble
        return tuple(v.at(now, keychain_ok=not trouble) for v in self._views)

    @property
    def pictures(self) -> Mapping[str, str]:
        """The files of the accounts' pictures that are there, by the account's key."""
        return self._pictures.files

    @property
    def kept_in(self) -> str:
        """The vault in use, in words."""
        return self.keychain.name

    @property
    def loaded(self) -> bool:
        """The accounts were read at least once."""
        return self._loaded

    @property
    def loading(self) -> bool:
        """The accounts are being read."""
        return self._loading

    # --- the time that passes -------------------------------------------------------------------------------

    def watched(self, visible: bool) -> None:
        """Whether the window is on screen. Hidden, nothing here wakes up but for a token that expires."""
        self.refresh.set_visible(visible)
        if visible and self._loaded:
            self.publish()

    # --- surroundings ---------------------------------------------------------------------------------------

    def set_offline(self, offline: bool) -> None:
        """Whether the computer has no network, which the window then says."""
        if offline != self._offline:
            self._offline = offline
            self.publish()

    def set_tray_missing(self, missing: bool) -> None:
        """Whether the desktop has no tray, so that closing the window quits."""
        if missing != self._tray_missing:
            self._tray_missing = missing
            self.publish()

    def select(self, key: str) -> None:
        """Show another account's page."""
        if key != self.selected:
            self.selected = key
            self.publish()
            self.reload()

    def put_off(self, action: str, key: str) -> None:
        """Later: this banner stays away until something changes."""
        self._notices.put_off(action, key, self._views)
        self.publish()

    def offer_again(self, providers: Sequence[tuple[str, str]]) -> None:
        """A banner for sign-ins at these (id, title), which were in progress when Keyfob ended."""
        self._notices.unfinished = unfinished_banner(providers)
        self.publish()

    # --- commands -------------------------------------------------------------------------------------------

    def act(self, action: str, key: str) -> None:
        """Run a command of `AccountCommands`, or copy what the page shows; the answer is `said`."""
        view = self.view(key)
        if view is None:
            return
        if action != "copy_details":
            self.commands.run(action, view)
            return
        text = details(view)
        if text:
            self.commands.copy_plain(text, DETAILS_COPIED)

    def close(self) -> None:
        """No event comes after this; the clipboard contains no token of Keyfob."""
        self._bridge.close()
        self.refresh.stop()
        self._settle.stop()
        self.commands.close()
        self.model = replace(self.model, banners=())
