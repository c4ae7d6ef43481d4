"""An answer that is read as it comes, and given up at once if the user cancels.

The transport blocks until the next piece is there, which may take a minute. So a thread reads, and this one
waits for what it has read. A thread that was given up ends with the next piece or the transport's time limit;
it holds nothing but its connection. Redirects are followed here, to hosts that the caller allows.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from keyfob.core.errors import PeerFault, SignInEnded, Transient
from keyfob.core.hosts import is_listed
from keyfob.core.http import Request, Response, Streamed
from keyfob.core.text import plain
from keyfob.protocol.http.urls import fault_of, leads_inside, origin_of

if TYPE_CHECKING:
    from keyfob.ports import StreamingTransport

HOPS = 5  # redirects
ADDRESS_MOST = 16 * 1024  # characters: signed addresses are long
_WAIT = 0.1  # s between looks at `cancelled`
_AHEAD = 8  # pieces that are read and not taken yet
_MOVED = (301, 302, 303, 307, 308)
# What RFC 3986 §2 lets an address consist of; the rest (spaces above all) is escaped.
_KEPT = "%:/?#[]@!$&'()*+,;=~-._"
# Headers that say which part of a file is wanted. They follow a redirect; all others may be credentials.
_OF_THE_FILE = ("accept", "range", "if-range")


class Reading:
    """One answer. Take `answer` first, then `pieces` once. Used by one thread."""

    def __init__(self, transport: StreamingTransport, request: Request, cancelled: threading.Event) -> None:
        self.url = request.url
        self.waiting: Callable[[], None] = lambda: None  # called every now and then while nothing comes
        self._cancelled = cancelled
        self._given_up = threading.Event()
        self._items: queue.Queue[Streamed | bytes | BaseException | None] = queue.Queue(_AHEAD)
        threading.Thread(
            target=self._read, args=(transport, request), name="keyfob-download", daemon=True
        ).start()
        head = self._next()
        assert isinstance(head, Streamed)
        self.answer = head
        self._first = self._next() if head.status not in _MOVED else None

    @property
    def host(self) -> str:
        """Who answered, for messages."""
        return host_of(self.url)

    def beginning(self) -> Response:
        """The answer with the first piece of its body, to judge what it is."""
        from keyfob.adapters.system.clock import now

        first = self._first if isinstance(self._first, bytes) else b""
        return Response(self.answer.status, self.answer.headers, first, now(), self.url)

    def pieces(self) -> Iterator[bytes]:
        """The body. Raises what the transport raises, and SignInEnded `cancelled`."""
        piece = self._first
        while isinstance(piece, bytes):
            yield piece
            piece = self._next()

    def close(self) -> None:
        """Let the thread end."""
        self._given_up.set()

    def _next(self) -> Streamed | bytes | None:
        while True:
            check(self._cancelled)
            try:
                item = self._items.get(timeout=_WAIT)
            except queue.Empty:
                self.waiting()
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _read(self, transport: StreamingTransport, request: Request) -> None:
        try:
            with transport.stream(request) as answer:
                if self._put(answer):
                    for piece in answer.body:
                        if not self._put(piece):
                            return
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, item: Streamed | bytes | BaseException | None) -> bool:
        while not self._given_up.is_set():
            try:
                self._items.put(item, timeout=_WAIT)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def opened(
    transport: StreamingTransport,
    url: str,
    headers: Mapping[str, str],
    allowed: Sequence[str],
    cancelled: threading.Event,
) -> Iterator[Reading]:
    """The answer at `url`, or where its redirects lead. `headers` go to its origin alone, except those that
    name the part of the file. Raises PeerFault `download_elsewhere` for a host that is not in `allowed`.
    """
    address, asked = escaped(url), dict(headers)
    for _ in range(HOPS + 1):
        if not is_listed(_netloc(address), allowed):
            raise _elsewhere(url, address)
        reading = Reading(transport, Request("GET", address, "download", asked), cancelled)
        try:
            location = reading.answer.headers.get("location")
            if reading.answer.status not in _MOVED or location is None:
                yield reading
                return
        finally:
            reading.close()
        to = joined(address, location)
        if fault_of(to, most=ADDRESS_MOST) is not None or leads_inside(to, address):
            raise _elsewhere(url, to)
        if origin_of(to) != origin_of(address):
            asked = {name: value for name, value in asked.items() if name.lower() in _OF_THE_FILE}
        address = to
    raise Transient(f"{host_of(url)} redirects too often", answered=True)


def escaped(url: str) -> str:
    """`url` with the characters escaped that may not stand in an address."""
    return quote(url, safe=_KEPT)


def joined(base: str, location: str) -> str:
    """Where a redirect from `base` leads; empty if that is not an address."""
    try:
        return escaped(urljoin(base, location))
    except ValueError:
        return ""


def host_of(url: str) -> str:
    """The host of an address, for messages."""
    try:
        return plain(urlsplit(url).hostname or "the server", 100)
    except ValueError:
        return "the server"


def check(cancelled: threading.Event) -> None:
    """Raises SignInEnded `cancelled` if the user has cancelled."""
    if cancelled.is_set():
        raise SignInEnded("The download was cancelled", code="cancelled")


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _elsewhere(url: str, to: str) -> PeerFault:
    return PeerFault(
        f"{host_of(url)} sends the download to {host_of(to)}, which is not one of its addresses"
        if host_of(url) != host_of(to)
        else f"{host_of(url)} is not an address that this file comes from",
        code="download_elsewhere",
        facts={"server": host_of(to)},
    )
