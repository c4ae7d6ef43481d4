"""Between the engine and the window: holds what is known, asks the engine off the GUI thread, and makes view-models.

One QObject on the GUI thread. Widgets never see the engine; the presenter never sees a widget. Every press goes
through `act`, and what it brought comes back as `said` and as a new `changed` model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from keyfob.core import time_words
from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.errors import Advice, KeyfobError
from keyfob.core.secret import Secret
from keyfob.desktop.shared import outside_text, remedies, words
from keyfob.desktop.shared.bridge import Bridge
from keyfob.desktop.shared.clipboard import CLEARED_AFTER, SecretClipboard
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.keychain import Keychain
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.status_text import why_it_ended
from keyfob.service.accounts.views import Disconnection, TestResult, Token
from keyfob.service.events import KEYCHAIN_TROUBLE, KEYCHAIN_WELL

if TYPE_CHECKING:
    from keyfob.engine import Engine

SETTLE = 120  # milliseconds: several events of one deed are one reload
UNLOCK = str(Advice.UNLOCK_KEYCHAIN)
COARSE, FINE = 30_000, 1_000  # milliseconds between refreshes of relative times
FURTHEST = timedelta(hours=6)
COPIED_LIFE = timedelta(seconds=60)  # a token put on the clipboard is good for at least this

WELCOME = Banner(
    "info",
    "Welcome to Keyfob",
    "Connect an account once, and every tool on this computer can use it. Your secrets stay in your keychain.",
    None,
    "welcome",
    "",
    "Not now",
)


def utc_now() -> datetime:
    return datetime.now(UTC)


_Read = tuple[list[AccountView], str | None, Sequence[LoggedEvent], Banner | None]


def _unread_banner(unread: Sequence[KeyfobError]) -> Banner | None:
    """Accounts that are left out of the list, because they cannot be read here."""
    if not unread:
        return None
    count = len(unread)
    title = "An account cannot be shown" if count == 1 else f"{count} accounts cannot be shown"
    return Banner("bad", title, remedies.sentence(unread[0]), "", "", "", None)


class Presenter(QObject):
    changed = Signal(object)  # Window
    said = Signal(str, bool)  # what a press brought; False: it failed
    settled = Signal()  # the cause of the failure that `said` showed last is gone
    attention = Signal(str, str)  # an account has begun to need the user: title, text
    happened = Signal()  # something happened to an account, in this process

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
        self._busy: frozenset[str] = frozenset()
        self._hidden: frozenset[str] = frozenset()
        self._needy: set[str] | None = None  # None: not known yet, so what is found is not news
        self._failed: str | None = None  # the account whose failure was said last
        self._cause_seen = False  # that account was read again since, and its error was there
        self._pictures: dict[str, str] = {}
        self._asked_pictures: set[str] = set()
        self.keychain = Keychain(engine.vault, self)
        self.keychain.changed.connect(self._keychain_changed)
        self.keychain.said.connect(self.said)
        self._keychain_notes: set[tuple[str, datetime]] = set()
        self._welcome: Banner | None = None
        self._interrupted: Banner | None = None
        self._offline = False
        self._tray_missing = False
        self._unread: Banner | None = None
        self._loaded = self._loading = self._again = False
        self.model = viewmodel.window((), None, (), clock(), kept_in=self.keychain.name, loading=True)
        self._clipboard = SecretClipboard(self)
        self._settle = self._timer(self.reload)
        self._refresh = self._timer(self.publish)
        self._expiry = self._timer(self.publish)
        self._bridge = Bridge(engine.events, self)
        self._bridge.logged.connect(self._happened)
        self._watching = False

    def _timer(self, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(slot)
        return timer

    # --- what there is --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the accounts, then look at the keychain. Called after the first paint."""
        self.reload()
        self.keychain.probe()

    def reload(self) -> None:
        """Read accounts and history again; calls while one is under way become one more."""
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
        if event.kind == KEYCHAIN_TROUBLE and event.code != self.keychain.code:
            self.keychain.heard(KeyfobError(event.message, code=event.code))
        elif event.kind == KEYCHAIN_WELL:
            self.keychain.well()
        self.happened.emit()
        self.reload_soon()

    def _read(self, selected: str | None) -> _Read:
        views, unread = self._engine.accounts.views(), self._engine.accounts.unread()
        keys = [v.key for v in views]
        chosen = selected if selected in keys else (keys[0] if keys else None)
        events = self._engine.accounts.history(chosen, limit=80) if chosen else ()
        shown = [outside_text.account(view) for view in views]
        return shown, chosen, [outside_text.event(each) for each in events], _unread_banner(unread)

    def _took(self, read: _Read) -> None:
        views, chosen, history, self._unread = read
        self._loading, self._loaded = False, True
        self._views = views
        if self.selected is None or self.selected not in {v.key for v in views}:
            self.selected = chosen
        if chosen == self.selected:
            self._history, self._history_of = history, chosen
        else:
            self._again = True  # another was chosen in the meantime
        self._settle_failure()
        self._fetch_pictures()
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

    def _keychain_changed(self) -> None:
        """What the window found out holds for all that this engine serves."""
        self._engine.events.keychain(self.keychain.error)
        self.publish()

    def _heed_others(self, views: Sequence[AccountView]) -> None:
        """Another process that keeps the accounts writes down that the keychain refused it."""
        notes = {(v.key, v.last_error.at) for v in views if v.last_error and v.last_error.advice == UNLOCK}
        new, self._keychain_notes = notes - self._keychain_notes, notes
        if new and not self.keychain.in_trouble:
            self.keychain.look()

    def _not_read(self, error: KeyfobError) -> None:
        self._loading = False
        self.said.emit(remedies.sentence(error), False)

    def _fetch_pictures(self) -> None:
        for view in self._views:
            url = view.avatar_url
            if url and url not in self._asked_pictures:
                self._asked_pictures.add(url)
                Operation(self, self._picture_work(view.key, url), self._got_picture).start()

    def _picture_work(self, key: str, url: str) -> Callable[[], tuple[str, Path | None]]:
        return lambda: (key, self._engine.avatars.fetch(url))

    def _got_picture(self, got: tuple[str, Path | None]) -> None:
        key, path = got
        if path is not None:
            self._pictures[key] = str(path)
            self.publish()

    def publish(self) -> None:
        """Make the model again from what is known and the time, and show it."""
        now = self._clock()
        self.model = viewmodel.window(
            self._views,
            self.selected,
            self._history if self._history_of == self.selected else (),
            now,
            kept_in=self.keychain.name,
            hidden=self._hidden,
            busy=self._busy,
            keychain=self.keychain.banner,
            offline=self._offline,
            loading=not self._loaded,
            tray_missing=self._tray_missing,
            pictures=self._pictures,
        )
        more = [
            self._unread,
            self.keychain.forgetful,
            self._interrupted,
            None if self._views else self._welcome,
        ]
        self.model = replace(self.model, banners=(*self.model.banners, *(b for b in more if b is not None)))
        self.changed.emit(self.model)
        if self._loaded:
            self._notify(now)
        self._arm(now)

    def _notify(self, now: datetime) -> None:
        """Ask for attention once for each account that has begun to need its person."""
        needy = {v.key: v for v in self.views() if v.status == "needs_sign_in"}
        for key, view in needy.items():
            if self._needy is not None and key not in self._needy:
                self.attention.emit(f"{viewmodel.name_of(view)} needs you", why_it_ended(view, now))
        self._needy = set(needy)

    def view(self, key: str) -> AccountView | None:
        return next((v for v in self.views() if v.key == key), None)

    def views(self) -> tuple[AccountView, ...]:
        """The accounts as they stand now."""
        now, trouble = self._clock(), self.keychain.in_trouble
        return tuple(viewmodel.as_shown(v, now, keychain_trouble=trouble) for v in self._views)

    @property
    def kept_in(self) -> str:
        """The vault in use, in words."""
        return self.keychain.name

    @property
    def loaded(self) -> bool:
        return self._loaded

    # --- the time that passes -------------------------------------------------------------------------------

    def watched(self, visible: bool) -> None:
        """Whether the window is on screen. Hidden, nothing here wakes up but for a token that expires."""
        self._watching = visible
        if visible and self._loaded:
            self.publish()
        elif not visible:
            self._refresh.stop()

    def _arm(self, now: datetime) -> None:
        if self._watching and self._views:
            self._refresh.start(FINE if self.model.urgent else COARSE)
        change = viewmodel.next_change(self._views, now)
        if change is None:
            self._expiry.stop()
        else:
            # A moment later than the end, and never further ahead than a timer can count.
            wait = min((change - now) + timedelta(milliseconds=5), FURTHEST)
            self._expiry.start(math.ceil(wait.total_seconds() * 1000))

    # --- surroundings ---------------------------------------------------------------------------------------

    def set_offline(self, offline: bool) -> None:
        if offline != self._offline:
            self._offline = offline
            self.publish()

    def set_tray_missing(self, missing: bool) -> None:
        if missing != self._tray_missing:
            self._tray_missing = missing
            self.publish()

    def select(self, key: str) -> None:
        if key != self.selected:
            self.selected = key
            self.publish()
            self.reload()

    def put_off(self, action: str, key: str) -> None:
        """Later: this banner stays away until something changes."""
        if action == "welcome":
            self._welcome = None
        if action == "start_again":
            self._interrupted = None
        for view in self._views:
            if view.key == key or action == "show":
                self._hidden |= {viewmodel.banner_id(view)}
        self.publish()

    def welcome(self, show: bool) -> None:
        """The first start's banner: what connecting brings."""
        self._welcome = WELCOME if show else None
        self.publish()

    def tell_interrupted(self, providers: Sequence[tuple[str, str]]) -> None:
        """Sign-ins at these (id, title) were under way when Keyfob ended: a banner offers to start the last again."""
        title = "A sign-in was not finished" if len(providers) == 1 else "Some sign-ins were not finished"
        where = ", ".join(name for _, name in providers)
        text = f"Keyfob was closed while you were signing in at {where}. Start again to finish."
        again = providers[-1][0]
        self._interrupted = Banner("info", title, text, "Start again", "start_again", again, "Dismiss")
        self.publish()

    # --- deeds ----------------------------------------------------------------------------------------------

    def act(self, action: str, key: str) -> None:
        """renew, test, copy, disconnect, remove: asked of the engine off this thread; the answer is `said`."""
        view = self.view(key)
        if view is None:
            return
        accounts = self._engine.accounts
        name = viewmodel.name_of(view)
        match action:
            case "renew":
                self._do(key, lambda: accounts.renew(key), lambda _: self._renewed(name))
            case "test":
                self._do(key, lambda: accounts.test(key), self._tested)
            case "copy":
                self._do(key, lambda: accounts.token(key, min_life=COPIED_LIFE), self._copied)
            case "disconnect":
                self._do(
                    key, lambda: accounts.disconnect(key), lambda d: self._ended(d, view, "disconnected")
                )
            case "remove":
                self._do(key, lambda: accounts.remove(key), lambda d: self._ended(d, view, "removed"))
            case "copy_details":
                problem = self.model.detail.problem if self.model.detail else None
                if problem is not None:
                    self.copy_plain(problem.details, "Details copied. They contain no secret.")
            case "copy_name":
                self.copy_plain(view.id, f"{view.id} copied.")

    def rename(
        self, key: str, label: str, done: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        """Give the account another label; `done`, or `failed` with the reason in a sentence."""

        def renamed(_view: AccountView) -> None:
            done()
            self.reload()

        def refused(error: KeyfobError) -> None:
            failed(remedies.sentence(error))

        Operation(self, lambda: self._engine.accounts.rename(key, label), renamed).failing(refused).start()

    def _do(self, key: str, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        if key in self._busy:
            return
        self._busy |= {key}
        self.publish()

        def finished(result: Any) -> None:
            self._busy -= {key}
            done(result)
            self.reload()

        def failed(error: KeyfobError) -> None:
            self._busy -= {key}
            text = remedies.sentence(error)
            if error.advice is Advice.UNLOCK_KEYCHAIN:
                # The banner says what to do. A press that changes nothing on it is answered all the same.
                text = f"{error.message}." if self.keychain.in_trouble else ""
                self.keychain.heard(error)
            self.publish()
            if text:
                self._failed, self._cause_seen = key, False
                self.said.emit(f"{text} ({time_words.clock_time(self._clock())})", False)
            self.reload()

        Operation(self, work, finished).failing(failed).start()

    def _renewed(self, name: str) -> None:
        self.said.emit(f"{name} is renewed.", True)

    def _tested(self, result: TestResult) -> None:
        if result.ok:
            who = f" as {result.name}" if result.name else ""
            self.said.emit(f"It works: signed in{who}, answered in {result.milliseconds} ms.", True)
        else:
            self.said.emit(f"The provider answered {result.status or 'nothing'} to the test.", False)

    def _copied(self, token: Token) -> None:
        self._clipboard.copy(token.token)
        self.said.emit(
            f"Token copied. Keyfob clears it from the clipboard after {CLEARED_AFTER} seconds.", True
        )

    def _ended(self, ended: Disconnection, view: AccountView, deed: str) -> None:
        name, provider = viewmodel.name_of(view), view.provider_title
        self.said.emit(f"{name} is {deed}. {words.revocation(ended, provider)}", True)

    # --- the clipboard --------------------------------------------------------------------------------------

    def copy_plain(self, text: str, said: str) -> None:
        """Copy what is not secret."""
        SecretClipboard.copy_plain(text)
        self.said.emit(said, True)

    def copy_secret(self, secret: Secret) -> None:
        """What is one, or carries one: a link with its state."""
        self._clipboard.copy(secret)

    def close(self) -> None:
        """No event comes after this; the clipboard holds no token of ours."""
        self._bridge.close()
        self._refresh.stop()
        self._expiry.stop()
        self._settle.stop()
        self._clipboard.clear()
        self.model = replace(self.model, banners=())
