"""HTTP through httpx: one exchange a call, on a connection of its own.

Promises: no redirect followed, no cookie kept, nothing sent twice; ends by an absolute deadline; reads a bounded
body, decoded or not; verifies TLS against the system's authorities; speaks plain http to this machine alone. Each
request gets a fresh connection: on a kept one that died unseen, a refresh token could be spent without an answer.
Called by the runner of effects, on any thread. Must never log a URL, a header or a body.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob import __version__
from keyfob.core.errors import Fault, KeyfobError, SettingWrong, Transient
from keyfob.core.text import plain
from keyfob.core.wire import Request, Response
from keyfob.ports import Clock

if TYPE_CHECKING:
    import ssl

    import httpx

    from keyfob.adapters.network_stream import Deadline, Patience

DEADLINE = 30.0  # s for a whole exchange, from the name's look-up to the last byte
PATIENCE = 60.0  # s for each piece of a streamed answer
BODY_MOST = 1024 * 1024  # bytes of a body, after decoding
USER_AGENT = f"Keyfob/{__version__}"  # httpx's own is blocked by some providers


class HttpxTransport:
    """ports.Transport. Thread-safe. Imports httpx with the first request, so that making one costs nothing."""

    def __init__(self, clock: Clock, *, deadline: float = DEADLINE, body_most: int = BODY_MOST) -> None:
        """`deadline` in seconds, `body_most` in bytes."""
        self._clock = clock
        self._deadline = deadline
        self._body_most = body_most
        self._guard = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request) -> Response:
        """The whole answer, redirects as they are. Raises Transient (`network_unreachable` before the request
        left, `network_timeout`, `provider_unavailable` where the answer is lost) or SettingWrong (`tls_untrusted`,
        `endpoint_unsafe`, `setting_faulty`)."""
        exchange = _Exchange(request, self._body_most)
        try:
            return exchange.run(self._trust(), self._deadline, self._clock)
        except KeyfobError:
            raise
        except Exception as error:
            failure = exchange.failure(error)
        # Outside the handler, so that nothing of httpx hangs on it: its errors hold the request and its headers.
        raise failure

    @contextmanager
    def stream(self, request: Request, *, patience: float = PATIENCE) -> Iterator[Streamed]:
        """The same for an answer of any length, which is read as it comes. `patience` in seconds: how long to wait for
        the next piece. Not of the port: for a person's own API calls, whose answers nobody has to judge."""
        from keyfob.adapters.network_stream import Patience

        exchange = _Exchange(request, self._body_most)
        deadline = Patience(patience)
        try:
            with exchange.opened(self._trust(), deadline) as answer:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                yield Streamed(answer.status_code, headers, _pieces(answer, deadline))
                return
        except (KeyfobError, GeneratorExit):
            raise
        except _OfPeer as broken:
            failure = exchange.failure(broken.error)
        except Exception as error:
            if exchange.answered:
                raise  # the reader's own
            failure = exchange.failure(error)
        raise failure

    def _trust(self) -> ssl.SSLContext:
        with self._guard:
            if self._context is None:
                from keyfob.adapters.network_trust import tls_context

                # Whoever turns all logging on must not get full URLs from these two.
                for name in ("httpx", "httpcore"):
                    logging.getLogger(name).setLevel(logging.WARNING)
                self._context = tls_context()
            return self._context


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose body is still coming. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Iterator[bytes] = field(repr=False)


class _OfPeer(Exception):
    """What went wrong while the body was read, told from what its reader raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class _TooBig(Exception):
    pass


class _BadEncoding(Exception):
    pass


class _Exchange:
    """One request and what became of it. `sent` turns True just before its first byte is written."""

    def __init__(self, request: Request, body_most: int) -> None:
        self._request = request
        self._body_most = body_most
        self._host = "the server"
        self.sent = False
        self.answered = False

    def run(self, context: ssl.SSLContext, seconds: float, clock: Clock) -> Response:
        from keyfob.adapters.network_stream import Deadline

        with self.opened(context, Deadline(seconds)) as answer:
            body = self._read(answer)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status_code, headers, body, clock(), self._request.url)

    @contextmanager
    def opened(self, context: ssl.SSLContext, deadline: Deadline) -> Iterator[httpx.Response]:
        """The answer, its body not read yet."""
        import httpcore
        import httpx

        from keyfob.adapters.network_stream import DeadlineBackend
        from keyfob.adapters.network_trust import proxy_for

        url = self._checked_url()
        port = url.port or (443 if url.scheme == "https" else 80)
        proxy = proxy_for(url.scheme, url.host, port)
        pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_keepalive_connections=0,
            network_backend=DeadlineBackend(deadline, loopback=url.scheme == "http"),
            proxy=None
            if proxy is None
            else httpcore.Proxy(
                proxy[0],
                auth=proxy[1],
                headers={"User-Agent": USER_AGENT},
                ssl_context=context if proxy[0].startswith("https") else None,
            ),
        )
        with (
            # A client for one exchange: what it would keep (cookies) ends with it.
            httpx.Client(transport=_pool_transport(pool), trust_env=False) as client,
            client.stream(
                self._request.method,
                url,
                headers=self._headers(),
                content=self._request.body,
                follow_redirects=False,
                extensions={"trace": self._trace},
            ) as answer,
        ):
            self.answered = True
            yield answer

    def failure(self, error: Exception) -> KeyfobError:
        """What `error`, raised by `run`, means to the caller."""
        import httpcore
        import httpx

        from keyfob.adapters.network_stream import TlsRefused

        host = self._host
        sent = self.sent
        match error:
            case TlsRefused():
                return SettingWrong(
                    f"The connection to {host} cannot be trusted: {plain(error)}", code="tls_untrusted"
                )
            case httpcore.LocalProtocolError() | UnicodeError() | httpx.InvalidURL():
                return SettingWrong(
                    f"The request to {host} cannot be made: an address or header has signs that HTTP forbids"
                )
            case httpcore.TimeoutException():
                return Transient(f"{host} did not answer in time", code="network_timeout", sent=sent)
            case httpcore.ProxyError():
                return Transient(
                    f"The proxy did not connect to {host}: {plain(error)}",
                    code="network_unreachable",
                    sent=sent,
                )
            case _TooBig():
                return Transient(f"{host} answered with more than Keyfob reads", sent=sent)
            case _BadEncoding() | zlib.error():
                return Transient(f"{host} answered in an encoding that was not asked for", sent=sent)
            case httpcore.NetworkError() | httpcore.ProtocolError() if not sent:
                return Transient(f"{host} cannot be reached", code="network_unreachable", sent=sent)
            case httpcore.NetworkError() | httpcore.ProtocolError():
                return Transient(f"{host} broke off before its answer was complete", sent=sent)
            case _:
                return Fault(f"The request to {host} failed in an unexpected way ({type(error).__name__})")

    def _checked_url(self) -> httpx.URL:
        """The address as httpx reads it, since httpx is what connects."""
        import httpx

        from keyfob.core.hosts import is_loopback

        try:
            url = httpx.URL(self._request.url)
        except (httpx.InvalidURL, UnicodeError):
            url = httpx.URL("")
        # A blank or its like in a host would have been escaped.
        if not url.host or "%" in url.host or url.scheme not in ("https", "http"):
            raise SettingWrong("An address of the provider is no web address", code="endpoint_unsafe")
        self._host = plain(url.host, 100)
        if url.userinfo:
            raise SettingWrong(f"The address of {self._host} holds a user name", code="endpoint_unsafe")
        if url.scheme == "http" and not is_loopback(url.host):
            raise SettingWrong(f"The address of {self._host} is not https", code="endpoint_unsafe")
        return url

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "*/*", "user-agent": USER_AGENT}
        headers.update((name.lower(), value) for name, value in self._request.headers.items())
        return {**headers, "accept-encoding": "identity", "connection": "close"}

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.sent = True

    def _read(self, answer: httpx.Response) -> bytes:
        declared = answer.headers.get("content-length", "")
        if self._request.method != "HEAD" and declared.isdecimal() and int(declared) > self._body_most:
            raise _TooBig
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        chunks = answer.iter_raw()
        match encoding:
            case "identity" | "":
                pass
            case "gzip" | "x-gzip" | "deflate":
                chunks = _inflated(chunks, self._body_most)
            case _:
                raise _BadEncoding
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > self._body_most:
                raise _TooBig
        return bytes(body)


def _pieces(answer: httpx.Response, deadline: Patience) -> Iterator[bytes]:
    chunks = answer.iter_bytes()
    while True:
        deadline.again()
        try:
            chunk = next(chunks)
        except StopIteration:
            return
        except Exception as error:
            raise _OfPeer(error) from None
        yield chunk


def _inflated(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Decoded a bounded piece at a time: a small body may unfold to gigabytes."""
    inflate = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever the first bytes say
    empty = True
    for chunk in chunks:
        empty = False
        yield inflate.decompress(chunk, most + 1)
        if inflate.unconsumed_tail:
            raise _TooBig
        if inflate.unused_data:
            raise _BadEncoding
    if not empty and not inflate.eof:
        raise _BadEncoding


def _pool_transport(pool: Any) -> httpx.BaseTransport:
    """httpx over a connection pool of ours: httpx's own transport takes no network backend."""
    import httpcore
    import httpx

    class Body(httpx.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            yield from self._stream

        def close(self) -> None:
            self._stream.close()

    class PoolTransport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            return httpx.Response(answer.status, headers=answer.headers, stream=Body(answer.stream))

        def close(self) -> None:
            pool.close()

    return PoolTransport()
