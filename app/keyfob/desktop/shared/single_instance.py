"""One window for each home: the first process holds a lock and listens.
A second one asks it to come to the front, and exits.

The socket is in the home's run folder (0700) and is owner-only. A connection only means that somebody wants
to see the window. Nothing is read from it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

if TYPE_CHECKING:
    from keyfob.process.home import Home


PATH_MOST = 100  # bytes that a Unix socket's path has room for
FIRST_WITHIN = 5.0  # seconds a first instance may take from its lock to its socket
STEP = 100  # milliseconds


class Instance(QObject):
    """Makes sure that one process shows the window of a home, and lets later ones raise it."""

    raised = Signal()  # a second start wants to see the window

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        path = str(home.run / "window.sock")
        self._name = path if len(path.encode()) < PATH_MOST else f"keyfob-{home.id[:24]}"
        self._lock = QLockFile(str(home.run / "window.lock"))
        self._lock.setStaleLockTime(0)  # stale when its process is gone, never by age
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._visited)

    def first(self) -> bool:
        """True for the first, which listens from here on. False: the first was asked to come to the front."""
        until = time.monotonic() + FIRST_WITHIN
        while True:
            if self._lock.tryLock(0):
                QLocalServer.removeServer(
                    self._name
                )  # left behind by a crash: the lock shows that no process listens
                if self._server.listen(self._name) and os.name != "nt":
                    Path(self._server.fullServerName()).chmod(0o600)  # Qt leaves 0700
                return True
            if self.raise_first() or time.monotonic() > until:
                return False

    def raise_first(self) -> bool:
        """Ask the first to come to the front. Blocks for up to 3 seconds. False: no process listens yet."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(1000):
            time.sleep(STEP / 1000)
            return False
        socket.waitForDisconnected(2000)
        return True

    def _visited(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnectFromServer()
            socket.deleteLater()
            self.raised.emit()

    def close(self) -> None:
        """Free the place at once."""
        self._server.close()
        self._lock.unlock()
