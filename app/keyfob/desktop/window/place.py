"""Where the window stood when it was last open, and how wide its list was: a file in the state folder."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QSize

from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window.main_window import MainWindow
from keyfob.process.home import write_private

log = logging.getLogger(__name__)
FILE = "window.json"
LAST_WRITE = 5_000  # milliseconds that a write has at the end
FRAME = QSize(8, 40)  # pixels that the desktop draws around a window


class WindowPlace(QObject):
    """Puts the window back at the start, and notes its place whenever it is hidden. On the GUI thread; the
    file is written off it, so that a slow disk holds nothing up.
    """

    def __init__(self, window: MainWindow, state: Path) -> None:
        super().__init__(window)
        self._window, self._file = window, state / FILE
        self._fit()
        self._noted = self._written = self._restore()
        self._writing: Operation | None = None
        window.hidden.connect(self.note)

    def _fit(self) -> None:
        """With large text on a small screen, no size asks for more than there is; the pages scroll."""
        room = self._window.screen().availableSize() - FRAME
        self._window.setMinimumSize(self._window.minimumSize().boundedTo(room))
        self._window.resize(self._window.size().boundedTo(room))

    def note(self) -> None:
        """Have the place written down if it has changed. A disk that refuses costs nothing but the place."""
        self._noted = self._place()
        if self._writing is None and self._noted != self._written:
            place = self._noted
            self._writing = Operation(self, lambda: self._write(place), self._wrote).start()

    def finish(self) -> None:
        """The app ends: the place is in the file when this returns. Waits for a write that is under way."""
        self._noted = self._place()
        if self._writing is not None:
            self._writing.wait(LAST_WRITE)
        if self._noted != self._written:
            self._write(self._noted)

    def _place(self) -> dict[str, object]:
        return {
            "geometry": base64.b64encode(self._window.saveGeometry().data()).decode(),
            "sidebar": self._window.sidebar_width,
        }

    def _wrote(self, _result: object) -> None:
        self._writing = None
        self.note()  # it may have moved in the meantime

    def _write(self, place: dict[str, object]) -> None:
        self._written = place
        try:
            write_private(self._file, json.dumps(place).encode())
        except OSError as error:
            log.info("the window's place was not saved: %s", error.strerror)

    def _restore(self) -> dict[str, object]:
        """Qt moves a window that would lie outside every screen onto one."""
        try:
            place = json.loads(self._file.read_bytes())
            self._window.restoreGeometry(QByteArray(base64.b64decode(place["geometry"], validate=True)))
            if place["sidebar"] is not None:
                self._window.choose_sidebar_width(int(place["sidebar"]))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError):
            log.info("the window's last place could not be read")
            return {}
        return dict(place)
