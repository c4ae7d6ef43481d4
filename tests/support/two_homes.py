"""A gateway's home, and the home of somebody who signs in on their own desktop for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.oidc_provider import OidcProvider
from support.running import Ran
from support.workshop import Bench

PRESET = """\
id = "{name}"
title = "OP"
tested = "software"
methods = ["oauth"]
issuer = "{issuer}"
discovery = "openid"
scopes = ["openid", "profile", "email", "offline_access"]
[client]
client_id = "native"
[redirect]
port = "any"
[api]
base = "{issuer}"
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
[revocation]
style = "rfc7009"
"""
VISIT = """\
import sys, urllib.request
sys.path[:0] = {path!r}
from support.oidc_provider import Person
with Person({person!r}) as person:
    at = person.visit(sys.argv[1], until="http://127.0.0.1")
    while "/callback?" not in at:
        at = person.visit(at, until="http://127.0.0.1")
    person.visit(at)
"""


@dataclass
class Stage:
    """A server's home with a gateway, and a desktop's home. Both have the preset."""

    server: Bench
    desktop: Bench
    provider: OidcProvider
    url: str
    key: str

    def browser(self, person: str = "alice") -> dict[str, str]:
        """The setting for a browser in which this person signs in."""
        script = self.desktop.home.parent / "visit.py"
        script.write_text(VISIT.format(path=[str(Path(__file__).parents[1])], person=person))
        return {"BROWSER": f"{sys.executable} {script} %s", "PYTHONWARNINGS": "default"}

    def connect(self, *words: str, url: str | None = None, person: str = "alice", **env: str) -> Ran:
        remote = {"KEYFOB_SERVER": url or self.url, "KEYFOB_SERVER_KEY": self.key}
        return self.desktop.keyfob(
            "connect", "op", "--timeout", "40", *words, **(self.browser(person) | remote | env)
        )

    def accounts(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.server.keyfob("accounts", "--json").json["accounts"]
        return rows

    def me(self, key: str, account: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{self.url}/{account}/me", headers=headers, trust_env=False, timeout=30)


def _bench(folder: Path, env: dict[str, str], provider: OidcProvider, name: str) -> Bench:
    folder.mkdir()
    made = Bench.at(folder, env, provider, provider)  # type: ignore[arg-type]
    presets = made.keyfob_home / "config" / "providers"
    presets.mkdir(parents=True, exist_ok=True, mode=0o700)
    (presets / f"{name}.toml").write_text(PRESET.format(name=name, issuer=provider.issuer))
    return made


@contextmanager
def two_homes(
    folder: Path,
    env: dict[str, str],
    provider: OidcProvider,
    name: str = "op",
    prepare: Callable[[Bench], object] = lambda _server: None,
) -> Iterator[Stage]:
    """Both have a preset `name` for the provider. `prepare` gets the server's home before anything runs."""
    provider.reset()
    for person in ("alice", "bob"):
        provider.revoke(person)
    server, desktop = (_bench(folder / each, env, provider, name) for each in ("server", "desktop"))
    prepare(server)
    key = server.keyfob("keys", "create", "--user", "root", "--admin", "--json").json["key"]
    process = server.processes.start(["keyfob", "serve", "--port", "0"], server.env)
    assert process.stdout is not None
    found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
    assert found
    try:
        yield Stage(server, desktop, provider, found[1], key)
    finally:
        process.terminate()
        process.wait(60)
        for bench in (server, desktop):
            bench.processes.end()
