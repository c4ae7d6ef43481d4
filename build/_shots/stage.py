"""The real app for one scene: the real engine over ports in memory, at a fixed time, at scripted providers.

What a scene shows was said by the engine: a scene makes the provider, the keychain or the person do something
and lets the app show what comes of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QWidget

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.theme import Theme
from keyfob.engine import Engine
from keyfob.providers.catalogue import standard
from keyfob.service.accounts import reading
from support.desktop_app import ShownIcon, is_loaded, make_app
from support.fake_ports import NOW, FakeListeners, FakeVault, FixedClock, ScriptedTransport
from support.sample_engine import sample_engine
from support.samples import D, H, M, sample_views
from support.scripted_provider import BUSY, ENDED, ScriptedBrowser, ScriptedProvider, Someone

if TYPE_CHECKING:
    from keyfob.desktop.connect.dialog import ConnectDialog
    from keyfob.desktop.window.main_window import MainWindow
    from keyfob.providers.catalogue import Catalogue

NEXUS, GOOGLE, SPOTIFY = "key-nexusmods-aldis", "key-google-work-example.org", "key-spotify-aldis"
ALDIS = Someone(41882907, "aldis", "Aldis", "premium")


@cache
def presets() -> Catalogue:
    """The presets that come with Keyfob, read once for all scenes."""
    return standard(Path("/nowhere"))


class Stage:
    """Used with `with`: what a scene made ends with it."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self._folder = tempfile.TemporaryDirectory(prefix="keyfob-scene-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.clock = FixedClock()
        self.provider = ScriptedProvider(self.clock, ALDIS)
        self.provider.fates = {
            "key-mastodon-aldis-social.example": BUSY,
            "key-keycloak-alexandra.featherstonehaugh": None,
        }
        self.listeners = FakeListeners()
        self.browser = ScriptedBrowser(self.provider, self.listeners)
        self.vault = FakeVault()
        self.apps: list[AppController] = []
        self.ending: list[Callable[[], object]] = []  # lets go what a scene holds up
        self.kept: list[object] = []
        self.renews = False  # an account is due at the start

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self.ending:
            end()
        self.provider.let_go()
        self.vault.answered.set()
        for app in self.apps:
            if app.running is not None:
                app.running.close()
            app.consent_dialogs.close()
            app.tray.close()
        operation.ask_all_to_end()
        self.listeners.close()
        self.until(lambda: not operation.running() and not any(app.threads.alive() for app in self.apps))
        for widget in QApplication.topLevelWidgets():
            widget.hide()
            widget.deleteLater()
        for app in self.apps:
            app.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self._folder.cleanup()

    # --- time -----------------------------------------------------------------------------------------------

    def until(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "the scene does not come about"
            QApplication.processEvents()
            time.sleep(0.001)
        QApplication.processEvents()

    def settle(self, lasting: int = 0) -> None:
        """Until the app has nothing left to do but `lasting` operations, such as a sign-in that waits."""
        for app in self.apps:
            if app.running is not None:
                app.running.renewal_timer.stop()
        self.until(lambda: len(operation.running()) <= lasting)
        if self.renews:  # on threads of the engine, which are none of these
            end = time.monotonic() + 0.03
            self.until(lambda: time.monotonic() > end)
        for app in self.apps:
            if app.running is not None:
                app.running.presenter.reload()
        self.until(lambda: len(operation.running()) <= lasting)

    # --- the engine -----------------------------------------------------------------------------------------

    def views(self, *keep: str) -> list[AccountView]:
        """The sample accounts, or those of these providers. The key is of a provider that gives keys."""
        found = [
            replace(each, provider="openai-api", id="openai-api/key-f3qa")
            if each.provider == "openai"
            else each
            for each in sample_views()
        ]
        return [each for each in found if not keep or each.provider in keep]

    def engine(self, views: Sequence[AccountView] | None = None, **ports: Any) -> Engine:
        """With these accounts (the samples), which have been here for some days."""
        views = self.views() if views is None else views
        self.renews = bool({each.key for each in views} & self.provider.fates.keys())
        self.clock.at = NOW - 4 * D
        made = sample_engine(
            self.folder,
            [_earlier(each) for each in views],
            **{
                "clock": self.clock,
                "presets": presets(),
                "transport": ScriptedTransport(self.provider),
                "vault": self.vault,
                "listeners": self.listeners,
                "browser": self.browser,
                "user_home": self.folder,
                **ports,
            },
        )
        settings = made.settings.load()
        made.settings.save(replace(settings, theme=self.theme.palette.name), settings)
        self._live(made, {each.key for each in views})
        self.clock.at = NOW
        return made

    def _live(self, engine: Engine, keys: set[str]) -> None:
        """What has happened to the accounts in the last days, done by the engine itself."""
        if NEXUS in keys:
            for ago, fails in (
                (2 * D + 9 * H, False), (2 * D + 2 * H, False), (1 * D + 11 * H, False), (11 * H, True),
                (10 * H + 50 * M, False), (2 * H + 38 * M, False), (58 * M, False),
            ):  # fmt: skip
                if fails:
                    self.provider.next("refresh", BUSY)
                self._renew(engine, NEXUS, ago)
        if GOOGLE in keys:
            self.provider.next("refresh", ENDED)
            with patch.object(reading, "SECOND_LOOK", timedelta(0)):  # it is waited for in real time
                self._renew(engine, GOOGLE, 3 * D)
        if SPOTIFY in keys:
            self.clock.at = NOW - 20 * H
            engine.accounts.disconnect(SPOTIFY)

    def _renew(self, engine: Engine, key: str, ago: timedelta) -> None:
        self.clock.at = NOW - ago
        try:
            engine.accounts.renew(key)
        except KeyfobError as error:
            self.kept.append(error)

    # --- the app --------------------------------------------------------------------------------------------

    def app(self, engine: Engine | None = None, *, tray: bool = True, **start: Any) -> AppController:
        """The app on `engine` (the samples'), its window open and filled."""
        made = engine or self.engine()
        app = self.opened(lambda: made, tray=tray, **start)
        self.until(lambda: is_loaded(app))
        self.settle()
        return app

    def opened(self, build: Callable[[], Engine], *, tray: bool = True, **start: Any) -> AppController:
        """The app as it opens: `build` has not returned yet."""
        app = make_app(self.theme, build, clock=self.clock, **start)
        app.system_events.begin = lambda: None  # type: ignore[method-assign]  # not this computer's network
        self.apps.append(app)
        if tray:  # as on a desktop that has one
            app.tray.icon = ShownIcon()  # type: ignore[assignment]
        app.begin()
        return app

    def choose(self, app: AppController, provider: str) -> None:
        """Select that provider's account."""
        assert app.running is not None
        presenter = app.running.presenter
        number = next(n for n, row in enumerate(presenter.model.rows) if row.id.startswith(f"{provider}/"))
        app.window.sidebar.list.setCurrentRow(number)
        self.settle()

    def window(self, chosen: str = "nexusmods", keep: Sequence[str] = ()) -> MainWindow:
        """The window with the account of `chosen` selected; `keep`: of these providers alone."""
        app = self.app(self.engine(self.views(*keep)))
        self.choose(app, chosen)
        return app.window

    def connect(self, engine: Engine | None = None, **start: Any) -> ConnectDialog:
        """The dialog Connect Account, at its gallery."""
        app = self.app(engine or self.engine([]), **start)
        assert app.running is not None
        app.running.connect_account()
        dialog = app.running.connect_dialog
        self.until(lambda: dialog.pages.currentWidget() is dialog.gallery)
        return dialog

    def show(self, widget: QWidget) -> None:
        """On the screen, as a page has to be for its sizes to be known."""
        widget.show()
        for _ in range(12):
            QApplication.processEvents()


def _earlier(view: AccountView) -> AccountView:
    """As the account was before what `_live` does to it."""
    if view.key in (NEXUS, GOOGLE, SPOTIFY):
        return replace(
            view, status="connected", renewable=True, last_error=None, obtained_at=NOW - 4 * D,
            expires_at=NOW - 3 * D, renews_at=NOW - 3 * D - 10 * M,
        )  # fmt: skip
    return view
