"""Runs the gateway's server: in the foreground by `serve`, or within another program by `listening`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback
from keyfob.gateway.engine_secret import EngineSecret
from keyfob.gateway.proxy.connections import Connections, Limits
from keyfob.gateway.proxy.decide import logged
from keyfob.gateway.proxy.parts import More, nothing_more
from keyfob.gateway.proxy.server import Gateway

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from keyfob.gateway.auth.result import AuthProvider
    from keyfob.gateway.engines import SignerOf

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FINISH_WITHIN = 30.0  # seconds that open streams get at the end
IDLE_MOST = 75.0  # seconds between two requests of a connection
BACKLOG = 1024  # connections that wait to be accepted
FILES = 65_536  # open files at most: a stream has two connections
USUAL = Limits()


class AccessLog(AbstractAccessLogger):
    """A line for each request: never a query, a header or a body."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called by aiohttp, when the answer has ended."""
        # Whoever is not an engine gets 404 at /decide, and must not choose what is logged.
        own = request.method, request.raw_path
        method, target = own if response.status == 404 else logged(request)
        path = target.partition("?")[0]
        self.logger.info("%s %s %s %.0f ms", method[:20], path[:300], response.status, time * 1000)


async def serve(
    signers: SignerOf,
    provider: AuthProvider,
    sessions: sessionmaker[Session] | None,
    *,
    secret: EngineSecret,
    limits: Limits,
    host: str,
    port: int,
    say: Callable[[str], None],
    more: More = nothing_more,
    also: Callable[[web.Application], None] = lambda _: None,
) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP. `secret` is an engine's, for `/decide`, and `more` as in
    `Gateway`. `also` adds addresses with rules of their own. `say` gets the one line that says where. Raises
    SettingWrong `gateway_port_taken`.
    """
    _raise_file_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        with suppress(NotImplementedError, AttributeError):
            loop.add_signal_handler(getattr(signal, name), stop.set)
    hosts = hosts_of(host)
    gateway = Gateway(signers, provider, sessions, hosts, secret, more)
    application = gateway.app()
    also(application)
    try:
        async with listening(gateway, application, hosts, host, port, limits=limits) as address:
            say(f"Listening on {address}")
            await stop.wait()
    finally:
        await asyncio.to_thread(provider.close)


@asynccontextmanager
async def listening(
    gateway: Gateway,
    application: web.Application,
    hosts: set[str] | None,
    host: str,
    port: int,
    finish_within: float = FINISH_WITHIN,
    limits: Limits = USUAL,
) -> AsyncIterator[str]:
    """The gateway's address while it serves. `hosts`: what the gateway was made with, from `hosts_of`; the
    names of the address are added. At the end, open streams get `finish_within` seconds. Raises SettingWrong
    `gateway_port_taken`.
    """
    connections = Connections(limits)
    application.middlewares.append(connections.mark)
    runner = web.AppRunner(
        application,
        handle_signals=False,
        handler_cancellation=True,
        access_log_class=AccessLog,
        access_log=logging.getLogger("keyfob.gateway.access"),
        auto_decompress=False,
        shutdown_timeout=finish_within,
        keepalive_timeout=IDLE_MOST,
    )
    await runner.setup()
    try:
        assert runner.server is not None
        guarded = connections.guarded(runner.server)
        try:
            socket = await asyncio.get_running_loop().create_server(guarded, host, port, backlog=BACKLOG)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise SettingWrong(f"Port {port} cannot be used: {reason}", code="gateway_port_taken") from None
        taken = socket.sockets[0].getsockname()[1]
        if hosts is not None:
            hosts.update(f"{name}:{taken}" for name in LOOPBACK)
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{taken}"
        finally:
            gateway.stopping = True
            socket.close()
    finally:
        await runner.cleanup()


def hosts_of(host: str) -> set[str] | None:
    """What `Host` may be: on loopback alone, where a page in a browser could come under another name. Empty
    until `listening` knows the port; None for any.
    """
    return set() if is_loopback(host) else None


def _raise_file_limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop if it is installed (the extra `fast`)."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
