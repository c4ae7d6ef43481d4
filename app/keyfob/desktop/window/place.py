"""Where the window stood when it was last open, and how wide its list was: a file in the state folder."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QSize

from keyfob.desktop.window.main_window import MainWindow
from keyfob.process.home import write_private

log = logging.getLogger(__name__)
FILE = "window.json"
FRAME = QSize(8, 40)  # pixels that the desktop draws around a window


class WindowPlace(QObject):
    """Puts the window back at the start, and notes its place whenever it is hidden. On the GUI thread."""

    def __init__(self, window: MainWindow, state: Path) -> None:
        super().__init__(window)
        self._window, self._file = window, state / FILE
        self._fit()
        self._noted = self._restore()
        window.hidden.connect(self.note)

    def _fit(self) -> None:
        """With large text on a small screen, no size asks for more than there is; the pages scroll."""
        room = self._window.screen().availableSize() - FRAME
        self._window.setMinimumSize(self._window.minimumSize().boundedTo(room))
        self._window.resize(self._window.size().boundedTo(room))

    def note(self) -> None:
        """Write the place down if it has changed. A disk that refuses costs nothing but the place."""
        place: dict[str, object] = {
            "geometry": base64.b64encode(self._window.saveGeometry().data()).decode(),
            "sidebar": self._window.sidebar_width,
        }
        if place == self._noted:
            return
        self._noted = place
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
