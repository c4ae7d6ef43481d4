"""Links that the desktop hands to the app, kept until the part that opens them is there.

One QObject on the GUI thread. A link may contain a key: it is never logged.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

_MOST = 20  # that wait


class Links(QObject):
    """`opened` says each link once, in the order in which they came."""

    opened = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: list[str] | None = []

    def arrived(self, link: str) -> None:
        """A link that the app was asked to open."""
        if self._waiting is None:
            self.opened.emit(link)
        elif len(self._waiting) < _MOST:
            self._waiting.append(link)

    def begin(self) -> None:
        """Whoever opens links has connected to `opened`."""
        waiting, self._waiting = self._waiting or [], None
        for link in waiting:
            self.opened.emit(link)
