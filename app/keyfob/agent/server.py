"""The agent's server: passes requests to `Api` and returns its answers.

What is in memory and fresh is answered on the event loop at once. What may wait (a renewal, the keychain)
goes to a thread, so that one account's slow provider never delays another account's token. The loop sleeps
when there is nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from keyfob.agent.answer_cache import AnswerCache, Question, Standing, kept_until
from keyfob.agent.api import Api, min_life, problem
from keyfob.agent.connection import Connection, question_of
from keyfob.agent.endpoints import BACKLOG, Endpoint, Peer
from keyfob.agent.fast_acceptor import FastAcceptor
from keyfob.agent.http import Answer, Incoming
from keyfob.agent.limits import FORWARDED_MOST, STREAMS_MOST, Closable, Connections, Limits
from keyfob.agent.workers import Workers
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import KeyfobError, Transient
from keyfob.ports import AccountStore
from keyfob.service.consents import UnansweredError
from keyfob.service.events import EventBus

log = logging.getLogger(__name__)

SOON = timedelta(seconds=1)
IN_A_MOMENT = "Try again in a moment."
MISSED_MOST = 1000  # events sent to a client that comes back
ON_THE_WAY = 1.0  # seconds for requests that have begun to arrive when another version takes over
FINISH_WITHIN = 40.0  # seconds for requests in progress at the end: a renewal among them is not cut short


class AgentServer:
    """`run` blocks on a separate thread until `stop()`. One a process; runs once."""

    def __init__(
        self,
        api: Api,
        events: EventBus,
        store: AccountStore,
        endpoints: Sequence[Endpoint],
        now: Callable[[], datetime],
        consenting: Callable[[], bool] = lambda: False,
        limits: Limits | None = None,
    ) -> None:
        """`consenting`: whether an answer needs more than the token, so that none may be given from memory:
        programs are asked about, or the vault is locked.
        """
        self._api = api
        self._events = events
        self._store = store
        self._endpoints = endpoints
        self._now = now
        self._consenting = consenting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._stopped = threading.Event()
        self.answers = AnswerCache(now, self._look, self._soon)
        self._asked: dict[Question, list[Callable[[bytes], None]]] = {}
        self.limits = limits or Limits()
        self._workers = Workers(self.limits.capacity.workers)
        self._forwarded_workers = Workers(self.limits.capacity.forwarded_workers)
        self._counted: Connections | None = None
        self._connections: set[Connection] = set()
        self.streams: set[Connection] = set()
        too_many = Transient(
            "The agent has too many connections", code="busy", remedy=IN_A_MOMENT, retry_after=SOON
        )
        self.full = problem(too_many, Incoming("GET", "/", {}, b"", False)).encode(keep_alive=False)
        self._watching: asyncio.Task[None] | None = None
        self._seen = 0  # the newest event that streams were sent

    def live(self) -> bool:
        """Whether somebody else serves at one of our gates now."""
        return any(endpoint.live() for endpoint in self._endpoints)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped; `ready` is called once clients can connect.
        Raises SettingWrong if a gate's place is not ours.
        """
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._serve(ready))

    def stop(self) -> None:
        """From any thread; returns at once. Requests in progress are answered, then `run` returns."""
        self._stopped.set()
        loop, done = self._loop, self._done
        if loop is not None and done is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

    async def _serve(self, ready: Callable[[], None]) -> None:
        loop = self._loop = asyncio.get_running_loop()
        done = self._done = asyncio.Event()
        self._counted = Connections(loop, self.limits.capacity.connections)
        servers: list[asyncio.Server | FastAcceptor] = []
        patient: list[FastAcceptor] = []
        unsubscribe = self._events.subscribe(self._news)
        try:
            for endpoint in self._endpoints:
                servers.append(await self._listen(loop, endpoint))
            ready()
            if not self._stopped.is_set():
                await done.wait()
        finally:
            unsubscribe()
            for endpoint, server in zip(self._endpoints, servers, strict=False):
                if isinstance(server, FastAcceptor) and endpoint.hands_on(server.sock):
                    server.stop()
                    patient.append(server)
            for endpoint in self._endpoints:
                endpoint.close()
            for server in servers:
                if server not in patient:
                    server.close()
            await self._finish(loop, patient)
            for acceptor in patient:
                acceptor.close()

    async def _listen(
        self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint
    ) -> asyncio.Server | FastAcceptor:
        sock = endpoint.open()
        if sock.family.name == "AF_UNIX":
            return FastAcceptor(loop, endpoint, sock, self)
        return await loop.create_server(lambda: Connection(self, endpoint), sock=sock, backlog=BACKLOG)

    async def _finish(self, loop: asyncio.AbstractEventLoop, patient: Sequence[FastAcceptor]) -> None:
        """Sign-ins end, requests in progress are answered, idle connections close. `patient`: acceptors whose
        clients are not to notice the end, so what is on its way is waited for.
        """
        closing = loop.run_in_executor(None, self._api.close)
        end = loop.time() + FINISH_WITHIN
        on_the_way = loop.time() + (ON_THE_WAY if patient else 0.0)
        while loop.time() < end:
            waits = loop.time() < on_the_way
            for connection in [each for each in self._connections if not each.busy]:
                if not (waits and connection.begun):
                    connection.close()
            if waits and any(each.pending for each in patient):
                pass
            elif not (self._workers.busy() or self._forwarded_workers.busy()) and not any(
                each.busy for each in self._connections
            ):
                break
            await asyncio.sleep(0.02)
        await closing

    # --- connections ----------------------------------------------------------------------------------------

    @property
    def connections(self) -> Connections:
        """The connections that are open now. On the loop, after `start`."""
        assert self._counted is not None
        return self._counted

    def admit(self, one: Closable, endpoint: Endpoint, peer: Peer) -> bool:
        """Count a new connection in; False when it must be refused.
        Another machine's have a separate limit.
        """
        most = min(FORWARDED_MOST, self.limits.capacity.connections // 2) if peer.forwarded else None
        return self.connections.admit(one, (endpoint, peer.forwarded), most)

    def join(self, endpoint: Endpoint, peer: Peer, data: bytes) -> Connection:
        """The protocol of a connection, from what has come of it so far."""
        return Connection(self, endpoint, peer, data)

    def come(self, connection: Connection) -> None:
        """A connection was admitted. On the loop."""
        self._connections.add(connection)

    def gone(self, connection: Connection) -> None:
        """A connection is closed. On the loop."""
        self._connections.discard(connection)
        self.streams.discard(connection)

    # --- answering ------------------------------------------------------------------------------------------

    def _look(self) -> Standing:
        return Standing(self._store.data_version(), self._consenting())

    def _soon(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon(call)

    def ask(
        self, request: Incoming, peer: Peer, done: Callable[[bytes], None], alive: Callable[[], bool]
    ) -> None:
        """Ask the engine on a thread; `done` is called on the loop. Who asks for the same token while it is
        being fetched gets the same answer, so that one slow renewal does not take up every thread. `alive`:
        whether the client is still there; from any thread.
        """
        loop = self._loop
        assert loop is not None
        is_token = request.method == "GET" and request.target.startswith("/v1/token/")
        together = is_token and not peer.forwarded and not self._consenting()
        key = question_of(request)
        if together and self._is_asked(key, done):
            return
        # Read on the loop's own connection, before the work: whatever anybody writes from here on, the work's
        # own renewal too, makes what is remembered of it void.
        version = self._store.data_version()
        workers = self._forwarded_workers if peer.forwarded else self._workers

        def deliver(answer: bytes) -> None:
            for each in self._asked.pop(key, []) if together else [done]:
                each(answer)

        def finish(answer: Answer) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(deliver, answer.encode(keep_alive=request.keep_alive))

        def work(allowed: str | None = None) -> None:
            try:
                answer = self._api.answer(request, peer, allowed)
            except UnansweredError as question:
                _wait(question, resume, alive)
                return
            if is_token and answer.status == 200:
                self._remember(request, answer, version)
            finish(answer)

        def resume(question: UnansweredError, error: KeyfobError | None) -> None:
            if error is None:
                workers.submit(partial(work, question.account_key))
            else:
                finish(problem(error, request))

        workers.submit(work)

    def _is_asked(self, key: Question, done: Callable[[bytes], None]) -> bool:
        """Whether the engine is being asked this already: then `done` gets
        that answer. If not, note it as asked.
        """
        waiting = self._asked.get(key)
        if waiting is None:
            self._asked[key] = [done]
            return False
        waiting.append(done)
        return True

    def _remember(self, request: Incoming, answer: Answer, version: int) -> None:
        """Keep the answer for as long as the same question has the same answer."""
        try:
            view = self._api.accounts.view("/".join(request.parts[2:]))
            life = min_life(request)
        except Exception:
            return
        if not self._consenting():
            until = kept_until(view, life, self._now())
            encoded = answer.encode(keep_alive=request.keep_alive)
            self.answers.keep(question_of(request), encoded, until, version)

    # --- event streams --------------------------------------------------------------------------------------

    def stream(self, connection: Connection, since: int | None) -> Sequence[LoggedEvent]:
        """Events go to this connection from here on. Returns those it missed after `since`. Raises Transient
        `busy` when there are too many streams.
        """
        if len(self.streams) >= min(STREAMS_MOST, self.limits.capacity.connections // 4):
            raise Transient(
                "Too many programs are listening to events",
                code="busy",
                remedy=IN_A_MOMENT,
                retry_after=SOON,
            )
        if not self.streams:
            version = self._store.data_version()
            newest = self._api.accounts.history(None, limit=1)
            self._seen = newest[-1].seq if newest else 0
            if self._watching is None:
                assert self._loop is not None
                self._watching = self._loop.create_task(self._watch(version))
        self._catch_up()
        self.streams.add(connection)
        if since is None:
            return ()
        return self._api.accounts.history(None, after=since, limit=MISSED_MOST)

    def _news(self, event: LoggedEvent) -> None:
        """On the publishing thread: whatever changed, what was remembered may be wrong now."""
        self.answers.clear()
        loop = self._loop
        if loop is not None and self.streams:
            with contextlib.suppress(RuntimeError):
                if event.seq:
                    loop.call_soon_threadsafe(self._catch_up)
                elif event.kind != "idle":
                    loop.call_soon_threadsafe(self._send, event)

    def _send(self, event: LoggedEvent) -> None:
        for stream in list(self.streams):
            stream.send(event)

    def _catch_up(self) -> None:
        """Publish what any process has written since the last time, in the order it was written."""
        if self.streams:
            for event in self._api.accounts.history(None, after=self._seen, limit=MISSED_MOST):
                self._seen = event.seq
                self._send(event)

    async def _watch(self, version: int) -> None:
        """Notice what other processes did, while somebody listens; otherwise nothing wakes up for it."""
        try:
            while self.streams:
                await asyncio.sleep(self.limits.news)
                now = self._store.data_version()
                if now != version:
                    version = now
                    self._catch_up()
        finally:
            self._watching = None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop is uvloop if that is installed: nearly twice the connections a second."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _wait(
    question: UnansweredError,
    resume: Callable[[UnansweredError, KeyfobError | None], None],
    alive: Callable[[], bool],
) -> None:
    """The user is asked; this thread does not wait for them. `resume` is called with what came of it."""
    try:
        question.wait(partial(resume, question), alive)
    except KeyfobError as error:
        resume(question, error)
