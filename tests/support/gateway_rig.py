"""A gateway over a real account and an API of ours: `keyfob serve` in a process of its own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.api_server import ApiServer
from support.certificates import Authority
from support.session import DesktopSession
from support.workshop import Bench, bench_at


@dataclass
class Rig:
    """An account `workshop/alice`, its API, and a gateway in front of it."""

    bench: Bench
    api: ApiServer
    url: str
    port: int
    process: subprocess.Popen[str]

    def grant(self, *words: str) -> dict[str, Any]:
        made = self.bench.keyfob("grants", "create", "workshop", *words, "--json")
        assert made.code == 0, made.err
        found: dict[str, Any] = json.loads(made.out)
        return found

    def get(self, key: str, path: str, **words: Any) -> httpx.Response:
        method = words.pop("method", "GET")
        headers = {"Authorization": f"Bearer {key}", **words.pop("headers", {})}
        return httpx.request(
            method, f"{self.url}/workshop/alice{path}", headers=headers, trust_env=False, timeout=30, **words
        )

    def raw(self, text: bytes) -> bytes:
        """What comes back for exactly these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(text)
            return connection.recv(65536)


@contextmanager
def serving(bench: Bench, api: ApiServer, *words: str, **env: str) -> Iterator[Rig]:
    process = bench.processes.start(["keyfob", "serve", "--port", "0", *words], bench.env | env)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:(\d+))\n", line)
    assert found, line
    try:
        yield Rig(bench, api, found[1], int(found[2]), process)
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def rig_at(folder: Path, session: DesktopSession, authority: Authority | None = None) -> Iterator[Rig]:
    """`authority`: signs the API's certificate; without it the API has no TLS."""
    tls = authority.server("localhost") if authority is not None else None
    with bench_at(folder, session.env) as bench, ApiServer(bench.shop.takes, tls) as api:
        bench.preset()
        preset = bench.keyfob_home / "config" / "providers" / "workshop.toml"
        preset.write_text(preset.read_text().replace(bench.shop.base, api.base, 1))
        bench.sign_in("connect", "workshop", "--method", "oauth")
        with serving(bench, api) as made:
            yield made
