"""The window's controller: joins window, tray, dialogs and presenters, and sees the app to its end.

One QObject on the GUI thread. The engine is built after the first paint, off this thread; until then the window is
there and says nothing. At the end what has begun is waited for: a renewal under way is never cut.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from keyfob.core.errors import KeyfobError
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.renewal_timer import RenewalTimer
from keyfob.desktop.settings.controller import SettingsController
from keyfob.desktop.shared import operation, remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.store_watch import StoreWatch
from keyfob.desktop.system_events import SystemEvents
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.account_actions import AccountActions
from keyfob.desktop.window.consent_dialog import Asking
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS, Banner, Window
from keyfob.desktop.window.presenter import Presenter, utc_now
from keyfob.desktop.window.tray import Tray

if TYPE_CHECKING:
    from keyfob.desktop.imports.first_start import FirstStart
    from keyfob.engine import Engine

log = logging.getLogger(__name__)
END_WITHIN = 45.0  # seconds: a renewal that has been sent has 30, and then its answer is saved
END_LOOK = 40  # milliseconds, only while ending


class Demo(Protocol):
    """The demo provider, serving."""

    def stop(self) -> None: ...


class AppController(QObject):
    def __init__(
        self,
        app: QApplication,
        theme: Theme,
        build: Callable[[], Engine],
        *,
        demo: Callable[[], Demo] | None = None,
        start_demo: bool = False,
        window: MainWindow | None = None,
    ) -> None:
        super().__init__(app)
        self._app, self._theme, self._build = app, theme, build
        self._make_demo, self._start_demo = demo, start_demo
        self._engine: Engine | None = None
        self._demo: Demo | None = None
        self._demo_wanted = False
        self._demo_problem = ""  # why it does not serve; empty when nothing is known to be wrong
        self._presenter: Presenter | None = None
        self._sign_in: ConnectDialog | None = None
        self._greeted = False
        self._first: FirstStart | None = None
        self._ending: float | None = None
        self._closed = False
        self.window = window or MainWindow(theme)
        self.tray = Tray(theme, self)
        self.settings_controller = SettingsController(theme, self.window, self)
        self.threads = Threads(self)
        self._account_actions = AccountActions(theme, self.window)
        self._asking = Asking(theme, self.window, self)
        self._asking.wanted.connect(self.window.bring_up)
        self._renewal_timer: RenewalTimer | None = None
        self._system_events = SystemEvents(self)
        self._end_timer = QTimer(self)
        self._end_timer.setInterval(END_LOOK)
        self._end_timer.timeout.connect(self._end)
        self._wire()

    def _wire(self) -> None:
        w, t = self.window, self.tray
        w.may_hide = self._may_hide
        w.closing.connect(self.quit)
        w.quit_asked.connect(self.quit)
        w.sidebar.connect_asked.connect(self._connect_asked)
        w.sidebar.settings_asked.connect(self.open_settings)
        w.empty.demo_asked.connect(self.try_demo)
        w.account.asked.connect(self.ask)
        w.banner_pressed.connect(self._banner)
        t.opened.connect(w.bring_up)
        t.connect_asked.connect(self._connect_from_tray)
        t.settings_asked.connect(self._settings_from_tray)
        t.quit_asked.connect(self.quit)
        t.account_chosen.connect(self._account_from_tray)
        t.appeared.connect(self._tray_appeared)
        p = self.settings_controller
        p.read.connect(self._greet)
        p.failed.connect(self._complain)
        p.asked.connect(self.ask)
        p.connect_asked.connect(self._connect_asked)

    # --- beginning ------------------------------------------------------------------------------------------

    def begin(self, *, hidden: bool = False) -> None:
        """Show the window, or only the tray where `hidden` and there is one; then build the engine."""
        there = self.tray.begin()
        self.window.tell(viewmodel.window((), None, (), utc_now(), kept_in="", loading=True), None)
        if (hidden and there) or self.window.was_painted:
            self._open_engine()
        else:
            self.window.painted.connect(self._open_engine)
            self.window.show()

    def _open_engine(self) -> None:
        Operation(self, self._build, self._built).failing(self._not_built).start()

    def _not_built(self, error: KeyfobError) -> None:
        banner = Banner("bad", error.message, remedies.remedy(error), "Try again", "build", "", None)
        model = viewmodel.window((), None, (), utc_now(), kept_in="", keychain=banner, loading=True)
        self.window.tell(model, None)
        self.window.bring_up()

    def _built(self, engine: Engine) -> None:
        self._engine = engine
        if self._ending is not None:
            return
        engine.consents.ask = self._asking.ask
        presenter = self._presenter = Presenter(engine, self, utc_now)
        connect = SignInPresenter(engine, presenter, self.threads, self)
        self._sign_in = ConnectDialog(self._theme, connect, self.window)
        self._sign_in.finished.connect(self._dialog_done)
        self._sign_in.settings_asked.connect(self._open_port)
        presenter.changed.connect(self._show)
        presenter.said.connect(self._say)
        presenter.settled.connect(self.window.unsay)
        presenter.attention.connect(self.tray.notify)
        self.window.banner_put_off.connect(self._put_off)
        self.window.sidebar.list.chosen.connect(presenter.select)
        self.window.shown.connect(self._watched)
        self.window.hidden.connect(self._watched)
        self.tray.refresh_asked.connect(presenter.publish)
        presenter.set_tray_missing(not self.tray.present)
        self._watched()
        watch = StoreWatch(engine.store_path, self)
        watch.changed.connect(presenter.reload_soon)
        self._renewal_timer = RenewalTimer(engine.renewer.tick, self)
        watch.changed.connect(self._renewal_timer.beat_soon)
        presenter.happened.connect(self._renewal_timer.beat_soon)
        presenter.keychain.usable.connect(self._keychain_usable)
        self._renewal_timer.looked.connect(presenter.keychain.look_again)
        self._system_events.woke.connect(self._woke)
        self._system_events.online.connect(self._online)
        self._system_events.keychain_changed.connect(self._keychain_changed)
        self.settings_controller.begin(engine)
        presenter.start()
        Operation(self, lambda: _interrupted(engine), self._tell_interrupted).start()
        self._renewal_timer.tick_now()
        self._system_events.begin()
        if self._start_demo:
            self._serve_demo()

    def _complain(self, text: str) -> None:
        self.window.say(text, good=False)

    def _tell_interrupted(self, providers: list[tuple[str, str]]) -> None:
        if providers and self._presenter is not None:
            self._presenter.tell_interrupted(providers)

    def _greet(self) -> None:
        """The first start with no account: a banner, and the dialog; once."""
        presenter = self._presenter
        if self._greeted or not self.settings_controller.known or presenter is None or not presenter.loaded:
            return
        if self._start_demo and self._demo is None:
            return
        self._greeted = True
        accounts = presenter.views()
        if any(v.provider == "demo" for v in accounts):
            self._serve_demo()  # its accounts live by it
        if not accounts and not self.settings_controller.value.first_start_done and self.window.isVisible():
            presenter.welcome(True)
            self._first_start()

    def _first_start(self) -> None:
        """Keys in other tools' files may be brought along; else, and for the demo, an account is connected."""
        if self._start_demo or self._engine is None:
            self.connect_account()
            return
        from keyfob.desktop.imports.first_start import FirstStart  # once in the app's life
        from keyfob.desktop.imports.presenter import ImportPresenter

        moving = ImportPresenter(self._engine.imports, self.threads.spawn, self)
        first = self._first = FirstStart(self._theme, moving, self.window)
        first.nothing_found.connect(self._connect_asked)
        first.ended.connect(self._dialog_done)
        first.begin()

    # --- showing --------------------------------------------------------------------------------------------

    def _show(self, model: Window) -> None:
        presenter = self._presenter
        assert presenter is not None
        self.window.empty.tell(
            demo=self._make_demo is not None,
            skipped=self.settings_controller.value.first_start_done,
            tray=self.tray.present,
        )
        self.window.tell(model, presenter.selected)
        self.tray.tell(model)
        self.settings_controller.tell(model)
        self._greet()

    def _say(self, text: str, good: bool) -> None:
        self.window.say(text, good=good)

    def _watched(self) -> None:
        if self._presenter is not None:
            self._presenter.watched(self.window.isVisible())

    def _put_off(self, action: str, key: str) -> None:
        if self._presenter is not None:
            self._presenter.put_off(action, key)

    def _tray_appeared(self) -> None:
        if self._presenter is not None:
            self._presenter.set_tray_missing(False)

    def _may_hide(self) -> bool:
        """Never hide with no way back."""
        there = self.tray.present and QSystemTrayIcon.isSystemTrayAvailable()
        return self._ending is not None or (there and self.settings_controller.value.close_to_tray)

    # --- surroundings ---------------------------------------------------------------------------------------

    def _woke(self) -> None:
        if self._renewal_timer is not None and self._presenter is not None:
            self._renewal_timer.tick_now()
            self._presenter.reload()

    def _online(self, online: bool) -> None:
        if self._renewal_timer is not None and self._presenter is not None:
            self._presenter.set_offline(not online)
            if online:
                self._renewal_timer.tick_now()

    def _keychain_changed(self) -> None:
        if self._presenter is not None:
            self._presenter.keychain.look()

    def _keychain_usable(self) -> None:
        """Renewals go on at once."""
        engine, renewal_timer, presenter = self._engine, self._renewal_timer, self._presenter
        if engine is not None and renewal_timer is not None and presenter is not None:
            Operation(self, engine.renewer.keychain_back, lambda _: renewal_timer.tick_now()).start()
            presenter.reload()

    # --- what the user asks -------------------------------------------------------------------------------

    def connect_account(self, provider: str | None = None) -> None:
        """The gallery, with `provider` chosen."""
        dialog = self._sign_in
        if dialog is None or self._ending is not None:
            return
        if dialog.isVisible() and (dialog.under_way or dialog.pages.currentWidget() is dialog.gallery):
            dialog.raise_()
            dialog.activateWindow()
            return
        preferred = provider or ("demo" if self._demo is not None else None)
        dialog.choose(demo=self._demo is not None, preferred=preferred, note=self._demo_problem)

    def _connect_asked(self) -> None:
        self.connect_account()

    def try_demo(self) -> None:
        """Start the demo provider if it does not run yet, and sign in at it."""
        if self._demo is None:
            self._demo_wanted = True
            self._serve_demo()
        elif self._sign_in is not None:
            self._sign_in.connect_to("demo", "oauth")

    def _serve_demo(self) -> None:
        if self._demo is None and self._make_demo is not None:
            Operation(self, self._make_demo, self._demo_serves).failing(self._demo_failed).start()

    def _demo_serves(self, demo: Demo) -> None:
        self._demo, self._demo_problem = demo, ""
        if self._renewal_timer is not None:
            self._renewal_timer.tick_now()
        self._greet()
        if self._demo_wanted:
            self._demo_wanted = False
            self.try_demo()

    def _demo_failed(self, error: KeyfobError) -> None:
        self._demo_wanted = self._start_demo = False
        self._demo_problem = remedies.sentence(error)
        self.window.say(self._demo_problem, good=False)
        self._greet()

    def ask(self, action: str, key: str) -> None:
        """A press on the account's page, in its menu or in Settings."""
        if self._presenter is None or self._sign_in is None:
            return
        if action == "add_another":
            view = self._presenter.view(key)
            self.connect_account(view.provider if view is not None else None)
        else:
            self._account_actions.ask(
                action, key, self._presenter, self._sign_in, self.settings_controller.dialog
            )

    def _banner(self, action: str, key: str) -> None:
        presenter = self._presenter
        match action:
            case "build":
                self._open_engine()
            case "keychain" if presenter is not None and key in KEYCHAIN_BUTTONS:
                presenter.keychain.unlock()
            case "keychain" if presenter is not None and self._renewal_timer is not None:
                presenter.keychain.probe()
                presenter.reload()
                self._renewal_timer.tick_now()
            case "start_again" if presenter is not None:
                presenter.put_off(action, key)
                self.connect_account(key)
            case "show" if presenter is not None:
                presenter.select(key)
            case "reconnect" if presenter is not None:
                presenter.select(key)
                self.ask("reconnect", key)

    def _connect_from_tray(self) -> None:
        self.window.bring_up()
        self.connect_account()

    def _settings_from_tray(self) -> None:
        self.window.bring_up()
        self.open_settings()

    def _account_from_tray(self, key: str) -> None:
        self.window.bring_up()
        if self._presenter is not None:
            self._presenter.select(key)

    def _dialog_done(self) -> None:
        if self._presenter is None:
            return
        self._presenter.welcome(False)
        self.settings_controller.started_once()
        self.window.empty.tell(demo=self._make_demo is not None, skipped=True, tray=self.tray.present)

    def open_settings(self) -> None:
        if self._presenter is not None:
            self.settings_controller.open(
                self._presenter.model, self._presenter.kept_in, tray=self.tray.present
            )

    def _open_port(self) -> None:
        """Settings, at the callback port."""
        self.open_settings()
        if self.settings_controller.dialog is not None:
            self.settings_controller.dialog.show_port()

    # --- ending ---------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """End: ask what runs to end, wait for what must not be cut, close the engine, leave."""
        if self._ending is not None:
            return
        self._ending = time.monotonic()
        self._asking.close()
        if self._first is not None:
            self._first.close()
        if self._renewal_timer is not None:
            self._renewal_timer.stop()
        if self._sign_in is not None:
            self._sign_in.close()
        if self._presenter is not None:
            self._presenter.close()
        self.window.hide()
        self.tray.close()
        operation.ask_all_to_end()
        self._end_timer.start()
        self._end()

    def _end(self) -> None:
        assert self._ending is not None
        overdue = time.monotonic() - self._ending > END_WITHIN
        if overdue:
            log.warning("%d tasks did not end in time", len(operation.running()))
        elif operation.running() or self.threads.alive():
            return
        if not self._closed and not overdue:
            self._closed = True
            engine, demo = self._engine, self._demo

            def close() -> None:
                if demo is not None:
                    demo.stop()
                if engine is not None:
                    engine.close()

            Operation(self, close, lambda _: None).start()
            return
        self._end_timer.stop()
        self._app.exit(0)


def _interrupted(engine: Engine) -> list[tuple[str, str]]:
    """Where sign-ins were cut off by the last end of Keyfob: id and title; each told once."""
    titles = {preset.id: preset.title for preset in engine.providers.all()}
    return [(each, titles[each]) for each in dict.fromkeys(engine.sign_in.interrupted()) if each in titles]
