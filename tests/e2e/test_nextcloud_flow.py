"""Nextcloud's Login Flow v2 through the whole engine, at a server that answers as its documentation says."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.engine import build, system_ports
from keyfob.process.home import open_home
from keyfob.service.accounts.views import Progress, SignInRequest

pytestmark = pytest.mark.network
PASSWORD = "app-password-canary"


class Cloud(BaseHTTPRequestHandler):
    """One person, alice. The login page "allows" as soon as it is opened."""

    allowed = False
    deleted: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        base = f"http://{self.headers['Host']}"
        if self.path == "/index.php/login/v2":
            poll = {"token": "poll-token", "endpoint": f"{base}/login/v2/poll"}
            self._answer(200, {"poll": poll, "login": f"{base}/login/v2/flow/x"})
        elif self.path == "/login/v2/poll" and type(self).allowed:
            self._answer(200, {"server": base, "loginName": "alice", "appPassword": PASSWORD})
        else:
            self._answer(404, [])

    def do_GET(self) -> None:
        if self.path.startswith("/login/v2/flow/"):
            type(self).allowed = True
            self._answer(200, {})
        elif self._is_alice():
            self._answer(
                200, {"ocs": {"data": {"id": "alice", "displayname": "Alice", "email": "a@cloud.example"}}}
            )
        else:
            self._answer(401, {})

    def do_DELETE(self) -> None:
        if self._is_alice():
            type(self).deleted.append(self.path)
            self._answer(200, {"ocs": {"meta": {"status": "ok"}}})
        else:
            self._answer(401, {})

    def _is_alice(self) -> bool:
        pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {pair}"


@pytest.fixture
def cloud() -> Iterator[str]:
    Cloud.allowed, Cloud.deleted = False, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


def test_connect_use_and_disconnect(cloud: str, tmp_path: Path) -> None:
    import urllib.request

    engine = build(system_ports(open_home({"KEYFOB_HOME": str(tmp_path)}), vault=MemoryVault()))
    preset = engine.providers.get("nextcloud")
    attempt = engine.sign_in.begin(
        SignInRequest("nextcloud", inputs={preset.inputs[0].name: cloud}, open_browser=False)
    )

    def visit(progress: Progress) -> None:
        if progress.url is not None and progress.stage == "waiting":
            urllib.request.urlopen(progress.url.reveal()).read()

    attempt.observe(visit)
    view = engine.sign_in.run(attempt, spawn)
    assert view.method == "app_password"
    assert view.label == "alice"
    token = engine.accounts.token("nextcloud")
    assert token.token.reveal() == PASSWORD
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    assert token.header_value is not None
    assert token.header_value.reveal() == f"Basic {pair}"
    assert engine.accounts.test("nextcloud").ok
    assert engine.accounts.disconnect("nextcloud").revoked == "yes"
    assert Cloud.deleted == ["/ocs/v2.php/core/apppassword"]
    engine.close()
