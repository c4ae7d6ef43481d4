"""Servers on loopback that misbehave at the byte level, an honest one, and a CONNECT proxy.

    with RawServer(drip_headers()) as server:
        transport.send(Request("GET", server.url("/token"), "token"))
    assert len(server.requests) == 1

Thread-based, on raw sockets, so that a test decides each byte and when it leaves. Every server is closed,
with all its connections, when its block ends.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class UnsavedGrant:
    """A request as it came. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Talk:
    """One connection, after its request was read. `closing` is set when the server ends."""

    def __init__(self, sock: socket.socket, request: UnsavedGrant, closing: threading.Event) -> None:
        self.sock = sock
        self.request = request
        self.closing = closing

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def pause(self, seconds: float) -> None:
        self.closing.wait(seconds)


Behaviour = Callable[[Talk], None]


class RawServer:
    """Serves `behaviour` to each connection, one request each. `requests` is what arrived, `connections` how
    many connected (with TLS: before any handshake).
    """

    def __init__(
        self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[UnsavedGrant] = []
        self.connections = 0
        self._behaviour = behaviour
        self._tls = tls
        self._host = host
        self._closing = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._listener.bind((host, 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        shown = host or (f"[{self._host}]" if ":" in self._host else self._host)
        return f"{'https' if self._tls else 'http'}://{shown}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._guard:
            still_open = list(self._open)
        for sock in still_open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
            assert not thread.is_alive(), "a hostile server's thread did not end"

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._guard:
                self.connections += 1
                self._open.append(sock)
            self._run(lambda sock=sock: self._serve(sock))  # type: ignore[misc]

    def _serve(self, sock: socket.socket) -> None:
        plain = sock
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            request = read_request(sock)
            if request is not None:
                with self._guard:
                    self.requests.append(request)
                self._behaviour(Talk(sock, request, self._closing))
        except OSError:
            pass  # the client has gone, as it should from a hostile server
        finally:
            with self._guard:
                self._open.remove(plain)
            sock.close()
            plain.close()


def read_request(sock: socket.socket) -> UnsavedGrant | None:
    """The next request with its body, or None where the connection ended before it was whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    while len(body) < int(headers.get("content-length", "0")):
        piece = sock.recv(65536)
        if not piece:
            return None
        body += piece
    method, target, _ = first.split(" ", 2)
    return UnsavedGrant(method, target, headers, body)


# --- behaviours ---------------------------------------------------------------------------------------------


def answer(
    status: int = 200, body: bytes = b"{}", headers: Mapping[str, str] | None = None, reason: str = "Whatever"
) -> Behaviour:
    """An honest answer."""

    def behave(talk: Talk) -> None:
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        talk.send(f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode("latin-1") + body)

    return behave


def redirect(status: int, location: str) -> Behaviour:
    return answer(status, b"", {"Location": location})


def raw(data: bytes) -> Behaviour:
    """Exactly these bytes, then the connection closes."""
    return lambda talk: talk.send(data)


def hang_up(talk: Talk) -> None:
    """Reads the request and closes without a word."""


def silence(talk: Talk) -> None:
    """Reads the request and never answers."""
    talk.pause(600)


def drip_headers(interval: float = 0.05) -> Behaviour:
    """A header that never ends, a byte at a time: no single read ever waits long."""

    def behave(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not talk.closing.is_set():
            talk.send(b"a")
            talk.pause(interval)

    return behave


def drip_body(interval: float = 0.05, length: int = 1_000_000) -> Behaviour:
    def behave(talk: Talk) -> None:
        talk.send(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        while not talk.closing.is_set():
            talk.send(b" ")
            talk.pause(interval)

    return behave


def endless_informational(talk: Talk) -> None:
    """100 Continue for ever: an answer that never begins."""
    while not talk.closing.is_set():
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def big_body(length: int, *, declared: bool) -> Behaviour:
    """`length` bytes, with their number told first, or until the connection closes."""

    def behave(talk: Talk) -> None:
        told = f"Content-Length: {length}\r\n" if declared else ""
        talk.send(f"HTTP/1.1 200 OK\r\n{told}\r\n".encode())
        block = b"x" * 65536
        for _ in range(length // len(block)):
            talk.send(block)

    return behave


def big_chunked(length: int) -> Behaviour:
    def behave(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"x" * 65536
        for _ in range(length // len(block)):
            talk.send(b"10000\r\n" + block + b"\r\n")
        talk.send(b"0\r\n\r\n")

    return behave


def gzip_bomb(length: int = 100_000_000) -> Behaviour:
    """A small body that unfolds to `length` zeros, sent although nobody asked for gzip."""
    packer = zlib.compressobj(9, wbits=31)
    block = b"0" * 1_000_000
    bomb = b"".join(packer.compress(block) for _ in range(length // len(block))) + packer.flush()
    return answer(200, bomb, {"Content-Encoding": "gzip"})


def cut_off(body: bytes = b'{"access_token":"half', declared: int = 1000) -> Behaviour:
    """Promises `declared` bytes and hangs up after `body`."""
    return raw(f"HTTP/1.1 200 OK\r\nContent-Length: {declared}\r\n\r\n".encode() + body)


# --- a proxy ------------------------------------------------------------------------------------------------


def connect_proxy(
    backend: tuple[str, int] | None, targets: list[UnsavedGrant], status: int = 200
) -> Behaviour:
    """What a CONNECT proxy does: whatever host is asked for, it leads to `backend`. `targets` gets each
    request. A `status` other than 200 refuses.
    """

    def behave(talk: Talk) -> None:
        targets.append(talk.request)
        if status != 200 or backend is None:
            talk.send(f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
            return
        with socket.create_connection(backend) as other:
            talk.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            while not talk.closing.is_set():
                ready, _, _ = select.select([talk.sock, other], [], [], 0.1)
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (other if source is talk.sock else talk.sock).sendall(data)

    return behave
