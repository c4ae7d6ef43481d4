"""Short HTTP exchanges on loopback sockets: one thread, a selector, and hard limits on everything.

Promises that no number of silent, slow or broken connections keeps a good request waiting, that every answer
ends its connection cleanly, and that the sockets are closed within a second of `close`. What to answer is the
caller's business (`CallbackListener`); this module never looks into a request and never logs one.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

MAX_SOCKETS = 32
HEADER_DEADLINE = 5.0  # seconds for a whole header section
HOLD_LIMIT = 15.0  # seconds until a held browser is shown that it must still wait
DRAIN_LIMIT = 1.0  # seconds for the peer to close after our answer
FLUSH_LIMIT = 0.5  # seconds for last answers after `close`; the port is already free then
POLL = 0.1  # seconds between looks at the connections' deadlines
_IDLE_POLL = 3600.0  # seconds; some systems refuse a longer wait
_CHUNK = 64 * 1024
_ACCEPTS = 64  # connections taken in one go before others are looked after


@dataclass(frozen=True, slots=True)
class Reply:
    """`response` None: hold the connection until there is an answer for it."""

    response: bytes | None
    tells_outcome: bool = False
    closes: bool = False  # the port is free after this answer


class Handler(Protocol):
    """Decides on answers. Called on the serving thread only; must not block."""

    def receive(self, data: bytes) -> Reply | None:
        """The reply to what one connection has sent so far; None while more is needed."""

    def too_slow(self) -> bytes:
        """The answer to a request whose end does not come in time."""

    def held(self, *, closing: bool) -> Reply | None:
        """The answer for held connections, if there is one now."""

    def still_waiting(self) -> bytes:
        """The answer to a browser that has waited as long as browsers do."""

    def delivered(self) -> None:
        """A reply with the outcome was sent."""

    def left(self) -> None:
        """The last held connection was closed by its browser."""


class _Phase(Enum):
    READING = auto()
    HELD = auto()
    WRITING = auto()
    DRAINING = auto()


@dataclass(slots=True, eq=False)
class _Connection:
    peer: socket.socket
    since: float
    phase: _Phase = _Phase.READING
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    tells_outcome: bool = False


class LoopbackServer:
    """Owns the listening sockets from construction to `close` or the end of `serve`."""

    def __init__(self, listeners: Sequence[socket.socket], desk: Handler) -> None:
        self._listeners = list(listeners)
        self._desk = desk
        self._connections: list[_Connection] = []
        self._lifecycle = threading.Lock()  # guards the five below
        self._serving: int | None = None  # the serving thread's ident
        self._closed = False
        self._until = math.inf  # monotonic time at which it closes
        self._ended = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def wake(self) -> None:
        """Make the serving thread ask for answers again. Any thread; never blocks."""
        with self._lifecycle, contextlib.suppress(OSError):
            if not self._ended.is_set():
                self._wake_in.send(b"\0")

    @property
    def closed(self) -> bool:
        """Whether the port was given up."""
        return self._closed

    @property
    def ended(self) -> bool:
        """Whether the port is free again."""
        return self._ended.is_set()

    def close_after(self, seconds: float) -> None:
        """Close when `seconds` have passed. Any thread; never blocks."""
        with self._lifecycle:
            self._until = time.monotonic() + seconds
        self.wake()

    def close(self, *, wait: bool = True) -> None:
        """Free the port: at once if no thread serves, else within a second, which is waited for unless
        `wait` is False. Idempotent; any thread.
        """
        with self._lifecycle:
            first = not self._closed
            self._closed = True
            serving = self._serving
            if serving is None and first:
                self._shut()
        if serving is not None:
            self.wake()
            if wait and serving != threading.get_ident():
                self._ended.wait(2 * FLUSH_LIMIT)

    def serve(self) -> None:
        """Blocks, answering requests, until it is closed; then frees the port."""
        with self._lifecycle:
            if self._closed:
                return
            if self._serving is not None:
                raise RuntimeError("a listener is served by one thread")
            self._serving = threading.get_ident()
        selector = selectors.DefaultSelector()
        try:
            for listener in (*self._listeners, self._wake_out):
                selector.register(listener, selectors.EVENT_READ)
            while not self._closed and (left := self._until - time.monotonic()) > 0:
                # Without connections nothing has a deadline but the server itself: an idle app stays asleep.
                self._turn(selector, POLL if self._connections else min(left, _IDLE_POLL))
            self._last_words(selector)
        finally:
            with self._lifecycle:
                self._closed = True
                self._shut()
            selector.close()

    def _shut(self) -> None:
        for connection in self._connections:
            connection.peer.close()
        self._connections.clear()
        for listener in self._listeners:
            listener.close()
        self._wake_in.close()
        self._wake_out.close()
        self._ended.set()

    def _turn(self, selector: selectors.BaseSelector, timeout: float) -> None:
        for key, mask in selector.select(timeout):
            connection = key.data
            if isinstance(connection, _Connection):
                self._guarded(selector, connection, mask)
            elif key.fileobj is self._wake_out:
                with contextlib.suppress(BlockingIOError):
                    self._wake_out.recv(_CHUNK)
            else:
                self._accept(selector, key.fileobj)
        self._tell_held(selector, self._desk.held(closing=False))
        self._expire(selector, time.monotonic())

    def _last_words(self, selector: selectors.BaseSelector) -> None:
        self._turn(selector, 0)  # what has already reached us is still answered
        for listener in self._listeners:
            selector.unregister(listener)
            listener.close()
        for connection in self._in_phase(_Phase.READING, _Phase.DRAINING):
            self._drop(selector, connection)
        self._tell_held(selector, self._desk.held(closing=True))
        end = time.monotonic() + FLUSH_LIMIT
        while self._in_phase(_Phase.WRITING) and (left := end - time.monotonic()) > 0:
            for key, mask in selector.select(left):
                if isinstance(key.data, _Connection):
                    self._guarded(selector, key.data, mask)

    def _accept(self, selector: selectors.BaseSelector, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        for _ in range(_ACCEPTS):
            try:
                peer, address = listener.accept()
            except OSError:
                return  # none left, or it went away before we came, or the process is out of descriptors
            if address[0] not in ("127.0.0.1", "::1") and not str(address[0]).startswith("127."):
                peer.close()
                continue
            if len(self._connections) >= MAX_SOCKETS and not self._make_room(selector):
                peer.close()
                continue
            peer.setblocking(False)
            connection = _Connection(peer, time.monotonic())
            self._connections.append(connection)
            selector.register(peer, selectors.EVENT_READ, connection)
            self._guarded(selector, connection, selectors.EVENT_READ)

    def _make_room(self, selector: selectors.BaseSelector) -> bool:
        """Drop the connection that loses least: answered, else silent, else
        unfinished; the oldest of its kind.
        """
        reading = self._in_phase(_Phase.READING)
        silent = [connection for connection in reading if not connection.received]
        for kind in (self._in_phase(_Phase.DRAINING), silent, reading):
            if kind:
                self._drop(selector, min(kind, key=lambda connection: connection.since))
                return True
        return False

    def _guarded(self, selector: selectors.BaseSelector, connection: _Connection, mask: int) -> None:
        if connection not in self._connections:
            return  # dropped earlier in this same turn
        try:
            if mask & selectors.EVENT_WRITE:
                self._write(selector, connection)
            if mask & selectors.EVENT_READ:
                self._read(selector, connection)
        except BlockingIOError:
            return
        except OSError:
            self._lose(selector, connection)

    def _read(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        data = connection.peer.recv(_CHUNK)
        if not data:
            self._lose(selector, connection)
        elif connection.phase is _Phase.READING:
            connection.received += data
            reply = self._desk.receive(bytes(connection.received))
            if reply is not None:
                connection.received.clear()
                self._reply(selector, connection, reply)

    def _reply(self, selector: selectors.BaseSelector, connection: _Connection, reply: Reply) -> None:
        connection.since = time.monotonic()
        if reply.response is None:
            connection.phase = _Phase.HELD
            return
        connection.phase = _Phase.WRITING
        connection.unsent = memoryview(reply.response)
        connection.tells_outcome = reply.tells_outcome
        self._closed = self._closed or reply.closes
        selector.modify(connection.peer, selectors.EVENT_WRITE, connection)
        with contextlib.suppress(BlockingIOError):
            self._write(selector, connection)

    def _write(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        sent = connection.peer.send(connection.unsent)
        connection.unsent = connection.unsent[sent:]
        if connection.unsent:
            return
        # Closing with unread bytes would reset the connection and could take our answer with it:
        # say that we are done, then read until the peer is done too.
        connection.peer.shutdown(socket.SHUT_WR)
        connection.phase = _Phase.DRAINING
        connection.since = time.monotonic()
        selector.modify(connection.peer, selectors.EVENT_READ, connection)
        if connection.tells_outcome:
            self._desk.delivered()

    def _tell_held(self, selector: selectors.BaseSelector, reply: Reply | None) -> None:
        if reply is None:
            return
        for connection in self._in_phase(_Phase.HELD):
            try:
                self._reply(selector, connection, reply)
            except OSError:
                self._lose(selector, connection)

    def _expire(self, selector: selectors.BaseSelector, now: float) -> None:
        for connection in list(self._connections):
            age = now - connection.since
            match connection.phase:
                case _Phase.READING if age > HEADER_DEADLINE and connection.received:
                    try:
                        self._reply(selector, connection, Reply(self._desk.too_slow()))
                    except OSError:
                        self._drop(selector, connection)
                case _Phase.READING if age > HEADER_DEADLINE:
                    self._drop(selector, connection)
                case _Phase.HELD if age > HOLD_LIMIT:
                    try:
                        self._reply(selector, connection, Reply(self._desk.still_waiting()))
                    except OSError:
                        self._lose(selector, connection)
                case _Phase.WRITING if age > HEADER_DEADLINE:
                    self._lose(selector, connection)
                case _Phase.DRAINING if age > DRAIN_LIMIT:
                    self._drop(selector, connection)
                case _:
                    pass

    def _lose(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        """The peer disconnected, so nothing has to wait until it reads the last page."""
        was_told = connection.phase is _Phase.HELD or (
            connection.phase is _Phase.WRITING and connection.tells_outcome
        )
        self._drop(selector, connection)
        if was_told and not self._in_phase(_Phase.HELD):
            self._desk.left()

    def _drop(self, selector: selectors.BaseSelector, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            selector.unregister(connection.peer)
            connection.peer.close()

    def _in_phase(self, *phases: _Phase) -> list[_Connection]:
        return [connection for connection in self._connections if connection.phase in phases]


__all__ = ["MAX_SOCKETS", "Handler", "LoopbackServer", "Reply"]
