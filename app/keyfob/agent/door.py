"""Lets clients in at a Unix gate, and answers at once those whose whole question is known and has an answer in memory.

A connection costs an event loop ten times what such an answer does, and a tool takes a new one for each token. So the
first bytes are read from the bare socket: the common question is answered there and the connection closed; whatever
else comes, or is slow to come, becomes one of the server's connections. Used by `AgentServer`; on the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from keyfob.agent.gates import Gate, Peer

log = logging.getLogger(__name__)

AT_ONCE = 64  # clients let in before those that are in get their turn
FIRST_READ = 16 * 1024  # bytes
PAUSE = 0.2  # seconds without letting anybody in, where the system has no descriptor left

Known = Callable[[Gate, bytes], tuple[bytes, bool] | None]
Join = Callable[[Gate, Peer, bytes], asyncio.Protocol]


class Door:
    """`known` gives the answer to these bytes and whether the connection stays, None where they must be read; `join`
    makes the protocol of a connection from what has come of it so far."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, gate: Gate, sock: socket.socket, known: Known, join: Join
    ) -> None:
        self._loop = loop
        self._gate = gate
        self._sock = sock
        self._known = known
        self._join = join
        self._silent: dict[socket.socket, Peer] = {}  # let in, and nothing has come of them yet
        self._joining: set[asyncio.Task[None]] = set()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Nobody comes in any more, and who has said nothing yet is let go."""
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for client in list(self._silent):
            self._let_go(client)

    def _open(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("nobody can be let in now: %s", error.strerror)
                self._loop.remove_reader(self._sock.fileno())
                self._loop.call_later(PAUSE, self._open)
                return
            client.setblocking(False)
            try:
                peer = self._gate.peer(client)
            except OSError:
                peer = None  # gone already
            if peer is None:
                log.warning("a program of another user was refused")
                client.close()
            elif not self._hear(client, peer):
                self._silent[client] = peer
                self._loop.add_reader(client.fileno(), self._heard, client)

    def _heard(self, client: socket.socket) -> None:
        peer = self._silent.pop(client)
        self._loop.remove_reader(client.fileno())
        if not self._hear(client, peer):
            self._silent[client] = peer
            self._loop.add_reader(client.fileno(), self._heard, client)

    def _hear(self, client: socket.socket, peer: Peer) -> bool:
        """False where nothing has come yet."""
        try:
            data = client.recv(FIRST_READ)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            client.close()
            return True
        found = None if peer.forwarded else self._known(self._gate, data)
        if found is not None and not found[1]:
            # A new socket has room for an answer; one that has not belongs to nobody who reads.
            with contextlib.suppress(OSError):
                client.send(found[0])
            client.close()
            return True
        task = self._loop.create_task(self._connect(client, peer, data))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return True

    async def _connect(self, client: socket.socket, peer: Peer, data: bytes) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._join(self._gate, peer, data), client)
        except OSError:
            client.close()

    def _let_go(self, client: socket.socket) -> None:
        self._silent.pop(client, None)
        self._loop.remove_reader(client.fileno())
        client.close()
