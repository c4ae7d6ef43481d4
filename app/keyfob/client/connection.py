"""One request to the agent and its answer. Imports only `os`, `sys` and `time` until there is a socket to
connect to.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

TIMEOUT = 90.0  # seconds: a renewal may take 30, and another one before it as many
SILENCE = 3.0  # seconds without an answer after which the agent is asked for a sign of life
SIGN_OF_LIFE = 7.0  # seconds it has to give one
SILENT_FOR = 60.0  # seconds for which an agent that gave none is left alone
JSON = "application/json"
PLAIN = "text/plain"
HEADER = "text/x-keyfob-header"
_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-/"

# Called when the agent has been silent for a while, once a process: a command on a terminal says so.
on_wait: Callable[[], None] | None = None
silent_until = 0.0  # by the monotonic clock: an agent that showed no sign of life is not asked again before


class AgentGoneError(Exception):
    """There is no agent at the socket, or it went away before it answered."""


class AgentOlderError(AgentGoneError):
    """The agent runs, and does not know the request."""


class _Place:
    """Where the agent listens. `key`: of a port; empty for a socket."""

    def __init__(self) -> None:
        import _socket

        from keyfob.process.paths import NotOursError, socket_file

        try:
            path = socket_file(os.environ)
        except (OSError, NotOursError) as error:
            raise AgentGoneError(str(error)) from None
        self.address: str | tuple[str, int] = path
        self.host, self.key, self.port = "keyfob", "", 0
        family = getattr(_socket, "AF_UNIX", None)
        found = _loopback(path) if family is None or path.endswith(".json") else None
        if found is not None:
            self.port, self.key = found
            self.address, self.host = ("127.0.0.1", self.port), f"127.0.0.1:{self.port}"
            family = _socket.AF_INET
        if family is None:
            raise AgentGoneError("no agent is running")
        self._family: int = family

    def connect(self, seconds: float) -> _socket.socket:
        """A new connection. Raises OSError."""
        import _socket

        sock = _socket.socket(self._family, _socket.SOCK_STREAM)
        sock.settimeout(seconds)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock


def exchange(
    method: str, target: str, accept: str = "", body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request to the agent on its own connection: status, headers, body. An agent may take its time, but
    not without a sign of life. Raises AgentGoneError.
    """
    if is_agent_silent():
        raise AgentGoneError("the agent does not answer")
    place = _Place()
    head = f"{method} {target} HTTP/1.1\r\nHost: {place.host}\r\nConnection: close\r\nAccept: {accept}\r\n"
    if place.key:
        head += f"Authorization: Bearer {place.key}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    try:
        sock = place.connect(SIGN_OF_LIFE)
        try:
            if place.key:
                from keyfob.process.agent_hello import proves_itself

                # An agent that was killed leaves its file behind, and another program may have its port.
                if not proves_itself(sock, place.port, place.key):
                    raise AgentGoneError("another program has the agent's port")
            sock.settimeout(SIGN_OF_LIFE)
            _send(sock, head.encode("ascii") + body)
            return parse_response(_received(sock, place))
        finally:
            sock.close()
    except OSError as error:
        raise AgentGoneError(str(error)) from None


def _send(sock: _socket.socket, data: bytes) -> None:
    while data:
        data = data[sock.send(data) :]


def _received(sock: _socket.socket, place: _Place) -> bytes:
    """All that comes until the other end closes. Raises OSError, and AgentGoneError for an agent that does
    not live.
    """
    global silent_until, on_wait
    end = time.monotonic() + TIMEOUT
    sock.settimeout(SILENCE)
    chunks: list[bytes] = []
    while True:
        try:
            chunk = sock.recv(65536)
        except TimeoutError:
            say, on_wait = on_wait, None
            if say is not None:
                say()
            if time.monotonic() < end and _lives(place):
                continue
            silent_until = time.monotonic() + SILENT_FOR
            raise AgentGoneError("the agent does not answer") from None
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _lives(place: _Place) -> bool:
    """Whether the agent answers what it answers at once, while it works on what takes long."""
    try:
        sock = place.connect(SIGN_OF_LIFE)
    except OSError:
        return False
    try:
        _send(sock, f"GET /v1/hello HTTP/1.1\r\nHost: {place.host}\r\nConnection: close\r\n\r\n".encode())
        return bool(sock.recv(1))
    except OSError:
        return False
    finally:
        sock.close()


def agent_pid() -> int | None:
    """The process that listens for the agent, if the system says so and it is not systemd."""
    import _socket

    try:
        sock = _Place().connect(SILENCE)
    except (OSError, AgentGoneError):
        return None
    try:
        # struct ucred: process, user, group.
        raw = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        pid = int.from_bytes(raw[:4], sys.byteorder)
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return None if file.read().startswith("systemd") else pid
    except (OSError, AttributeError):
        return None
    finally:
        sock.close()


def _loopback(path: str) -> tuple[int, str] | None:
    """The port and the key of an agent that has no Unix socket, from its file next to where that would be."""
    import json

    try:
        with open(os.path.splitext(path)[0] + ".json", "rb") as file:
            document = json.loads(file.read())
        return int(document["port"]), str(document["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse_response(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their lower-case name, and body. Raises AgentGoneError if a part is missing."""
    head, blank, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not blank or len(words) < 2 or not words[1].isdecimal():
        raise AgentGoneError("the agent stopped")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "")
    if length.isdecimal() and len(body) < int(length):
        raise AgentGoneError("the agent stopped")
    return int(words[1]), headers, body


def account_path(kind: str, ref: str, query: str = "") -> str:
    """The path of an account under `/v1/`. Raises AgentGoneError for what cannot be an account: anything but
    letters, digits and `._@-/`.
    """
    if not ref or any(char not in _SAFE for char in ref) or ".." in ref.split("/"):
        raise AgentGoneError("no account has this name")
    return f"/v1/{kind}/{ref}{query}"


def announce_waiting() -> None:
    """From now on, a command that waits for the agent says so where a user sees it."""
    global on_wait
    on_wait = _say_waiting


def _say_waiting() -> None:
    if os.isatty(2):
        os.write(2, "Waiting for the Keyfob agent…\n".encode())


def is_agent_silent() -> bool:
    """Whether the agent gave no sign of life when it was last asked, a moment ago."""
    return time.monotonic() < silent_until
