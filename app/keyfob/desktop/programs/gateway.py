"""The gateway inside the app: started and stopped as the settings say.

One QObject on the GUI thread. The gateway runs on a thread with an event loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from keyfob.core.settings import Settings
from keyfob.engine import Engine
from keyfob.gateway.own_gateway import OwnGateway, Standing, runs
from keyfob.gateway.rate_limits import RateLimit

AGAIN = 15_000  # milliseconds: the port may be free by then


class GatewayRun(QObject):
    """`changed` follows each change of `standing`."""

    changed = Signal()
    _said = Signal(object, object)

    def __init__(
        self, engine: Engine, spawn: Callable[[Callable[[], None], str], None], parent: QObject
    ) -> None:
        """`spawn` runs a function on a thread that the app waits for at its end."""
        super().__init__(parent)
        self._engine, self._spawn = engine, spawn
        self._wanted = Settings().gateway
        self._port = Settings().gateway_port
        self._run: OwnGateway | None = None
        self._closed = False
        self.standing = Standing("off", self._port)
        self._said.connect(self._heard, Qt.ConnectionType.QueuedConnection)
        self._again = QTimer(self, singleShot=True)
        self._again.setInterval(AGAIN)
        self._again.timeout.connect(self.try_again)

    def follow(self, settings: Settings) -> None:
        """Run, or not, and on this port."""
        changed = (settings.gateway, settings.gateway_port) != (self._wanted, self._port)
        moved = settings.gateway_port != self._port
        self._wanted, self._port = settings.gateway, settings.gateway_port
        if not changed:
            return
        self._again.stop()
        if self._run is None:
            self.standing = Standing("off", self._port)
            self._begin()
        elif not self._wanted or moved:
            self._run.stop()  # and the end of this run begins the next one, if one is wanted
        self.changed.emit()

    def try_again(self) -> None:
        """Now, after it could not start."""
        if self._run is None:
            self._begin()

    def write_uses(self) -> None:
        """What was counted can be read now. Blocks; any thread may call this."""
        run = self._run
        if run is not None:
            run.write_uses()

    def runs_elsewhere(self) -> bool:
        """Whether another process serves the same programs, while this one does not. Any thread may call
        this.
        """
        return self._run is None and runs(self._engine.locks, self._port)

    def rate_limits(self) -> Mapping[str, RateLimit]:
        """What providers said of their limits last, by account; nothing while it is off."""
        return {} if self._run is None else self._run.rate_limits()

    def close(self) -> None:
        """Stop; the app waits for the thread."""
        self._closed = True
        self._again.stop()
        if self._run is not None:
            self._run.stop()

    def _begin(self) -> None:
        if self._closed or not self._wanted:
            return
        engine = self._engine
        run = OwnGateway(
            engine.signer,
            engine.locks,
            engine.home,
            self._port,
            lambda standing: self._said.emit(run, standing),
        )
        self._run = run
        self._spawn(run.run, "gateway")

    def _heard(self, run: object, standing: Standing) -> None:
        if run is not self._run:
            return
        if standing.state in ("off", "failed", "elsewhere"):
            self._run = None
            moved = standing.port != self._port
            if self._wanted and (standing.state == "off" or moved):
                self._begin()  # it was switched on again, or to another port, while it ended
            elif self._wanted:
                self._again.start()
            if not self._wanted or moved:
                standing = Standing("off", self._port)
        self.standing = standing
        self.changed.emit()
