"""Accepts clients on a Unix socket, and answers those at once whose
complete request is known and has an answer in memory.

A connection in an event loop costs ten times as much as such an answer, and a tool opens a new one for each
token. So the first bytes are read from the bare socket. A common request is answered there and the connection
closed. Everything else, or what comes slowly, becomes one of the server's connections. Used by `AgentServer`,
on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Protocol

from keyfob.agent.answer_cache import AnswerCache
from keyfob.agent.endpoints import Endpoint, Peer
from keyfob.agent.limits import Closable, Connections, Limits

log = logging.getLogger(__name__)

AT_ONCE = 64  # clients accepted before those already connected get their turn
FIRST_READ = 16 * 1024  # bytes
PAUSE = 0.2  # seconds without accepting anybody, when the process has no descriptor left


class Server(Protocol):
    """What the acceptor needs of `AgentServer`."""

    answers: AnswerCache
    full: bytes  # the answer when there is no place
    limits: Limits

    @property
    def connections(self) -> Connections:
        """All connections that are open now."""

    def admit(self, one: Closable, endpoint: Endpoint, peer: Peer) -> bool:
        """Count a new connection in; False when it must be refused."""

    def join(self, endpoint: Endpoint, peer: Peer, data: bytes) -> asyncio.Protocol:
        """The protocol of a connection, from what has come of it so far."""


class FastAcceptor:
    """Accepts at one gate's socket until `close()`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, sock: socket.socket, server: Server
    ) -> None:
        self._loop = loop
        self._endpoint = endpoint
        self.sock = sock
        self._server = server
        self._silent: dict[_Client, None] = {}  # accepted, and nothing has come of them yet
        self._joining: set[asyncio.Task[None]] = set()
        self._closed = False
        self._short = False  # of descriptors
        self._open()

    @property
    def pending(self) -> bool:
        """Whether clients were accepted whose request is still on its way."""
        return bool(self._silent or self._joining)

    def stop(self) -> None:
        """Accept no more clients. Those that were accepted are heard until `close`."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self.sock.fileno())

    def close(self) -> None:
        """Accept no more clients, and close the connections that have sent nothing yet."""
        self.stop()
        self.sock.close()
        for client in list(self._silent):
            self._server.connections.remove(client)
            client.drop()

    def _open(self) -> None:
        if not self._closed:
            self._loop.add_reader(self.sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._short = False
            sock.setblocking(False)
            try:
                peer = self._endpoint.peer(sock)
            except OSError:
                peer = None  # gone already
            if peer is None:
                log.warning("a program of another user was refused")
                sock.close()
            else:
                self._hear(_Client(self, sock, peer))

    def _pause(self, error: OSError) -> None:
        """No descriptor is left: give some back, and try again in a moment instead of at once."""
        self._server.connections.shed(AT_ONCE)
        if not self._short:
            log.warning("new connections must wait: %s", error.strerror)  # the log needs a descriptor too
        self._short = True
        self._loop.remove_reader(self.sock.fileno())
        self._loop.call_later(PAUSE, self._open)

    def _heard(self, client: _Client) -> None:
        self._loop.remove_reader(client.sock.fileno())
        del self._silent[client]
        self._hear(client)

    def _hear(self, client: _Client) -> None:
        """Answer what has come, pass it on, or wait for it."""
        try:
            data = client.sock.recv(FIRST_READ)
        except (BlockingIOError, InterruptedError):
            self._await(client)
            return
        except OSError:
            data = b""
        if not data:
            self._end(client)
            return
        try:
            found = None if client.peer.forwarded else self._server.answers.answer_to(self._endpoint, data)
        except Exception:
            # The engine's fault, not the client's: asked again on a
            # thread, it is answered with what is wrong.
            found = None
        if found is not None and not found[1]:
            # A new socket has room for an answer. If it has none, its client does not read.
            with contextlib.suppress(OSError):
                client.sock.send(found[0])
            self._end(client)
            return
        if self._admit(client):
            self._server.connections.work(client)
            task = self._loop.create_task(self._connect(client, data))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    def _await(self, client: _Client) -> None:
        """Wait for its first bytes."""
        fresh = not client.admitted
        if self._admit(client):
            self._silent[client] = None
            self._loop.add_reader(client.sock.fileno(), self._heard, client)
            if fresh:
                self._server.connections.wait(client, self._server.limits.first_byte)

    def _admit(self, client: _Client) -> bool:
        """Count it in; when there is no place, refuse and close it."""
        if not client.admitted:
            client.admitted = self._server.admit(client, self._endpoint, client.peer)
            if not client.admitted:
                with contextlib.suppress(OSError):
                    client.sock.send(self._server.full)
                client.sock.close()
        return client.admitted

    def _end(self, client: _Client) -> None:
        self._server.connections.remove(client)
        client.sock.close()

    async def _connect(self, client: _Client, data: bytes) -> None:
        def join() -> asyncio.Protocol:
            # From here on it is counted as the server's connection.
            self._server.connections.remove(client)
            return self._server.join(self._endpoint, client.peer, data)

        try:
            await self._loop.connect_accepted_socket(join, client.sock)
        except OSError:
            self._end(client)

    def forget(self, client: _Client) -> None:
        """It sent nothing and is closed."""
        if client in self._silent:
            del self._silent[client]
            self._loop.remove_reader(client.sock.fileno())
        client.sock.close()


class _Client:
    """An accepted socket that has sent nothing yet."""

    __slots__ = ("_acceptor", "admitted", "peer", "sock")

    def __init__(self, acceptor: FastAcceptor, sock: socket.socket, peer: Peer) -> None:
        self._acceptor = acceptor
        self.sock = sock
        self.peer = peer
        self.admitted = False

    def drop(self) -> None:
        self._acceptor.forget(self)
