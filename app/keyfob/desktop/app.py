"""The desktop app: `main` runs it from start to end. Called only by `__main__`."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QLoggingCategory,
    QObject,
    QSocketNotifier,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
    qWarning,
)
from PySide6.QtWidgets import QApplication

from keyfob.core.errors import KeyfobError
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.desktop.shared import icons, operation
from keyfob.desktop.shared.activation import THE_WINDOW, Activation, own_start
from keyfob.desktop.shared.single_instance import Instance
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.place import WindowPlace
from keyfob.process import log
from keyfob.process.app_id import APP_ID
from keyfob.process.home import Home, open_home

if TYPE_CHECKING:
    from keyfob.agent.succession import Succession
    from keyfob.demo.server import DemoServer
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.demo_control import Demo
    from keyfob.engine import Engine
    from keyfob.nexus.service import Nexus
    from keyfob.service.accounts.recovery import Recovered

NO_SCREEN = (
    "Keyfob cannot open a window, because there is no screen. Run `keyfob --help` to see the commands, "
    "`keyfob agent` to keep accounts signed in without a window, or `keyfob demo --headless` to see the "
    "demo."
)
NO_SCREEN_EXIT = 8  # as SettingWrong
DEMO_LIFETIME = 60  # seconds: short enough to watch a renewal
START_HIDDEN = "KEYFOB_START_HIDDEN"  # set by the login entry: only the tray, if there is one


def main(arguments: Sequence[str]) -> int:
    """The desktop app, until the user quits; the exit code. `--demo` starts the demo provider with it.
    Without a keychain the demo plays in memory, in a home that is gone at the end. `--action=NAME` asks for
    one of `activation.ACTIONS`. Raises SettingWrong.
    """
    start_demo = "--demo" in arguments
    succession = None if start_demo else _succession()
    action = next((word.partition("=")[2] for word in arguments if word.startswith("--action=")), "")
    with ExitStack() as until_the_end:
        home, vault = open_home(), None
        if start_demo:
            from keyfob.engine import has_keychain, memory_vault

            if not has_keychain(home):
                from tempfile import TemporaryDirectory

                # In a separate home: without a keychain, the accounts of
                # the user's own home would lose theirs.
                folder = until_the_end.enter_context(TemporaryDirectory(prefix="keyfob-demo-"))
                home, vault = open_home({"KEYFOB_HOME": folder}), memory_vault()
        log.set_up(home.log)

        def build() -> Engine:
            from keyfob.agent.run import serving_engine

            return serving_engine(home, vault, succession)

        def restore() -> Recovered:
            from keyfob.engine import recover

            return recover(home, window=True)[0]

        start = Begin(
            own_start(action),
            succession=succession,
            start_demo=start_demo,
            # The desktop knows one Keyfob: that of the person's own home.
            on_bus=vault is None and not os.environ.get("KEYFOB_HOME"),
            hidden=os.environ.get(START_HIDDEN) == "1",
        )
        return run(
            build,
            home=home,
            demo=lambda: _lasting_demo(home),
            begin=start,
            restore=restore,
            # They ask this home's agent for tokens, which the demo's home of its own has none of.
            nexus=open_nexus if vault is None else None,
        )


def open_nexus(engine: Engine) -> Nexus:
    """The services of Nexus Mods, for this home. This process has the engine, so it signs their requests."""
    from keyfob.agent.own_source import OwnSource
    from keyfob.client import tokens
    from keyfob.nexus.service import Nexus

    tokens.ask(OwnSource(engine.accounts, engine.signer))
    return Nexus(engine.home.state, engine.home.data)


def _succession() -> Succession | None:
    """For a copy that can become a newer version by itself."""
    from keyfob.updates.bundle import this_bundle

    if this_bundle() is None:
        return None
    from keyfob.agent.succession import Succession

    return Succession()


def _lasting_demo(home: Home) -> DemoServer:
    from keyfob.demo.lasting import start_lasting

    return start_lasting(home.data, home.config, access_lifetime=DEMO_LIFETIME)


@dataclass(frozen=True)
class Begin:
    """What the app does first. `on_bus`: it answers the desktop on the session bus. `hidden`: only the tray
    is shown, if there is one. `succession`: if the app can become another version.
    """

    wanted: Activation = THE_WINDOW
    start_demo: bool = False
    on_bus: bool = False
    hidden: bool = False
    succession: Succession | None = None


def run(
    build: Callable[[], Engine],
    *,
    home: Home,
    demo: Callable[[], Demo] | None = None,
    begin: Begin = Begin(),
    restore: Callable[[], Recovered] | None = None,
    nexus: Callable[[Engine], Nexus] | None = None,
) -> int:
    """Open the window and stay until the user quits; the exit code.

    `build` makes the engine and is called off the GUI thread, after the first paint. `demo` starts the demo
    provider, if it is installed. `restore` and `nexus` as in `Start`. A second start for the same home raises
    the first's window, with what it wants, and returns 0.
    """
    app = _application()
    app.setApplicationName("Keyfob")
    # Qt registers this name with the desktop's portal, and warns on a desktop that has none.
    QLoggingCategory.setFilterRules("qt.qpa.services.warning=false")
    app.setDesktopFileName(APP_ID)
    app.setQuitOnLastWindowClosed(False)
    app.setWindowIcon(icons.app_icon())
    instance = Instance(home)
    if not instance.first(begin.wanted):
        return 0
    theme = Theme(app, saved_theme(home))
    window = MainWindow(theme)
    place = WindowPlace(window, home.state)
    app.aboutToQuit.connect(place.finish)

    def make() -> AppController:
        # Everything but the window itself is loaded after its first paint: a third of the start.
        from keyfob.desktop.controller import AppController, Start

        succeed = begin.succession.ask if begin.succession is not None else None
        start = Start(demo, begin.start_demo, restore, nexus=nexus, succeed=succeed)
        controller = AppController(theme, build, window, start, app)
        controller.ended.connect(app.exit)
        if sys.platform == "darwin":  # elsewhere it would only cost time at each event
            app.installEventFilter(controller.links)
        return controller

    def answer_desktop(controller: AppController) -> None:
        from keyfob.desktop.bus_service import BusService

        bus = BusService(app)
        bus.asked.connect(controller.activate)
        bus.link_arrived.connect(controller.links.arrived)
        controller.ended.connect(bus.close)
        bus.begin()

    opening = Opening(app, window, make, answer_desktop if begin.on_bus else None)
    instance.raised.connect(opening.activate)
    signals = Signals(app)
    signals.asked_to_end.connect(opening.quit)
    opening.begin(begin)
    code = app.exec()
    instance.close()
    signals.close()
    if begin.succession is not None and begin.succession.asked:
        os.environ.pop(START_HIDDEN, None)  # the user asked for the restart, and sees it
        begin.succession.become(())
    if opening.busy():
        # Something did not end in its time. Destroying a thread that runs would abort: leave without it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _application() -> QApplication:
    """Qt's application. Without a screen Qt aborts the process; that ends here with a message and exit 8."""
    said: list[str] = []

    def hear(kind: QtMsgType, _: object, message: str) -> None:
        if kind != QtMsgType.QtFatalMsg:
            said.append(message)
            return
        # If there should be a screen, Qt's own words say what is wrong with it or which library is missing.
        named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        lines = [*(plain(each, 500) for each in said if named), f"keyfob: {NO_SCREEN}", ""]
        with suppress(OSError):  # a full disk must not let Qt abort
            os.write(2, "\n".join(lines).encode())
        os._exit(NO_SCREEN_EXIT)

    before = qInstallMessageHandler(hear)
    app = QApplication(sys.argv[:1])
    qInstallMessageHandler(before)
    for message in said:
        qWarning(message)
    return app


def saved_theme(home: Home) -> str:
    """The theme from the settings file, before anything is built, so that the first paint is in it."""
    try:
        data = json.loads((home.config / "settings.json").read_text(encoding="utf-8"))
        return Settings.from_mapping(data).theme
    except (OSError, ValueError, TypeError, AttributeError, KeyfobError):
        return "system"


class Opening(QObject):
    """The window first, then its controller."""

    def __init__(
        self,
        app: QApplication,
        window: MainWindow,
        make: Callable[[], AppController],
        made: Callable[[AppController], None] | None = None,
    ) -> None:
        """`made` is called with the controller once it has begun."""
        super().__init__(app)
        self._app, self._window, self._make, self._made = app, window, make, made
        self._controller: AppController | None = None
        self._wanted: Activation | None = None  # asked for before the controller is there

    def begin(self, begin: Begin) -> None:
        """Show the window, or start without one if it is to be hidden."""
        if begin.wanted.action:
            self._wanted = begin.wanted
        if begin.hidden and self._wanted is None:
            self._open(hidden=True)
        else:
            self._window.painted.connect(self._painted)
            self._window.closing.connect(self.quit)
            self._window.show()

    def _painted(self) -> None:
        self._open(hidden=False)

    def _open(self, *, hidden: bool) -> None:
        if not hidden:
            self._window.closing.disconnect(self.quit)
        self._controller = self._make()
        self._controller.begin(hidden=hidden)
        if self._made is not None:
            self._made(self._controller)
        if self._wanted is not None:
            self._controller.activate(self._wanted)

    def activate(self, wanted: Activation) -> None:
        """Another start wants to see the window."""
        if self._controller is not None:
            self._controller.activate(wanted)
        else:
            self._wanted = wanted
            self._window.bring_up()

    def quit(self) -> None:
        """End the app, also before the engine is there."""
        if self._controller is None:
            self._app.exit(0)
        else:
            self._controller.quit()

    def busy(self) -> bool:
        """Something has not ended in its time."""
        return self._controller is not None and (
            bool(operation.running()) or self._controller.threads.alive() > 0
        )


class Signals(QObject):
    """SIGTERM and SIGINT, brought into Qt's loop: the app ends in order, with nothing cut."""

    asked_to_end = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._handlers = {n: signal.signal(n, _noticed) for n in (signal.SIGTERM, signal.SIGINT)}
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._arrived)

    def _arrived(self) -> None:
        try:
            self._reader.recv(64)
        except BlockingIOError:
            return
        self.asked_to_end.emit()

    def close(self) -> None:
        """Give the signals back to whoever had them."""
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """The wake-up socket does the work; without a handler Python would end at once."""
