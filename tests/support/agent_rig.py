"""The agent over the services in memory, on a real socket of its own; and a small HTTP client for it."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from keyfob.agent.api import Api, Consent
from keyfob.agent.endpoints import Endpoint, UnixEndpoint
from keyfob.agent.host import AgentHost
from keyfob.agent.limits import Limits
from keyfob.agent.server import AgentServer
from keyfob.agent.sign_ins import SignIns
from keyfob.core.errors import KeyfobError
from keyfob.service.accounts.views import Progress, SignInRequest
from support.rig import Rig


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, kept alive as the server allows."""

    def __init__(self, path: Path | str, *, timeout: float = 10.0) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(timeout)
        try:
            self._sock.connect(str(path))
        except OSError:
            self._sock.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Reply:
        self.send(method, target, body, **headers)
        return self.reply()

    def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: keyfob", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def raw(self, data: bytes) -> None:
        self._sock.sendall(data)

    def reply(self) -> Reply:
        head = self.until(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}
        body = self._exactly(int(headers.get("content-length", "0")))
        return Reply(int(first.split()[1]), headers, body)

    def event(self) -> dict[str, str]:
        """The next server-sent event."""
        while True:
            lines = self.until(b"\n\n").decode().splitlines()
            event = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if event:
                return event

    def closed(self) -> bool:
        """Whether the other end closes, within the timeout."""
        try:
            return self._sock.recv(65536) == b""
        except ConnectionError:
            return True

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _more(self) -> None:
        chunk = self._sock.recv(65536)
        if not chunk:
            raise EOFError("the agent closed the connection")
        self._buffer += chunk


def get(path: Path | str, target: str, **headers: str) -> Reply:
    with Client(path) as client:
        return client.ask("GET", target, **headers)


def post(path: Path | str, target: str, body: Any = None) -> Reply:
    with Client(path) as client:
        return client.ask("POST", target, b"" if body is None else json.dumps(body).encode())


class FakeAttempt:
    """A sign-in that waits until it is pasted to, or cancelled."""

    def __init__(self, request: SignInRequest, number: int) -> None:
        self.id = f"attempt-{number}"
        self.request = request
        self.pasted: list[str] = []
        self.error: KeyfobError | None = None
        self._progress = Progress("preparing", request.provider, "Example", request.method or "oauth")
        self._observers: list[Callable[[Progress], None]] = []
        self._end = threading.Event()

    @property
    def progress(self) -> Progress:
        return self._progress

    def observe(self, observer: Callable[[Progress], None]) -> Callable[[], None]:
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def advance(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        for observer in self._observers:
            observer(self._progress)

    def run(self, spawn: object) -> None:
        from keyfob.core.secret import Secret

        self.advance(stage="waiting", url=Secret("https://id.example.org/authorize?state=s"), paste="url")
        self._end.wait(10)
        if self._progress.stage != "cancelled":
            self.advance(stage="failed" if self.error else "done", error=self.error)
        if self.error:
            raise self.error

    def cancel(self) -> bool:
        if self._progress.ended:
            return False
        self.advance(stage="cancelled")
        self._end.set()
        return True

    def paste(self, text: str) -> None:
        self.pasted.append(text)
        self._end.set()


@dataclass
class FakeSignIn:
    attempts: list[FakeAttempt] = field(default_factory=list)
    error: KeyfobError | None = None

    def begin(self, request: SignInRequest) -> FakeAttempt:
        if self.error is not None:
            raise self.error
        self.attempts.append(FakeAttempt(request, len(self.attempts) + 1))
        return self.attempts[-1]

    def run(self, attempt: FakeAttempt, spawn: object) -> None:
        attempt.run(spawn)


def spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class AgentRig(Rig):
    """`serving()` runs the agent for the while."""

    def __init__(self, folder: Path, *, consent: Consent | None = None, **more: Any) -> None:
        super().__init__(folder, **more)
        self.sign_in = FakeSignIn()
        self.signer = self.engine.signer
        self.sign_ins = SignIns(self.sign_in, self.clock, spawn)  # type: ignore[arg-type]
        self.api = Api(
            self.accounts, self.sign_ins, self.signer, self.clock, consent, id_tokens=self.engine.id_tokens
        )

    def agent(
        self, *endpoints: Endpoint, consenting: bool = False, limits: Limits | None = None
    ) -> AgentServer:
        return AgentServer(
            self.api, self.events, self.store, endpoints, self.clock, lambda: consenting, limits
        )  # type: ignore[arg-type]

    @contextmanager
    def serving(
        self, *endpoints: Endpoint, consenting: bool = False, limits: Limits | None = None
    ) -> Iterator[AgentServer]:
        server = self.agent(*endpoints, consenting=consenting, limits=limits)
        host = AgentHost(lambda: server, self.locks)
        assert host.take()
        assert host.problem is None, host.problem
        try:
            yield server
        finally:
            host.leave()


@contextmanager
def short_folder() -> Iterator[Path]:
    """pytest's own is too long for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="kfa-"))
    folder.chmod(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def unix(folder: Path) -> UnixEndpoint:
    return UnixEndpoint(folder / "agent.sock")
