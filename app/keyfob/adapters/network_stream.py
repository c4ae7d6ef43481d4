"""Connections that end by an absolute deadline, whatever the peer does.

httpx's timeouts start anew with each read, so a server that sends a byte a second holds a caller as long as it
likes. Here every wait (name, connection, TLS, each read and write) gets only what is left of one deadline. Used by
`transport_httpx` alone, one backend for one exchange. Speaks TLS only with the context it is given.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from keyfob.core.hosts import is_loopback

# An address that does not answer (often a broken IPv6 route) must leave time for the next one.
ATTEMPT_MOST = 5.0  # s
_RECORD = 16 * 1024  # bytes; a TLS record


class TlsRefused(Exception):
    """The peer's certificate or its TLS version is not acceptable. The text says why, in OpenSSL's words."""


class Deadline:
    """A point in monotonic time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; never negative."""
        return max(self._end - time.monotonic(), 0.0)


class Patience(Deadline):
    """A deadline that starts anew whenever something came: for answers of any length, read by a person's program."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._seconds = seconds

    def again(self) -> None:
        self._end = time.monotonic() + self._seconds


class DeadlineBackend(httpcore.NetworkBackend):
    """Makes the connections of one exchange. With `loopback`, names are taken for their loopback addresses only:
    `localhost` in a hosts file must not lead plain http off this machine."""

    def __init__(self, deadline: Deadline, *, loopback: bool) -> None:
        self._deadline = deadline
        self._loopback = loopback

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port, self._deadline)
        if self._loopback:
            addresses = [each for each in addresses if is_loopback(each[1][0])]
        problem: Exception = httpcore.ConnectError(f"no address for {host}")
        for index, (family, address) in enumerate(addresses):
            left = self._deadline.left()
            if left <= 0:
                raise httpcore.ConnectTimeout("the time is up")
            last = index == len(addresses) - 1
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(left if last else min(left / 2, ATTEMPT_MOST))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                kind = httpcore.ConnectTimeout if isinstance(error, TimeoutError) else httpcore.ConnectError
                problem = kind(str(error))
            except BaseException:
                sock.close()
                raise
            else:
                return _TcpStream(sock, self._deadline)
        raise problem


class _TcpStream(httpcore.NetworkStream):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._arm(httpcore.ReadTimeout)
        try:
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("the time is up") from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            self._arm(httpcore.WriteTimeout)
            try:
                rest = rest[self._sock.send(rest) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout("the time is up") from error
            except OSError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _start_tls(self, ssl_context, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        # A connection serves one exchange: an idle one counts as spent.
        return True if info == "is_readable" else None

    def _arm(self, kind: type[Exception]) -> None:
        left = self._deadline.left()
        if left <= 0:
            raise kind("the time is up")
        self._sock.settimeout(left)


class _TlsStream(httpcore.NetworkStream):
    """TLS over another stream, so that TLS through an https proxy obeys the deadline just the same."""

    def __init__(
        self, below: httpcore.NetworkStream, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._run(self._tls.do_handshake)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            data: bytes = self._run(lambda: self._tls.read(max_bytes))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Some servers close without TLS's goodbye. A body that has a length is still checked against it.
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            part = rest[:_RECORD]
            try:
                rest = rest[self._run(lambda: self._tls.write(part)) :]  # noqa: B023  (called at once)
            except ssl.SSLError as error:
                raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._below.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _start_tls(self, ssl_context, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._tls
            case "is_readable":
                return True
            case _:
                return None

    def _run(self, step: Callable[[], Any]) -> Any:
        while True:
            result, waiting = None, False
            try:
                result = step()
            except ssl.SSLWantReadError:
                waiting = True
            finally:
                # On failure too: the peer is told why.
                if self._outgoing.pending:
                    self._below.write(self._outgoing.read())
            if not waiting:
                return result
            data = self._below.read(_RECORD)
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()


# OpenSSL's reasons that mean a protocol older than TLS 1.2.
_TOO_OLD = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}


def _start_tls(
    below: httpcore.NetworkStream, context: ssl.SSLContext, server_hostname: str | None
) -> httpcore.NetworkStream:
    try:
        return _TlsStream(below, context, server_hostname)
    except ssl.SSLCertVerificationError as error:
        below.close()
        raise TlsRefused(error.verify_message) from error
    except ssl.SSLError as error:
        below.close()
        if error.reason in _TOO_OLD:
            raise TlsRefused("it does not speak TLS 1.2 or newer") from error
        raise httpcore.ConnectError(str(error)) from error
    except httpcore.TimeoutException as error:
        below.close()
        raise httpcore.ConnectTimeout(str(error)) from error
    except httpcore.NetworkError as error:
        below.close()
        raise httpcore.ConnectError(str(error)) from error


def _resolve(host: str, port: int, deadline: Deadline) -> list[tuple[int, Any]]:
    """Addresses to try, in the system's order. A resolver has no deadline of its own, so it runs on a thread that
    is left behind when the time is up; it holds nothing but the name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        pass
    else:
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    worker = threading.Thread(target=look_up, name="keyfob-resolve", daemon=True)
    worker.start()
    worker.join(deadline.left())
    if not found:
        raise httpcore.ConnectTimeout("the name was not resolved in time")
    if isinstance(found[0], Exception):
        raise httpcore.ConnectError(str(found[0]))
    return [(family, address) for family, _, _, _, address in found[0]]
