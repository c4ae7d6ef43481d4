"""Connections that end by an absolute deadline, whatever the peer does.

Every wait (for a name, a connection, TLS, each read and write) gets the rest of one deadline. Used only by
`transport`, one backend for one exchange. Uses TLS only with the context that it is given.

httpcore's own backend cannot do this. Its timeouts start again with each read, also inside a TLS record, and
it resolves names without one. A timer that closes the socket would make a body without a length look complete
when it was cut.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpcore

# An address that does not answer (often a broken IPv6 route) must leave time for the next one.
ATTEMPT_MOST = 5.0  # s
_RECORD = 16 * 1024  # bytes; a TLS record

_Result = TypeVar("_Result")


class TlsError(Exception):
    """The peer's certificate or its TLS version is not acceptable. The text says why, in OpenSSL's words."""


class Deadline:
    """A point in monotonic time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than none. Raises TimeoutError when the time limit was reached."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time limit was reached")
        return left


class Patience(Deadline):
    """A deadline that starts again whenever something came: for answers of any length, read by a user's
    program.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._seconds = seconds

    def again(self) -> None:
        """Start the time limit again: a piece has come."""
        self._end = time.monotonic() + self._seconds


class DeadlineBackend(httpcore.NetworkBackend):
    """Makes the connections of one exchange. With `within`, names are taken for those of their addresses
    only: `localhost` in a hosts file must not lead plain http off this machine, nor a name of the own network
    out of it.
    """

    def __init__(self, deadline: Deadline, *, within: Callable[[str], bool] | None) -> None:
        self._deadline = deadline
        self._within = within

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect within the request's deadline; httpcore's own `timeout` is not used. Raises httpcore's
        errors.
        """
        with _named(httpcore.ConnectTimeout, httpcore.ConnectError):
            addresses = _resolve(host, port, self._deadline)
            if self._within is not None:
                addresses = [each for each in addresses if self._within(each[1][0])]
            return _TcpStream(_connected(addresses, self._deadline), self._deadline)


class _Stream(httpcore.NetworkStream):
    """What TCP and TLS have in common. The deadline replaces every `timeout`."""

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            return _TlsStream(self, ssl_context, server_hostname)
        except ssl.SSLError as error:
            self.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise TlsError(error.verify_message) from error
            if error.reason in _TOO_OLD:
                raise TlsError("it does not support TLS 1.2 or newer") from error
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> object:
        # A connection serves one exchange: an idle one counts as used.
        return True if info == "is_readable" else None


class _TcpStream(_Stream):
    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _named(httpcore.ReadTimeout, httpcore.ReadError):
            self._sock.settimeout(self._deadline.left())
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _named(httpcore.WriteTimeout, httpcore.WriteError):
            self._sock.settimeout(self._deadline.left())
            self._sock.sendall(buffer)  # the timeout is the whole buffer's

    def close(self) -> None:
        self._sock.close()


class _TlsStream(_Stream):
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
            data: bytes = self._run(self._tls.read, max_bytes)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Some servers close without TLS's goodbye. A body that has a length is still checked against it.
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        try:
            while rest:
                rest = rest[self._run(self._tls.write, rest[:_RECORD]) :]
        except ssl.SSLError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._below.close()

    def get_extra_info(self, info: str) -> object:
        return self._tls if info == "ssl_object" else super().get_extra_info(info)

    def _run(self, step: Callable[..., _Result], *args: object) -> _Result:
        while True:
            try:
                return step(*args)
            except ssl.SSLWantReadError:
                pass
            finally:
                # On failure too, so that the peer learns why.
                if self._outgoing.pending:
                    self._below.write(self._outgoing.read())
            data = self._below.read(_RECORD)
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()


# OpenSSL's reasons that mean a protocol older than TLS 1.2.
_TOO_OLD = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}


@contextmanager
def _named(timeout: type[Exception], failure: type[Exception]) -> Iterator[None]:
    """Gives what a socket raises the names that httpcore has for it."""
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:
        raise failure(str(error)) from error


def _connected(addresses: list[tuple[int, Any]], deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one. Raises OSError."""
    problem = OSError("the name has no address")
    for number, (family, address) in enumerate(addresses, 1):
        left = deadline.left()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left if number == len(addresses) else min(left / 2, ATTEMPT_MOST))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem


def _resolve(host: str, port: int, deadline: Deadline) -> list[tuple[int, Any]]:
    """Addresses to try, in the system's order. Raises OSError. A resolver has no deadline, so it
    runs on a thread that is left behind when the time limit was reached; it holds nothing but the name.
    """
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
        raise TimeoutError("the name was not resolved in time")
    if isinstance(found[0], Exception):
        raise OSError(str(found[0]))
    return [(family, address) for family, _, _, _, address in found[0]]
