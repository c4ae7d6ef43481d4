"""One client's connection to the agent: its requests, one after the
other, and its event stream. Runs on the loop's thread.

Everything is bounded, whatever the client does: the agent reads only while there is room, and closes the
connection of a client that does not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Protocol, cast

from keyfob.agent.answer_cache import AnswerCache, Question
from keyfob.agent.api import event_line, problem
from keyfob.agent.endpoints import Endpoint, Peer
from keyfob.agent.http import BODY_MOST, HEAD_MOST, Answer, BadRequestError, Incoming, take
from keyfob.agent.limits import Closable, Connections, Limits
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import Fault, Transient, Usage

log = logging.getLogger(__name__)

IN_A_TURN = 64  # requests of one connection that are answered before others get their turn
SENT_MOST = HEAD_MOST + BODY_MOST  # bytes that wait here while another request is answered
UNREAD_MOST = 1 << 20  # bytes of events
EVENT_MOST = (1 << 63) - 1  # the largest number that the store can hold


class Server(Protocol):
    """What a connection needs of `AgentServer`."""

    answers: AnswerCache
    full: bytes  # the answer when there is no place
    limits: Limits

    @property
    def connections(self) -> Connections:
        """All connections that are open now."""

    def admit(self, one: Closable, endpoint: Endpoint, peer: Peer) -> bool:
        """Count a new connection; False if there are too many."""

    def come(self, connection: Connection) -> None:
        """The connection was admitted."""

    def gone(self, connection: Connection) -> None:
        """The connection is closed."""

    def ask(
        self, request: Incoming, peer: Peer, done: Callable[[bytes], None], alive: Callable[[], bool]
    ) -> None:
        """Ask the engine on a thread; `done` is called on the loop."""

    def stream(self, connection: Connection, since: int | None) -> Sequence[LoggedEvent]:
        """Start the event stream on this connection; the events after number `since`, which come first."""


class _State(Enum):
    """What the connection waits for, which says how long it may."""

    NEW = auto()
    IDLE = auto()  # for a request's first byte
    REQUEST = auto()  # for the rest of a request
    UNREAD = auto()  # for the client to read
    ANSWER = auto()  # for the engine, or for events: without a limit


class Connection(asyncio.Protocol):
    """One client. Requests are answered in order; a second one waits for the first."""

    def __init__(
        self, server: Server, endpoint: Endpoint, peer: Peer | None = None, early: bytes = b""
    ) -> None:
        """`peer` and `early`: who it is and what has come, if that is known already."""
        self._server = server
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.busy = False
        self._streaming = False
        self._unread = False  # more is to be sent than the client reads
        self._closing = False
        self._held = False  # nothing more is read for now
        self._state = _State.NEW
        self._last_sent = 0
        self._peer = peer or Peer()
        self._known_peer = peer
        self._early = early

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: check who is at the other end, and refuse them or begin to read."""
        # Not checked: uvloop's transports do what asyncio.Transport says and do not descend from it.
        transport = cast(asyncio.Transport, transport)
        peer = self._known_peer or self._endpoint.peer(transport.get_extra_info("socket"))
        if peer is None:
            log.warning("a program of another user was refused")
            transport.abort()
            return
        if not self._server.admit(self, self._endpoint, peer):
            transport.write(self._server.full)
            transport.close()
            return
        self._transport = transport
        self._peer = peer
        self._server.come(self)
        if self._early:
            self.data_received(self._early)
        else:
            self._server.connections.wait(self, self._server.limits.first_byte)

    def data_received(self, data: bytes) -> None:
        """asyncio's: answer from memory, or collect the request. On the loop."""
        if self._streaming or self._closing or self._transport is None:
            return
        if not self._buffer and not self.busy and not self._unread:
            # Most clients are one program that asks the same each time:
            # what was checked once is not read again.
            try:
                found = None if self._peer.forwarded else self._server.answers.answer_to(self._endpoint, data)
            except Exception as bug:
                self._failed(bug)
                return
            if found is not None:
                self._reply(*found)
                self._settle()
                return
        self._buffer += data
        self._next()

    def eof_received(self) -> None:
        """asyncio's: the client sends no more, so close once the answer is out."""
        self.close()

    def connection_lost(self, _: Exception | None) -> None:
        """asyncio's: forget the connection."""
        self._transport = None
        self._server.connections.remove(self)
        self._server.gone(self)

    def pause_writing(self) -> None:
        """asyncio's: the client does not read, so take no more requests from it."""
        self._unread = True
        self._settle()

    def resume_writing(self) -> None:
        """asyncio's: the client reads again."""
        self._unread = False
        if not self._closing:
            self._next()

    def close(self) -> None:
        """Close once what was answered is sent; a client that does not read it is not waited for."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()
            self._settle()

    def drop(self) -> None:
        """Close now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # --- requests -------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Answer what has come, in order, until one must be waited for. A loop, so that thousands of requests
        sent together need no deeper stack than one.
        """
        for _ in range(IN_A_TURN):
            if self.busy or self._streaming or self._unread or self._closing or self._transport is None:
                break
            try:
                if not self._take_one():
                    break
            except Exception as bug:
                self._failed(bug)
        else:
            asyncio.get_running_loop().call_soon(self._next)
        self._settle()

    def _failed(self, bug: Exception) -> None:
        """A bug in Keyfob gets an answer too, so that no client waits for one that never comes."""
        # Its kind alone: what it holds may be a token.
        log.error("a request failed: %s", type(bug).__name__)
        self._refuse(problem(Fault(f"The agent failed: {type(bug).__name__}"), _UNREADABLE))

    def _take_one(self) -> bool:
        """Read the first request that has come and begin to answer it. False when it is not whole."""
        try:
            taken = take(self._buffer)
            if taken is None:
                return False
            request, size = taken
            hello = self._endpoint.hello(request)
            if hello is None:
                self._endpoint.check(request)
            whole, self._buffer = self._buffer[:size], self._buffer[size:]
            self._state = _State.NEW  # the time for the next one begins again
            if hello is not None:
                self._reply(hello.encode(keep_alive=request.keep_alive), request.keep_alive)
                return True
            if request.method == "GET" and request.target.partition("?")[0] == "/v1/events":
                self._begin_stream(request)
                return True
        except BadRequestError as error:
            self._refuse(problem(Usage(str(error)), _UNREADABLE, error.status))
            return False
        if request.method == "GET" and not self._peer.forwarded:
            question = question_of(request)
            quick = self._server.answers.answer(question)
            if quick is not None:
                self._server.answers.recognise(self._endpoint, whole, question)
                self._reply(quick, request.keep_alive)
                return True
        self.busy = True
        keep = request.keep_alive
        self._server.ask(
            request,
            self._peer,
            lambda answer: self._answered(answer, keep),
            lambda: self._transport is not None,
        )
        return True

    @property
    def begun(self) -> bool:
        """Whether a part of a request has come."""
        return bool(self._buffer)

    def _answered(self, answer: bytes, keep: bool) -> None:
        self.busy = False
        self._reply(answer, keep)
        self._next()

    def _reply(self, answer: bytes, keep: bool) -> None:
        if self._transport is None or self._closing:
            return
        self._state = _State.NEW
        self._transport.write(answer)
        if not keep:
            self.close()

    def _refuse(self, answer: Answer) -> None:
        self._reply(answer.encode(keep_alive=False), False)

    def _settle(self) -> None:
        """Set how long the client may take for what it has to do now, and whether to read on."""
        if self._transport is None:
            return
        if self._unread or self._closing:
            state, seconds = _State.UNREAD, self._server.limits.read
        elif self.busy or self._streaming:
            state, seconds = _State.ANSWER, None
        elif self._buffer:
            state, seconds = _State.REQUEST, self._server.limits.request
        else:
            state, seconds = _State.IDLE, self._server.limits.idle
        if state is not self._state:
            self._state = state
            if seconds is None:
                self._server.connections.work(self)
            else:
                self._server.connections.wait(self, seconds)
        hold = len(self._buffer) > SENT_MOST
        if hold is not self._held and not self._closing:
            self._held = hold
            if hold:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # --- events ---------------------------------------------------------------------------------------------

    def _begin_stream(self, request: Incoming) -> None:
        assert self._transport is not None
        if self._peer.forwarded:
            self._refuse(problem(Usage("Events are not sent to other machines"), request, 403))
            return
        since = _since(request)
        try:
            # Listening begins before the client can know that it does, so that nothing falls in between.
            missed = self._server.stream(self, since)
        except Transient as error:
            self._refuse(problem(error, request))
            return
        self._streaming = True
        self._buffer = b""
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"Connection: close\r\n\r\n: keyfob\n\n"
        )
        for event in missed:
            self.send(event)

    def send(self, event: LoggedEvent) -> None:
        """One event, each once, however it was noticed."""
        if self._transport is None or self._closing or (event.seq and event.seq <= self._last_sent):
            return
        if self._transport.get_write_buffer_size() > UNREAD_MOST:
            self.drop()  # it does not read; with the last id it can continue later
            return
        self._last_sent = max(self._last_sent, event.seq)
        self._transport.write(event_line(event))


_UNREADABLE = Incoming("GET", "/", {}, b"", False)  # means a request that could not be read


def question_of(request: Incoming) -> Question:
    """What makes two requests the same question."""
    return request.target, request.headers.get("accept", ""), request.keep_alive


def _since(request: Incoming) -> int | None:
    """The event after which the client continues; None for none. Raises BadRequestError."""
    text = request.query.get("after") or request.headers.get("last-event-id", "")
    if not text:
        return None
    # Python refuses to read a number of thousands of digits, and the store one of more than 64 bits.
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or int(text) > EVENT_MOST:
        raise BadRequestError(400, "after and Last-Event-ID must be the number of an event")
    return int(text)
