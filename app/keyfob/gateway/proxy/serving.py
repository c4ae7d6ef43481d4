"""Runs the gateway's server until it is asked to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback
from keyfob.gateway.engine_secret import EngineSecret
from keyfob.gateway.proxy.decide import logged
from keyfob.gateway.proxy.server import Gateway

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from keyfob.gateway.auth.result import AuthProvider
    from keyfob.gateway.proxy.own import OwnAddress
    from keyfob.service.accounts.signer import Signer

FINISH_WITHIN = 30.0  # seconds that open streams get at the end


class AccessLog(AbstractAccessLogger):
    """A line for each request: never a query, a header or a body."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called by aiohttp, when the answer has ended."""
        method, target = logged(request)
        path = target.partition("?")[0]
        self.logger.info("%s %s %s %.0f ms", method[:20], path[:300], response.status, time * 1000)


async def serve(
    signer: Signer,
    provider: AuthProvider,
    sessions: sessionmaker[Session] | None,
    *,
    secret: EngineSecret,
    host: str,
    port: int,
    say: Callable[[str], None],
    more: Iterable[OwnAddress] = (),
    also: Callable[[web.Application], None] = lambda _: None,
) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP. `secret` is an engine's, for `/decide`, and `more` as in
    `Gateway`. `also` adds addresses with rules of their own. `say` gets the one line that says where. Raises
    SettingWrong `port_taken`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        with suppress(NotImplementedError, AttributeError):
            loop.add_signal_handler(getattr(signal, name), stop.set)
    names = _names(host)
    hosts: set[str] = set()
    gateway = Gateway(signer, provider, sessions, hosts if names else None, secret, more)
    application = gateway.app()
    also(application)
    runner = web.AppRunner(
        application,
        handle_signals=False,
        handler_cancellation=True,
        access_log_class=AccessLog,
        access_log=logging.getLogger("keyfob.gateway.access"),
        auto_decompress=False,
        shutdown_timeout=FINISH_WITHIN,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise SettingWrong(f"Port {port} cannot be used: {error.strerror}", code="port_taken") from None
        taken = runner.addresses[0][1]
        hosts.update(f"{name}:{taken}" for name in names)
        shown = f"[{host}]" if ":" in host else host
        say(f"Listening on http://{shown}:{taken}")
        await stop.wait()
        gateway.stopping = True
    finally:
        await runner.cleanup()
        await asyncio.to_thread(provider.close)


def _names(host: str) -> list[str]:
    """What `Host` may be: on loopback alone, where a page in a browser could come under another name."""
    return ["127.0.0.1", "localhost", "[::1]"] if is_loopback(host) else []
