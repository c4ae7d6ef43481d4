"""One window for each home: the first process holds a lock and listens.
A second one asks it to come to the front, and exits.

The socket is in the home's run folder (0700) and is owner-only. A connection means that somebody wants to see
the window. One short line is read from it: an action of the menu entry, and the desktop's token for the
focus.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QObject, QTimer, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from keyfob.desktop.shared.activation import MOST, THE_WINDOW, Activation, unpacked

if TYPE_CHECKING:
    from keyfob.process.home import Home


PATH_MOST = 100  # bytes that a Unix socket's path has room for
FIRST_WITHIN = 5.0  # seconds a first instance may take from its lock to its socket
STEP = 100  # milliseconds
LINE_WITHIN = 500  # milliseconds for the line; an earlier version of Keyfob sends none


class Instance(QObject):
    """Makes sure that one process shows the window of a home, and lets later ones raise it."""

    raised = Signal(Activation)  # a second start wants to see the window

    def __init__(self, home: Home, parent: QObject | None = None) -> None:
        super().__init__(parent)
        path = str(home.run / "window.sock")
        self._name = path if len(path.encode()) < PATH_MOST else f"keyfob-{home.id[:24]}"
        self._lock = QLockFile(str(home.run / "window.lock"))
        self._lock.setStaleLockTime(0)  # stale when its process is gone, never by age
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._visited)

    def first(self, wanted: Activation = THE_WINDOW) -> bool:
        """True for the first, which listens from here on. False: the first was asked to come to the front,
        and to do what is `wanted`.
        """
        until = time.monotonic() + FIRST_WITHIN
        while True:
            if self._lock.tryLock(0):
                QLocalServer.removeServer(
                    self._name
                )  # left behind by a crash: the lock shows that no process listens
                if self._server.listen(self._name) and os.name != "nt":
                    Path(self._server.fullServerName()).chmod(0o600)  # Qt leaves 0700
                return True
            if self.raise_first(wanted) or time.monotonic() > until:
                return False

    def raise_first(self, wanted: Activation = THE_WINDOW) -> bool:
        """Ask the first to come to the front. Blocks for up to 3 seconds. False: no process listens yet."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(1000):
            time.sleep(STEP / 1000)
            return False
        socket.write(wanted.packed())
        socket.waitForBytesWritten(1000)
        socket.waitForDisconnected(2000)
        return True

    def _visited(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            _Visit(socket, self).ended.connect(self.raised)

    def close(self) -> None:
        """Free the place at once."""
        self._server.close()
        self._lock.unlock()


class _Visit(QObject):
    """Reads the line of one visitor, and lets it go."""

    ended = Signal(Activation)

    def __init__(self, socket: QLocalSocket, parent: QObject) -> None:
        super().__init__(parent)
        self._socket, self._over = socket, False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._end)
        self._timer.start(LINE_WITHIN)
        socket.setReadBufferSize(MOST)
        socket.readyRead.connect(self._look)
        socket.disconnected.connect(self._end)
        QTimer.singleShot(0, self, self._look)  # it may all be there already

    def _look(self) -> None:
        if self._socket.canReadLine() or self._socket.bytesAvailable() >= MOST:
            self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over, socket = True, self._socket
        self._timer.stop()
        wanted = unpacked(bytes(socket.read(MOST).data()))
        socket.disconnectFromServer()
        socket.deleteLater()
        self.deleteLater()
        self.ended.emit(wanted)
