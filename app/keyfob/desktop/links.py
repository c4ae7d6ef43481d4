"""Links that the desktop hands to the app, kept until the part that opens them is there.

One QObject on the GUI thread. A link may contain a key: it is never logged.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, QObject, QUrl, Signal
from PySide6.QtGui import QFileOpenEvent

_MOST = 20  # that wait
_LINK = re.compile(r"nxm://[!-~]{1,2048}", re.IGNORECASE)


def is_link(text: str) -> bool:
    """Whether it has the form of a link that the app may know."""
    return _LINK.fullmatch(text) is not None


class Links(QObject):
    """`opened` says each link once, in the order in which they came."""

    opened = Signal(str)
    asked = Signal()  # for the window, as a link came from the desktop

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: list[str] | None = []

    def arrived(self, link: str) -> None:
        """A link that the app was asked to open."""
        if self._waiting is None:
            self.opened.emit(link)
        elif len(self._waiting) < _MOST:
            self._waiting.append(link)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """MacOS hands links over as an event of the application, which this is installed on."""
        if event.type() == QEvent.Type.FileOpen and isinstance(event, QFileOpenEvent):
            link = event.url().toString(QUrl.ComponentFormattingOption.FullyEncoded)
            if is_link(link):
                self.asked.emit()
                self.arrived(link)
                return True
        return super().eventFilter(watched, event)

    def begin(self) -> None:
        """Whoever opens links has connected to `opened`."""
        waiting, self._waiting = self._waiting or [], None
        for link in waiting:
            self.opened.emit(link)
