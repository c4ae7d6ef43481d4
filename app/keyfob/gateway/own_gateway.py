"""The person's own gateway, on loopback, in a process that does other things too: the desktop app.

It serves the grants of the database that `keyfob grants` uses. Imports the gateway's packages when it runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from keyfob.core.errors import Fault, KeyfobError, SettingWrong, Transient
from keyfob.core.gateway_address import own_address
from keyfob.gateway.engines import only
from keyfob.gateway.packages import check_packages, own_url
from keyfob.ports import Locks

if TYPE_CHECKING:
    from keyfob.gateway.proxy.own import OwnAddress
    from keyfob.gateway.proxy.parts import Parts
    from keyfob.gateway.proxy.server import Gateway
    from keyfob.gateway.rate_limits import RateLimit
    from keyfob.process.home import Home
    from keyfob.service.accounts.signer import Signer

log = logging.getLogger("keyfob.gateway")
HOST = "127.0.0.1"
FINISH_WITHIN = 5.0  # seconds that open streams get at the end
LOOK = timedelta(seconds=0.2)  # that a lock is waited for: its holder may only have looked

State = Literal["off", "starting", "on", "elsewhere", "failed"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the gateway stands. `elsewhere`: `keyfob serve` serves the same grants on this port."""

    state: State
    port: int
    error: KeyfobError | None = None  # why it failed

    @property
    def address(self) -> str:
        """Where programs reach it."""
        return own_address(self.port)


def serving(locks: Locks, port: int) -> AbstractContextManager[None]:
    """Held by whoever serves the person's own grants on this port. Raises Transient `busy` if another process
    does.
    """
    return locks.hold(_lock(port), timeout=LOOK)


def runs(locks: Locks, port: int) -> bool:
    """Whether some process serves the person's own grants on this port."""
    return locks.held(_lock(port))


def _lock(port: int) -> str:
    return f"gateway-{port}"


class OwnGateway:
    """One run on one port. Thread-safe."""

    def __init__(
        self, signer: Signer, locks: Locks, home: Home, port: int, say: Callable[[Standing], None]
    ) -> None:
        """`say` is called on the thread of `run`."""
        self._signer, self._locks, self._home, self._port, self._say = signer, locks, home, port, say
        self._guard = threading.Lock()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._gateway: Gateway | None = None

    def run(self) -> None:
        """Serves until `stop`. Blocks and never raises: `say` hears how it stands, and at the end that it is
        off, failed, or that somebody else serves.
        """
        ended = Standing("off", self._port)
        try:
            with ExitStack() as held:
                self._say(Standing("starting", self._port))
                check_packages()
                try:
                    held.enter_context(serving(self._locks, self._port))
                except Transient:
                    ended = Standing("elsewhere", self._port)
                else:
                    asyncio.run(self._serve())
        except KeyfobError as error:
            ended = Standing("failed", self._port, error)
        except Exception as error:
            log.error("The gateway ended with %s", type(error).__name__)
            detail = type(error).__name__
            ended = Standing("failed", self._port, Fault("The gateway has stopped", detail=detail))
        self._say(ended)

    def stop(self) -> None:
        """Asks `run` to end. Does not wait."""
        with self._guard:
            self._stopped = True
            if self._loop is not None and self._stop is not None:
                with suppress(RuntimeError):  # it has just ended
                    self._loop.call_soon_threadsafe(self._stop.set)

    def write_uses(self) -> None:
        """Puts what was counted into the database, so that it can be read at once. Blocks."""
        gateway = self._gateway
        if gateway is not None:
            gateway.write_uses()

    def rate_limits(self) -> Mapping[str, RateLimit]:
        """What providers said of their limits last, by account."""
        gateway = self._gateway
        return {} if gateway is None else gateway.rate_limits()

    async def _serve(self) -> None:
        from keyfob.gateway.auth import create_auth_provider
        from keyfob.gateway.auth.tables import close_database, open_database
        from keyfob.gateway.engine_secret import FILE, EngineSecret
        from keyfob.gateway.models import table_file
        from keyfob.gateway.models.routes import llm_addresses
        from keyfob.gateway.proxy.server import Gateway
        from keyfob.gateway.proxy.serving import hosts_of, listening

        with self._guard:
            if self._stopped:
                return
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            sessions = await asyncio.to_thread(open_database, own_url(self._home.data))
        except OSError as error:
            raise SettingWrong(f"The gateway’s database cannot be opened: {error.strerror}") from None
        provider = create_auth_provider("database", {"session_factory": sessions})
        assert provider is not None
        try:
            hosts, secret = hosts_of(HOST), EngineSecret(self._home.data / FILE)
            table = table_file.WatchedTable(self._home.config / table_file.FILE, strict=False)

            def more(parts: Parts) -> list[OwnAddress]:
                return llm_addresses(parts, only(self._signer), table)

            gateway = Gateway(only(self._signer), provider, sessions, hosts, secret, more)
            async with listening(gateway, gateway.app(), hosts, HOST, self._port, FINISH_WITHIN):
                self._gateway = gateway
                self._say(Standing("on", self._port))
                await self._stop.wait()
        finally:
            self._gateway = None
            await asyncio.to_thread(provider.close)
            close_database(sessions)
