"""Connections that keep others waiting end: those that never finish a request's head, that stop reading their
answer, or that one address opens by the thousand. aiohttp has no limits for these.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, cast

from aiohttp import web
from aiohttp.typedefs import Handler

# Seconds, probes: a peer that vanished without a word is noticed after two minutes.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class Limits(NamedTuple):
    """`head_within`: seconds for a request's head, from its first byte (of a new connection, from its start).
    `stalled_most`: seconds that a caller may read nothing of an answer that waits for it. `from_address`:
    connections that one address may have at a time.
    """

    head_within: float = 15.0
    stalled_most: float = 60.0
    from_address: int = 2048


class Connections:
    """Makes the guarded protocols of one server. For one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.by_address: Counter[str] = Counter()
        self._open: dict[asyncio.BaseTransport, Guard] = {}

    def guarded(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        """The protocol factory of a listening socket."""
        return lambda: Guard(self, server())

    @web.middleware
    async def mark(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A middleware: the request's head is there, and, after the answer, the next byte begins another."""
        guard = self._open.get(request.transport) if request.transport is not None else None
        if guard is None:
            return await handler(request)
        guard.head_is_there()
        try:
            return await handler(request)
        finally:
            guard.busy = False

    def opened(self, transport: asyncio.BaseTransport, guard: Guard) -> None:
        """A connection is there."""
        self._open[transport] = guard

    def closed(self, transport: asyncio.BaseTransport | None) -> None:
        """It is not any more."""
        if transport is not None:
            self._open.pop(transport, None)


class Guard(asyncio.Protocol):
    """Stands between a socket and aiohttp's protocol."""

    def __init__(self, all_of_them: Connections, inner: web.RequestHandler) -> None:
        self._all, self._inner = all_of_them, inner
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts it, and ends it at once if its address has too many."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._all.by_address[self._address] += 1
        self._inner.connection_made(transport)
        if self._all.by_address[self._address] > self._all.limits.from_address:
            self._transport.abort()
            return
        self._all.opened(transport, self)
        _notice_vanished_peers(transport.get_extra_info("socket"))
        self._wait_for_a_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forgets it."""
        self._all.closed(self._transport)
        self._all.by_address[self._address] -= 1
        if self._all.by_address[self._address] <= 0:
            del self._all.by_address[self._address]
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a head, or of a body."""
        if not self.busy and self._head_timer is None:
            self._wait_for_a_head()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The caller sends nothing more."""
        self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        """The caller does not read what is there for it."""
        self._inner.pause_writing()
        if self._stall_timer is None:
            self._stall_timer = asyncio.get_running_loop().call_later(
                self._all.limits.stalled_most, self._end
            )

    def resume_writing(self) -> None:
        """It has read."""
        self._inner.resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def head_is_there(self) -> None:
        """The request goes on, however long."""
        self.busy = True
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _wait_for_a_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._all.limits.head_within, self._end)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _notice_vanished_peers(connection: socket.socket | None) -> None:
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
