"""The thin server of the agent: a Unix socket, its peers checked, its answers from `Api`.

What is in memory and fresh is answered on the event loop at once; whatever may wait (a renewal, the keychain) goes to
a thread, so that one account's slow provider never delays another's token. Idle, the loop sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from keyfob.agent.api import Api, Peer, event_line, min_life, problem
from keyfob.agent.http import Answer, BadRequest, Incoming, take
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import SettingWrong, Usage
from keyfob.service.hub import Hub

log = logging.getLogger(__name__)

WORKERS_MOST = (
    64  # threads for what must wait; tools in number wait behind one renewal, not behind each other
)
BACKLOG = 1024
HEADER_SECONDS = 10.0
REMEMBERED_MOST = 4096  # answers kept in memory
LOOK_FOR_NEWS = 1.0  # seconds between looks at what other processes did, only while somebody listens


Question = tuple[str, str, bool]  # target, accepted form, whether the connection stays


class Store(Protocol):
    """What the server needs of the account store."""

    def data_version(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """A whole answer, and the last moment it may be given: while the token has `min_life` left."""

    answer: bytes
    until: datetime
    version: int


class AgentServer:
    """`run` blocks on its own thread until `stop()`. One a process."""

    def __init__(self, api: Api, hub: Hub, store: Store, path: Path, now: Callable[[], datetime]) -> None:
        self._api = api
        self._hub = hub
        self._store = store
        self._path = path
        self._now = now
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._memory: dict[Question, Remembered] = {}
        self._workers = Workers(WORKERS_MOST)
        self._streams: set[_Connection] = set()
        self.ready = threading.Event()
        self.consenting: Callable[[], bool] = lambda: False

    def run(self, listening: socket.socket | None = None) -> None:
        """Serve until stopped. `listening`: a socket handed over by systemd or launchd. Raises SettingWrong where
        the socket's place is not ours."""
        factory = _loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._serve(listening))

    def stop(self) -> None:
        """From any thread; returns at once."""
        loop, done = self._loop, self._done
        if loop is not None and done is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

    async def _serve(self, listening: socket.socket | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        bound = listening is None
        sock = listening or bind_socket(self._path)
        server = await self._loop.create_unix_server(
            lambda: _Connection(self), sock=sock, backlog=BACKLOG, start_serving=True
        )
        unsubscribe = self._hub.subscribe(self._news)
        self.ready.set()
        try:
            await self._done.wait()
        finally:
            unsubscribe()
            server.close()
            for stream in list(self._streams):
                stream.close()
            if bound:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    # --- answering ------------------------------------------------------------------------------------------

    def quick(self, request: Incoming) -> bytes | None:
        """An answer from memory, None where the engine must be asked. On the loop."""
        if request.method != "GET" or self.consenting():
            return None
        key = _question(request)
        held = self._memory.get(key)
        if held is None or "origin" in request.headers:
            return None
        if self._now() >= held.until or held.version != self._store.data_version():
            self._memory.pop(key, None)
            return None
        return held.answer

    def ask(self, request: Incoming, peer: Peer, done: Callable[[bytes], None]) -> None:
        """Ask the engine on a thread; `done` is called on the loop."""
        loop = self._loop
        assert loop is not None
        # Read on the loop's own connection, before the work: whatever anybody writes from here on, the work's own
        # renewal too, makes what is remembered of it void.
        version = self._store.data_version()

        def work() -> None:
            answer = self._api.answer(request, peer)
            if answer.status == 200 and request.method == "GET" and request.target.startswith("/v1/token/"):
                self._remember(request, answer, version)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done, answer.encode(keep_alive=request.keep_alive))

        self._workers.submit(work)

    def _remember(self, request: Incoming, answer: Answer, version: int) -> None:
        """Keep the answer for as long as the same question has the same answer."""
        ref = "/".join(request.parts[2:])
        try:
            view = self._api.accounts.view(ref)
            life = min_life(request)
        except Exception:
            return
        now = self._now()
        until = now + timedelta(minutes=5)
        if view.expires_at is not None:
            if life is None:
                lifetime = view.expires_at - (view.obtained_at or now)
                life = min(timedelta(seconds=60), lifetime * 0.2)
            until = min(until, view.expires_at - life)
        if until <= now or self.consenting():
            return
        if len(self._memory) > REMEMBERED_MOST:
            self._memory.clear()
        kept = Remembered(answer.encode(keep_alive=request.keep_alive), until, version)
        self._memory[_question(request)] = kept

    def _news(self, event: LoggedEvent) -> None:
        """On the publishing thread: whatever changed, what was remembered may be wrong now."""
        self._memory.clear()
        loop = self._loop
        if loop is not None and event.kind != "idle" and self._streams:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell, event)

    def _tell(self, event: LoggedEvent) -> None:
        for stream in list(self._streams):
            stream.tell(event)

    # --- event streams --------------------------------------------------------------------------------------

    def stream(self, connection: _Connection) -> None:
        self._streams.add(connection)
        if len(self._streams) == 1 and self._loop is not None:
            self._loop.create_task(self._watch())

    def unstream(self, connection: _Connection) -> None:
        self._streams.discard(connection)

    async def _watch(self) -> None:
        """Tell of what other processes did, while somebody listens; otherwise nobody wakes up for it."""
        seen = self._last_seq()
        version = self._store.data_version()
        while self._streams:
            await asyncio.sleep(LOOK_FOR_NEWS)
            now = self._store.data_version()
            if now != version:
                version = now
                for event in self._api.accounts.history(None, after=seen, limit=200):
                    seen = max(seen, event.seq)
                    self._tell(event)

    def _last_seq(self) -> int:
        newest = self._api.accounts.history(None, limit=1)
        return newest[-1].seq if newest else 0


class _Connection(asyncio.Protocol):
    """One client. Requests are answered in order; a second one waits for the first."""

    def __init__(self, server: AgentServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy = False
        self._streaming = False
        self._told = 0
        self._peer = Peer()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer = peer_of(transport.get_extra_info("socket"))
        if self._peer.uid is not None and self._peer.uid != os.getuid():
            log.warning("a program of another user was refused")
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._streaming:
            return
        self._buffer += data
        if not self._busy:
            self._next()
        elif len(self._buffer) > 1 << 20:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.unstream(self)
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            taken = take(self._buffer)
        except BadRequest as error:
            broken = Incoming("GET", "/", {}, b"", False)
            transport.write(problem(Usage(str(error)), broken, error.status).encode(keep_alive=False))
            transport.close()
            return
        if taken is None:
            self._expect_more()
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        request, size = taken
        self._buffer = self._buffer[size:]
        if request.method == "GET" and request.target.partition("?")[0] == "/v1/events":
            self._begin_stream(request)
            return
        quick = self._server.quick(request)
        if quick is not None:
            self._reply(quick, request.keep_alive)
            return
        self._busy = True
        keep = request.keep_alive
        self._server.ask(request, self._peer, lambda answer: self._reply(answer, keep))

    def _expect_more(self) -> None:
        if self._buffer and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEADER_SECONDS, self.close)

    def _reply(self, answer: bytes, keep: bool) -> None:
        self._busy = False
        if self._transport is None:
            return
        self._transport.write(answer)
        if not keep:
            self._transport.close()
        elif self._buffer:
            self._next()

    def _begin_stream(self, request: Incoming) -> None:
        assert self._transport is not None
        if "origin" in request.headers:
            self._reply(
                problem(Usage("web pages are not served"), request, 403).encode(keep_alive=False), False
            )
            return
        self._streaming = True
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"Connection: close\r\n\r\n: keyfob\n\n"
        )
        since = request.query.get("after") or request.headers.get("last-event-id")
        if since is not None and since.isdecimal():
            for event in self._server._api.accounts.history(None, after=int(since), limit=1000):
                self.tell(event)
        self._server.stream(self)

    def tell(self, event: LoggedEvent) -> None:
        """One event, each once, however it was noticed."""
        if self._transport is None or (event.seq and event.seq <= self._told):
            return
        self._told = max(self._told, event.seq)
        self._transport.write(event_line(event))


class Workers:
    """Daemon threads, made when needed and gone after a while: a call that hangs never holds up the exit."""

    def __init__(self, most: int, idle: float = 10.0) -> None:
        self._most = most
        self._idle = idle
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        with self._lock:
            if self._free > self._jobs.qsize() - 1 or self._threads >= self._most:
                return
            self._threads += 1
        threading.Thread(target=self._work, name="agent", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._free += 1
            try:
                job = self._jobs.get(timeout=self._idle)
            except queue.Empty:
                with self._lock:
                    self._free -= 1
                    if self._jobs.qsize() and not self._free:
                        continue
                    self._threads -= 1
                return
            with self._lock:
                self._free -= 1
            try:
                job()
            except Exception:
                log.exception("a request of the agent failed")


def _question(request: Incoming) -> Question:
    return request.target, request.headers.get("accept", ""), request.keep_alive


# --- the socket -------------------------------------------------------------------------------------------------


def bind_socket(path: Path) -> socket.socket:
    """A listening Unix socket at `path`, 0600 in a 0700 folder of ours. A stale one is replaced; a live one, or one
    that is not ours, is not. Raises SettingWrong."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = path.parent.stat()
    if folder.st_uid != os.getuid():
        raise SettingWrong(
            f"{path.parent} belongs to another user", remedy="Set KEYFOB_SOCK to a path of your own."
        )
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise SettingWrong(
                f"{path} is in the way of the agent's socket", remedy="Remove it, or set KEYFOB_SOCK."
            )
        if answers(path):
            raise SettingWrong("An agent runs already", remedy="Use that one; there is nothing to do.")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise SettingWrong(f"The agent's socket cannot be made: {error.strerror}") from error
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def answers(path: Path) -> bool:
    """Whether somebody serves this socket now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def peer_of(sock: socket.socket) -> Peer:
    """The other end's process and user, as the kernel knows them."""
    system: str = sys.platform
    if system == "linux":
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", raw)
        return Peer(pid, uid)
    if system == "darwin":
        # LOCAL_PEERCRED: struct xucred, whose second word is the user; LOCAL_PEERPID for the process.
        raw = sock.getsockopt(0, 1, 76)
        _, uid = struct.unpack_from("=II", raw)
        (pid,) = struct.unpack("i", sock.getsockopt(0, 2, 4))
        return Peer(pid, uid)
    return Peer()


def handed_over() -> socket.socket | None:
    """The listening socket that systemd passed to us (sd_listen_fds), None where it did not."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    sock = socket.socket(fileno=3)
    sock.setblocking(False)
    return sock


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: nearly twice the connections a second."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop  # type: ignore[no-any-return]
