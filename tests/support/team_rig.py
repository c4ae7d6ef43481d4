"""Gateways of a team on one PostgreSQL, and a provider of ours that rotates refresh tokens strictly.

A refresh token `r.LABEL.N` is good once; one that comes again ends its family, unless the provider has a
grace period. The API on the same port takes only the newest access token.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs
from uuid import uuid4

import httpx

from keyfob.core.account import Account, Connected, Pin, Record
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.secret import Secret
from keyfob.gateway.team import team_engine
from keyfob.process.home import open_home
from keyfob.service.accounts.grant_store import GrantStore

KEY = "sk-team-key-of-the-tests-0123456789"
PRESET = """\
id = "shop"
title = "Shop"
tested = "software"
methods = ["oauth"]
scopes = ["profile"]
[client]
client_id = "team"
auth = "none"
[endpoints]
authorization_endpoint = "{issuer}/authorize"
token_endpoint = "{issuer}/token"
[lifetimes]
rotates = true
[api]
base = "{issuer}/api"
[identity]
source = "request"
url = "{issuer}/api/me"
[identity.map]
subject = "sub"
[revocation]
style = "none"
"""


class RotatingProvider:
    """Serves while in `with`, on a thread."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()
        self.dead: set[str] = set()
        self.delay = 0.0  # seconds between the rotation and the answer
        self.grace = False
        self.rotated = threading.Event()
        self._current: dict[str, int] = {}
        self._guard = threading.Lock()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._send(*provider.token(parse_qs(body)["refresh_token"][0]))

            def do_GET(self) -> None:
                found = provider.is_newest(self.headers.get("Authorization", ""))
                self._send(200 if found else 401, {"ok": found})

            def _send(self, status: int, value: object) -> None:
                data = json.dumps(value).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except ConnectionError:
                    pass  # whoever asked was killed

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def token(self, refresh: str) -> tuple[int, object]:
        _, label, number = refresh.split(".")
        with self._guard:
            now = self._current.get(label, 0)
            again = self.grace and int(number) == now - 1
            if label in self.dead or (int(number) != now and not again):
                self.dead.add(label)
                return 400, {"error": "invalid_grant"}
            if not again:
                self._current[label] = now = now + 1
                self.given[label] += 1
        self.rotated.set()
        time.sleep(self.delay)
        return 200, {
            "access_token": f"a.{label}.{now}",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": f"r.{label}.{now}",
        }

    def is_newest(self, authorization: str) -> bool:
        _, label, number = authorization.removeprefix("Bearer ").split(".")
        return int(number) == self._current.get(label, 0)

    def __enter__(self) -> RotatingProvider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class Gateway:
    """A `keyfob serve` of its own."""

    def __init__(self, env: dict[str, str], key: str | None = KEY) -> None:
        """`key`: one for all callers. None: those of the database."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "keyfob", "serve", "--port", "0"],
            env=env | ({"KEYFOB_GATEWAY_KEY": key} if key is not None else {}),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Listening on (\S+)\n", line)
        assert found, line
        self.url = found[1]

    def get(self, label: str, key: str = KEY) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{self.url}/shop/{label}/x", headers=headers, trust_env=False, timeout=90)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(90)
        self.close()

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


class Team:
    """Machines with a home each, and the same database and master key."""

    def __init__(self, folder: Path, url: str, issuer: str) -> None:
        self._folder, self._issuer = folder, issuer
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "KEYFOB_DATABASE_URL": url,
            "KEYFOB_MASTER_KEY_FILE": str(folder / "master.keys"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.gateways: list[Gateway] = []
        made = self.keyfob("gateway", "master-key", "new")
        assert made.returncode == 0, made.stderr

    def env(self, machine: str = "first") -> dict[str, str]:
        home = self._folder / machine
        providers = home / "config" / "providers"
        if not providers.exists():
            providers.mkdir(parents=True, mode=0o700)
            (providers / "shop.toml").write_text(PRESET.format(issuer=self._issuer))
        return {**self._env, "KEYFOB_HOME": str(home)}

    def keyfob(self, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "keyfob", *words]
        return subprocess.run(
            command,
            env=self.env() | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, count: int) -> list[Gateway]:
        """Each on a machine of its own."""
        self.gateways += [Gateway(self.env(f"m{number}")) for number in range(count)]
        return self.gateways

    def fill(self, label: str, *, left: float, tenant: str | None = None) -> None:
        """An account as a sign-in would have left it, whose token has `left` seconds."""
        env = self.env()
        engine = team_engine(open_home(env), env, tenant)
        now = datetime.now(UTC)
        expires = now + timedelta(seconds=left)
        key = uuid4().hex
        endpoints = Endpoints(
            authorization_endpoint=f"{self._issuer}/authorize", token_endpoint=f"{self._issuer}/token"
        )
        pin = Pin(Server(None, endpoints), client_id="team", api_base=f"{self._issuer}/api")
        grant = Grant(
            access=Secret(f"a.{label}.0"),
            refresh=Secret(f"r.{label}.0"),
            obtained_at=expires - timedelta(hours=1),
            expires_at=expires,
            scopes=("profile",),
            generation=1,
        )
        record = Record(
            Account(key, "shop", label, "oauth", f"subject-{label}", pin, asked_scopes=grant.scopes),
            Connected(),
            generation=1,
            scopes=grant.scopes,
            obtained_at=grant.obtained_at,
            expires_at=expires,
            renews_at=expires - timedelta(minutes=5),
            renewable=True,
            connected_at=now,
        )
        try:
            GrantStore(engine.vault).save(key, grant)
            engine.store.put(record)
        finally:
            engine.close()

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.stop()
