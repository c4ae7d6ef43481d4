"""The trial's server, and the transport that leads every request to it.

The address https://id.example/token becomes http://127.0.0.1:PORT/https/id.example/token. The transport notes
what was sent before it sends it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin, urlsplit

from keyfob.core.http import Request, Response, Streamed
from keyfob.ports import StreamingTransport

BODY_MOST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the played provider sees it: the preset's own address, and header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Given:
    """The answer to it."""

    status: int = 200
    json: Any = None
    headers: Mapping[str, str] | None = None
    text: str | None = None  # in place of JSON


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that Keyfob sent, or that it had the browser open (`by_browser`), and the answer's status."""

    request: Request
    status: int
    by_browser: bool = False


class TrialTransport:
    """ports.StreamingTransport. Thread-safe. `port` is the trial server's."""

    def __init__(self, inner: StreamingTransport, port: int) -> None:
        self._inner = inner
        self._base = f"http://127.0.0.1:{port}"
        self.exchanges: list[Exchange] = []

    def send(self, request: Request) -> Response:
        """The played provider's answer."""
        return self._sent(request, by_browser=False)

    def browse(self, url: str) -> Response:
        """What the browser gets at `url`."""
        return self._sent(Request("GET", url, "api"), by_browser=True)

    def visit(self, url: str) -> None:
        """The browser comes back to Keyfob's own listener on loopback, and waits for the last page."""
        response = self._inner.send(Request("GET", url, "api"))
        last = response.headers.get("location")
        if last is not None:
            self._inner.send(Request("GET", urljoin(url, last), "api"))

    @contextmanager
    def stream(self, request: Request, *, patience: float = 60.0) -> Iterator[Streamed]:
        """As `send`: no answer of a trial takes long."""
        whole = self.send(request)
        yield Streamed(whole.status, whole.headers, iter([whole.body]))

    def _sent(self, request: Request, *, by_browser: bool) -> Response:
        parts = urlsplit(request.url)
        query = f"?{parts.query}" if parts.query else ""
        url = f"{self._base}/{parts.scheme}/{parts.netloc}{parts.path}{query}"
        response = self._inner.send(replace(request, url=url))
        self.exchanges.append(Exchange(request, response.status, by_browser))
        return replace(response, url=request.url)


@contextmanager
def serving(answer: Callable[[Asked], Given]) -> Iterator[int]:
    """Serves on a free loopback port until the block ends; yields the port. `answer` runs on threads."""

    def handle(visit: BaseHTTPRequestHandler) -> None:
        length = min(int(visit.headers.get("Content-Length") or 0), BODY_MOST)
        body = visit.rfile.read(length).decode("utf-8", "replace")
        scheme, _, rest = visit.path.lstrip("/").partition("/")
        names = {name.lower(): value for name, value in visit.headers.items()}
        given = answer(Asked(visit.command, f"{scheme}://{rest}", names, body))
        data = (given.text if given.text is not None else json.dumps(given.json)).encode()
        visit.send_response(given.status)
        kind = "text/html" if given.text is not None else "application/json"
        for name, value in {"Content-Type": kind, **(given.headers or {})}.items():
            visit.send_header(name, value)
        visit.send_header("Content-Length", str(len(data)))
        visit.end_headers()
        visit.wfile.write(data)

    members: dict[str, Any] = {f"do_{verb}": handle for verb in ("GET", "POST", "DELETE")}
    members["log_message"] = lambda *_: None  # the trial shows the requests itself
    handler = type("Handler", (BaseHTTPRequestHandler,), members)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="trial server", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
