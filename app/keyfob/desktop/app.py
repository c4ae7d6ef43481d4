"""The desktop app: `run` is its whole life. Called by bootstrap alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QObject, QSocketNotifier, Signal
from PySide6.QtWidgets import QApplication

from keyfob.core.errors import KeyfobError
from keyfob.core.settings import Settings
from keyfob.desktop import icons, operation
from keyfob.desktop.desk import Demo, Desk
from keyfob.desktop.engine import Engine, Home
from keyfob.desktop.instance import Instance
from keyfob.desktop.preferences import Autostart
from keyfob.desktop.theme import Theme

START_HIDDEN = "KEYFOB_START_HIDDEN"  # set by the login entry: only the tray, where there is one


def run(
    build: Callable[[], Engine],
    *,
    home: Home,
    demo: Callable[[], Demo] | None = None,
    start_demo: bool = False,
    autostart: Autostart | None = None,
) -> int:
    """Open the window and stay until the person quits; the exit code.

    `build` makes the engine and is called off the GUI thread, after the first paint. `demo` starts the demo
    provider, where it is installed; `start_demo` asks for it at once. A second start for the same home raises the
    first's window and returns 0.
    """
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Keyfob")
    app.setDesktopFileName("keyfob")
    app.setQuitOnLastWindowClosed(False)
    app.setWindowIcon(icons.app_icon())
    instance = Instance(home)
    if not instance.first():
        return 0
    theme = Theme(app, _theme(home))
    desk = Desk(app, theme, build, demo=demo, start_demo=start_demo, autostart=autostart, instance=instance)
    signals = Signals(app)
    signals.asked_to_end.connect(desk.quit)
    desk.begin(hidden=os.environ.get(START_HIDDEN) == "1")
    code = app.exec()
    instance.close()
    signals.close()
    if operation.running() or desk.threads.alive():
        # Something did not end in its time. Destroying a thread that runs would abort: leave without it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _theme(home: Home) -> str:
    """The theme from the settings file, before anything is built, so that the first paint is in it."""
    try:
        data = json.loads((home.config / "settings.json").read_text(encoding="utf-8"))
        return Settings.from_mapping(data).theme
    except (OSError, ValueError, TypeError, AttributeError, KeyfobError):
        return "system"


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
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._before)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()


def _noticed(_number: int, _frame: FrameType | None) -> None:
    """The wake-up socket does the work; without a handler Python would end at once."""
