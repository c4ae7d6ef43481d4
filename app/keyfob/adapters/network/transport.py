"""HTTP through httpcore: one exchange for each call, on its own connection.

It follows no redirect, keeps no cookie, sends nothing twice, ends by an absolute deadline, limits the body
(also after decompression), checks TLS against the system's authorities, and uses plain http only on this
machine. Each request gets a new connection: on a kept one that died unnoticed, a refresh token could be used
up without an answer. The runner of effects calls it, on any thread. Must never log a URL, a header or a body.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyfob import __version__
from keyfob.core.errors import Fault, KeyfobError, SettingWrong, Transient
from keyfob.core.hosts import is_loopback, is_own_network
from keyfob.core.http import Request, Response, Streamed
from keyfob.core.text import plain
from keyfob.ports import Clock
from keyfob.protocol.http.urls import fault_of

if TYPE_CHECKING:
    import ssl

    import httpcore

    from keyfob.adapters.network.stream import Deadline, Patience

log = logging.getLogger(__name__)
DEADLINE = 30.0  # s for a whole exchange, from the name's look-up to the last byte
PATIENCE = 60.0  # s for each piece of a streamed answer
BODY_MOST = 1024 * 1024  # bytes of a body, after decoding
ADDRESS_MOST = 64 * 1024  # characters: a token may be in its query
_PIECE = 64 * 1024  # bytes
_COMPRESSED = ("gzip", "x-gzip", "deflate")
_WITH_BODY = ("POST", "PUT", "PATCH")  # an empty body is sent with its length (RFC 9110 §8.6)
USER_AGENT = f"Keyfob/{__version__}"  # some providers block the names of libraries


def unreachable(host: str) -> Transient:
    """The error for a server that no connection leads to: nothing was sent."""
    return Transient(f"{host} cannot be reached", code="network_unreachable", sent=False)


class HttpTransport:
    """ports.Transport. Thread-safe. Imports httpcore with the first request, so that making one costs
    nothing.
    """

    def __init__(self, clock: Clock, *, deadline: float = DEADLINE, body_most: int = BODY_MOST) -> None:
        """`deadline` in seconds, `body_most` in bytes."""
        self._clock = clock
        self._deadline = deadline
        self._body_most = body_most
        self._guard = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request) -> Response:
        """The whole answer, redirects as they are. Raises Transient (`network_unreachable` before the request
        left, `network_timeout`, `provider_unavailable` if the answer is lost) or SettingWrong
        (`tls_untrusted`, `endpoint_unsafe`, `setting_faulty`).
        """
        exchange = _Exchange(request, self._body_most)
        try:
            return exchange.run(self._trust(), self._deadline, self._clock)
        except KeyfobError:
            raise
        except Exception as error:
            failure = exchange.failure(error)
        # Outside the handler, so that the library's error, which may hold the request, does not hang on it.
        raise failure

    @contextmanager
    def stream(self, request: Request, *, patience: float = PATIENCE) -> Iterator[Streamed]:
        """The same for an answer of any length, which is read as it comes. `patience` in seconds: how long to
        wait for the next piece. For a user's own API calls, whose answers Keyfob does not have to judge.
        """
        from keyfob.adapters.network.stream import Patience

        exchange = _Exchange(request, self._body_most)
        deadline = Patience(patience)
        try:
            with exchange.opened(self._trust(), deadline) as answer:
                headers = _headers_of(answer)
                yield Streamed(answer.status, headers, _pieces(_decoded(answer, headers), deadline))
                return
        except (KeyfobError, GeneratorExit):
            raise
        except _PeerError as broken:
            failure = exchange.failure(broken.error)
        except Exception as error:
            if exchange.answered:
                raise  # the reader's own
            failure = exchange.failure(error)
        raise failure

    def _trust(self) -> ssl.SSLContext:
        with self._guard:
            if self._context is None:
                from keyfob.adapters.network.trust import tls_context

                # Even with all logging on, the library must not log full URLs.
                logging.getLogger("httpcore").setLevel(logging.WARNING)
                self._context = tls_context()
            return self._context


class _PeerError(Exception):
    """What went wrong while the body was read, from what its reader raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class _TooBigError(Exception):
    pass


class _EncodingError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Address:
    """The parts of a URL that an exchange needs. `target`: its path and query, which may hold a token."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    default_port: int

    @property
    def authority(self) -> str:
        """As the Host header has it (RFC 9110 §7.2). httpcore's own lacks the brackets of an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"


class _Exchange:
    """One request and what became of it. `sent` turns True just before its first byte is written."""

    def __init__(self, request: Request, body_most: int) -> None:
        self._request = request
        self._body_most = body_most
        self._host = "the server"
        self.sent = False
        self.answered = False

    def run(self, context: ssl.SSLContext, seconds: float, clock: Clock) -> Response:
        from keyfob.adapters.network.stream import Deadline

        with self.opened(context, Deadline(seconds)) as answer:
            headers = _headers_of(answer)
            body = self._read(answer, headers)
            return Response(answer.status, headers, body, clock(), self._request.url)

    @contextmanager
    def opened(self, context: ssl.SSLContext, deadline: Deadline) -> Iterator[httpcore.Response]:
        """The answer, its body not read yet."""
        import httpcore

        from keyfob.adapters.network.stream import DeadlineBackend
        from keyfob.adapters.network.trust import proxy_for

        url = self._checked_url()
        # Plain http stays on this computer or network: no proxy sees it.
        proxy = None if url.scheme == "http" else proxy_for(url.scheme, url.host, url.port)
        with (
            httpcore.ConnectionPool(
                ssl_context=context,
                max_keepalive_connections=0,
                network_backend=DeadlineBackend(deadline, within=_reach(url)),
                proxy=None
                if proxy is None
                else httpcore.Proxy(
                    proxy[0],
                    auth=proxy[1],
                    headers={"User-Agent": USER_AGENT},
                    ssl_context=context if proxy[0].startswith("https") else None,
                ),
            ) as pool,
            pool.stream(
                self._request.method,
                httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
                headers=self._headers(url),
                content=self._request.body or (b"" if self._request.method in _WITH_BODY else None),
                extensions={"trace": self._trace},
            ) as answer,
        ):
            self.answered = True
            log.debug("%s request to %s: %d", self._request.purpose, self._host, answer.status)
            yield answer

    def failure(self, error: Exception) -> KeyfobError:
        """What `error`, raised by `run`, means to the caller."""
        import httpcore

        from keyfob.adapters.network.stream import TlsError

        host = self._host
        sent = self.sent
        log.debug("%s request to %s failed: %s", self._request.purpose, host, type(error).__name__)
        match error:
            case TlsError():
                return SettingWrong(
                    f"The connection to {host} cannot be trusted: {plain(error)}", code="tls_untrusted"
                )
            case httpcore.LocalProtocolError() | UnicodeError():
                return SettingWrong(
                    f"The request to {host} cannot be sent: an address or header has characters that HTTP "
                    "forbids"
                )
            case httpcore.TimeoutException():
                return Transient(f"{host} did not answer in time", code="network_timeout", sent=sent)
            case httpcore.ProxyError():
                return Transient(
                    f"The proxy did not connect to {host}: {plain(error)}",
                    code="network_unreachable",
                    sent=sent,
                )
            case _TooBigError():
                return Transient(f"{host} sent an answer that is too large", sent=sent)
            case _EncodingError() | zlib.error():
                return Transient(f"{host} answered in an encoding that Keyfob did not ask for", sent=sent)
            case httpcore.NetworkError() | httpcore.ProtocolError() if not sent:
                return unreachable(host)
            case httpcore.NetworkError() | httpcore.ProtocolError():
                return Transient(f"{host} closed the connection before its answer was complete", sent=sent)
            case _:
                return Fault(f"The request to {host} failed in an unexpected way ({type(error).__name__})")

    def _checked_url(self) -> _Address:
        """Checked again before anything is sent to it. Raises SettingWrong."""
        url = self._request.url
        fault = fault_of(url, most=ADDRESS_MOST, plain_host=self._request.plain_host)
        try:
            parts = urlsplit(url)
            self._host = plain(parts.hostname or self._host, 100)
        except ValueError:
            pass
        if fault is not None:
            raise SettingWrong(f"The address of {self._host} cannot be used: {fault}", code="endpoint_unsafe")
        default = 443 if parts.scheme == "https" else 80
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _Address(parts.scheme, parts.hostname or "", parts.port or default, target, default)

    def _headers(self, url: _Address) -> list[tuple[bytes | str, bytes | str]]:
        headers = {"host": url.authority, "accept": "*/*", "user-agent": USER_AGENT}
        headers.update((name.lower(), value) for name, value in self._request.headers.items())
        headers |= {"accept-encoding": "identity", "connection": "close"}
        lines = [*headers.items(), *((name.lower(), value) for name, value in self._request.more)]
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in lines]

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.sent = True

    def _read(self, answer: httpcore.Response, headers: Mapping[str, str]) -> bytes:
        declared = headers.get("content-length", "")
        if self._request.method != "HEAD" and declared.isdecimal() and int(declared) > self._body_most:
            raise _TooBigError
        if _encoding_of(headers) not in ("", "identity", *_COMPRESSED):
            raise _EncodingError
        body = bytearray()
        for piece in _decoded(answer, headers):
            body += piece
            if len(body) > self._body_most:
                raise _TooBigError
        return bytes(body)


def _reach(url: _Address) -> Callable[[str], bool] | None:
    """Which addresses a name may lead to: for plain http those of this computer, or of the own network."""
    if url.scheme == "https":
        return None
    return is_loopback if is_loopback(url.host) else is_own_network


def _headers_of(answer: httpcore.Response) -> dict[str, str]:
    """By lower-case names. What came more than once is joined, as RFC 9110 §5.3 has it."""
    found: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("utf-8", "replace")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _decoded(answer: httpcore.Response, headers: Mapping[str, str]) -> Iterator[bytes]:
    """The body as it comes. A server may compress it although Keyfob did not ask for that."""
    compressed = _encoding_of(headers) in _COMPRESSED
    return _inflated(answer.iter_stream()) if compressed else answer.iter_stream()


def _encoding_of(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


def _pieces(chunks: Iterator[bytes], deadline: Patience) -> Iterator[bytes]:
    while True:
        deadline.again()
        try:
            chunk = next(chunks)
        except StopIteration:
            return
        except Exception as error:
            raise _PeerError(error) from None
        yield chunk


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decoded a bounded piece at a time: a small body may unfold to gigabytes."""
    inflate = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever the first bytes say
    empty = True
    for chunk in chunks:
        empty = False
        while True:
            piece = inflate.decompress(chunk, _PIECE)
            yield piece
            chunk = inflate.unconsumed_tail
            if not chunk and len(piece) < _PIECE:
                break
        if inflate.unused_data:
            raise _EncodingError
    if not empty and not inflate.eof:
        raise _EncodingError
