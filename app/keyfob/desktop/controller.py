"""The window's controller: connects window, tray, dialogs and presenters, and ends the app in order.

One QObject on the GUI thread. The engine is built after the first paint, off this thread. Until then the
window is open and shows no accounts. At the end it waits for work that has begun: a renewal is never
interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QSystemTrayIcon

from keyfob.client.running_agent import restart_agent
from keyfob.core.errors import KeyfobError
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.demo_control import Demo, DemoControl
from keyfob.desktop.ending import Ending
from keyfob.desktop.links import Links
from keyfob.desktop.restoring import Restoring
from keyfob.desktop.running import RunningApp, Shell
from keyfob.desktop.settings.controller import SettingsController
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.activation import Activation, bring_up
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.system_events import SystemEvents
from keyfob.desktop.updates.controller import updates_of
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.consent_dialog import Asking
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.notifications import Notifications
from keyfob.desktop.window.presenter import utc_now
from keyfob.desktop.window.tray import Tray
from keyfob.updates.bundle import mark_started
from keyfob.updates.service import Updates

if TYPE_CHECKING:
    from keyfob.engine import Engine
    from keyfob.nexus.service import Nexus
    from keyfob.service.accounts.recovery import Recovered


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """How the app is started. `demo` starts the demo provider, if it is installed; `with_demo` asks for it at
    once. `restore` lists lost accounts again while no engine has the store open. `nexus` makes the services
    of Nexus Mods; without it, an account there has the page that all accounts have. `succeed` says that the
    process ends only to become the version that is installed now; None if it cannot. `updates`: of this copy.
    """

    demo: Callable[[], Demo] | None = None
    with_demo: bool = False
    restore: Callable[[], Recovered] | None = None
    clock: Callable[[], datetime] = utc_now
    nexus: Callable[[Engine], Nexus] | None = None
    succeed: Callable[[], None] | None = None
    updates: Callable[[Engine], Updates] = updates_of


class AppController(QObject):
    """The app from its start to its end: the window first, then the engine, then everything on it."""

    ended = Signal(int)  # everything has ended and the engine is closed; the exit code

    def __init__(
        self, theme: Theme, build: Callable[[], Engine], window: MainWindow, start: Start, parent: QObject
    ) -> None:
        """`build` makes the engine; it is called off the GUI thread, after the first paint."""
        super().__init__(parent)
        self._build, self._clock, self._restore = build, start.clock, start.restore
        self._succeed, self._restarts = start.succeed, False
        self.restoring = Restoring(theme, window, self)
        self._engine: Engine | None = None
        self.running: RunningApp | None = None  # once the engine is built
        self._awaited = ""  # the action that was asked for before that
        self.window = window
        self.tray = Tray(theme, self)
        self.notifications = Notifications(self.tray, self)
        self.settings_controller = SettingsController(theme, window, self)
        self.threads = Threads(self)
        self.system_events = SystemEvents(self)
        self.consent_dialogs = Asking(theme, window, self)
        self.links = Links(self)
        self.links.asked.connect(window.bring_up)
        demo = DemoControl(start.demo, self, at_start=start.with_demo)
        self._shell = Shell(
            theme,
            window,
            self.tray,
            self.notifications,
            self.settings_controller,
            self.threads,
            self.system_events,
            demo,
            start.updates,
            start.nexus,
        )
        self._ending = Ending(self.threads, self._close, self)
        self._ending.ended.connect(self.ended)
        self._wire()

    def _wire(self) -> None:
        window, tray = self.window, self.tray
        window.may_hide = self.may_hide
        window.closing.connect(self.quit)
        window.quit_asked.connect(self.quit)
        window.banner_pressed.connect(self._banner_pressed)
        notes = self.notifications
        for asked in (tray.opened, tray.connect_asked, tray.settings_asked, tray.account_chosen):
            asked.connect(window.bring_up)
        for pressed in (notes.opened, notes.sign_in_asked):
            pressed.connect(window.bring_up)
        for asked in (window.sidebar.connect_asked, tray.connect_asked):
            asked.connect(self._connect_asked)
        tray.quit_asked.connect(self.quit)
        self.settings_controller.failed.connect(self._complain)
        self.consent_dialogs.wanted.connect(window.bring_up)
        self.restoring.said.connect(self._restored)
        self.restoring.ended.connect(self._open_engine)

    # --- beginning ------------------------------------------------------------------------------------------

    def begin(self, *, hidden: bool = False) -> None:
        """Show the window, or only the tray if `hidden` and there is one; then build the engine."""
        there = self.tray.begin()
        self.window.show_model(viewmodel.window((), None, (), self._clock(), kept_in="", loading=True), None)
        if (hidden and there) or self.window.was_painted:
            self._open_engine()
        else:
            self.window.painted.connect(self._open_engine)
            self.window.show()

    def _open_engine(self) -> None:
        Operation(self, self._build, self._built).failing(self._not_built).start()

    def _not_built(self, error: KeyfobError) -> None:
        again, action = "Try again", "build"
        if error.code == "store_damaged" and self._restore is not None:
            again, action = "Restore accounts…", "restore"
        banner = Banner("bad", error.message, remedies.remedy(error), again, action, "", None)
        model = viewmodel.window((), None, (), self._clock(), kept_in="", keychain=banner, loading=True)
        self.window.show_model(model, None)
        self.window.bring_up()

    def _built(self, engine: Engine) -> None:
        self._engine = engine
        if self._ending.begun:
            return
        engine.consents.ask = self.consent_dialogs.ask
        self.running = RunningApp(engine, self._shell, self._clock, self)
        self.running.updates.restart_asked.connect(self._restart_asked)
        self.running.begin()
        mark_started()
        self.running.perform(self._awaited)
        self.links.opened.connect(self.running.nexus.open_link)
        self.links.begin()

    def activate(self, wanted: Activation) -> None:
        """Bring the window up and do what is wanted: at once, or when the engine is there."""
        if self._ending.begun:
            return
        bring_up(self.window, wanted.token)
        if self.running is not None:
            self.running.perform(wanted.action)
        else:
            self._awaited = wanted.action or self._awaited

    def _connect_asked(self) -> None:
        if self.running is None:
            self._awaited = "connect"

    def _restored(self, text: str, good: bool) -> None:
        self.window.say(text, good=good)

    def _complain(self, text: str) -> None:
        self.window.say(text, good=False)

    def _banner_pressed(self, action: str, _key: str) -> None:
        if action == "build":
            self._open_engine()
        elif action == "restore" and self._restore is not None:
            self.restoring.ask(self._restore)

    def may_hide(self) -> bool:
        """Whether the window may hide instead of end the app: only if the tray can bring it back."""
        there = self.tray.present and QSystemTrayIcon.isSystemTrayAvailable()
        return self._ending.begun or (there and self.settings_controller.value.close_to_tray)

    # --- ending ---------------------------------------------------------------------------------------------

    def restart(self) -> bool:
        """End, and start again as the version that is installed now: the agent's socket passes to it. False
        if this copy of Keyfob cannot do that.
        """
        if self._succeed is None:
            return False
        self._succeed()
        self._restarts = True
        self.quit()
        return True

    def quit(self) -> None:
        """End: ask what runs to end, wait for what must not be cut, close the engine; `ended` follows."""
        if self._ending.begun:
            return
        self.consent_dialogs.close()
        self.restoring.close()
        if self.running is not None:
            self.running.close()
        self.window.hide()
        self.tray.close()
        self._ending.begin()

    def _restart_asked(self) -> None:
        if not self.restart():
            self.window.say("Quit Keyfob and start it again, so that it uses the new version.", good=False)

    def _close(self) -> None:
        """Off the GUI thread, when everything else has ended."""
        self._shell.demo.stop()
        if self._restarts:
            try:
                restart_agent()  # one that runs beside the app
            except KeyfobError as error:
                log.info("the agent stays as it is: %s", error.code)
        if self._engine is not None:
            self._engine.close()
