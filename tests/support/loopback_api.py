"""An API on loopback that answers as a test says, and an account whose API it is."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.agent_rig import AgentRig
from support.rig import PRESET


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    lines: list[tuple[str, str]] = field(default_factory=list)  # the headers, one that came twice as two


@dataclass
class Api:
    """`answer` decides: (status, headers, pieces of the body)."""

    base: str
    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen], tuple[int, dict[str, str], list[bytes]]] = lambda seen: (200, {}, [b"fine"])
    between: Callable[[], None] = lambda: None


def serving() -> Iterator[Api]:
    """A server that ends with the test."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            lines = [(name.lower(), value) for name, value in self.headers.items()]
            seen = Seen(self.command, self.path, headers, self._body(headers), lines)
            api.seen.append(seen)
            status, more, pieces = api.answer(seen)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                api.between()

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = Api(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def rig_with_api(folder: Path, base: str, more: str = "") -> AgentRig:
    """Services in memory with the account `example/alice`, whose API is at `base`. `more` goes into the
    preset's table `api`.
    """
    rig = AgentRig(folder)
    text = PRESET.replace('[api]\nbase = "https://id.example.org"', f'[api]\nbase = "{base}"\n{more}')
    (rig.presets / "example.toml").write_text(text)
    record = rig.connect()
    account = replace(record.account, pin=replace(record.account.pin, api_base=base))
    rig.store.put(replace(record, account=account))
    return rig
