"""`keyfob connect URL`: the preset that is written, and what is said for each step that fails."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.http import Request, Response
from keyfob.core.resources import resources
from keyfob.engine import Engine, build
from support.cli_run import opens, run
from support.fake_ports import NOW, ScriptedTransport, fake_ports
from support.running import Ran

URL = "https://mcp.example/mcp"
RESOURCE = "https://mcp.example/.well-known/oauth-protected-resource/mcp"
ISSUER = "https://id.mcp.example"
OAUTH = ISSUER + "/.well-known/oauth-authorization-server"
ABOUT: dict[str, Any] = {"resource": URL, "authorization_servers": [ISSUER], "scopes_supported": ["read"]}
SERVER: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": ISSUER + "/authorize",
    "token_endpoint": ISSUER + "/token",
    "registration_endpoint": ISSUER + "/register",
    "userinfo_endpoint": ISSUER + "/me",
    "scopes_supported": ["openid", "read", "write"],
    "code_challenge_methods_supported": ["S256"],
}


@dataclass
class Servers:
    """Documents by their address; the MCP server itself refuses, and no client is registered."""

    documents: dict[str, Mapping[str, Any]] = field(default_factory=lambda: {RESOURCE: ABOUT, OAUTH: SERVER})
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.asked.append(request.url)
        found = self.documents.get(request.url)
        status = 401 if request.method == "POST" else 200 if found else 404
        body = json.dumps(found or {}).encode()
        return Response(status, {"content-type": "application/json"}, body, NOW, request.url)


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def engine(tmp_path: Path, servers: Servers) -> Engine:
    return build(fake_ports(tmp_path, transport=ScriptedTransport(servers)))


def connect(engine: Engine, *words: str) -> Ran:
    """It ends at the registration of a client, or at a browser that there is not."""
    return run(["connect", *words, "--no-browser", "--timeout", "1"], opens(engine))


def folder(engine: Engine) -> Path:
    return engine.home.config / "providers"


def written(engine: Engine, name: str = "mcp-example") -> dict[str, Any]:
    return tomllib.loads((folder(engine) / f"{name}.toml").read_text())


def test_the_preset_that_is_written(engine: Engine, servers: Servers) -> None:
    ran = connect(engine, URL)
    assert f"mcp.example signs in at {ISSUER}" in ran.err
    assert written(engine) == {
        "id": "mcp-example",
        "title": "mcp.example",
        "category": "custom",
        "methods": ["oauth"],
        "issuer": ISSUER,
        "discovery": "oauth",
        "scopes": ["read"],
        "resource": URL,
        "policy": {"client_id": "dynamic"},
        "client": {"auth": "none"},
        "redirect": {"host": "127.0.0.1", "port": "setting", "path": "/callback"},
        "api": {"base": "https://mcp.example"},
        "identity": {"source": "none"},
    }
    assert f"{ISSUER}/register" in servers.asked


def test_access_that_lasts_is_asked_for_if_the_authorization_server_has_it(
    engine: Engine, servers: Servers
) -> None:
    servers.documents[OAUTH] = {**SERVER, "scopes_supported": ["openid", "read", "offline_access"]}
    connect(engine, URL)
    assert written(engine)["scopes"] == ["read", "offline_access"]


def test_no_scopes_are_made_up(engine: Engine, servers: Servers) -> None:
    servers.documents[RESOURCE] = {**ABOUT, "scopes_supported": []}
    connect(engine, URL)
    assert "scopes" not in written(engine)


def test_the_issuer_of_a_library_that_adds_a_slash(engine: Engine, servers: Servers) -> None:
    servers.documents[RESOURCE] = {**ABOUT, "authorization_servers": [f"{ISSUER}/"]}
    connect(engine, URL)
    assert written(engine)["issuer"] == ISSUER


def test_an_authorization_server_that_is_another_is_refused(engine: Engine, servers: Servers) -> None:
    """RFC 8414 §3.3."""
    servers.documents[OAUTH] = {**SERVER, "issuer": "https://evil.example"}
    ran = connect(engine, URL)
    assert (ran.code, ran.out) == (9, "")
    assert "belongs to another issuer" in ran.err
    assert not folder(engine).exists()


def test_a_server_without_registration_needs_a_client_id(engine: Engine, servers: Servers) -> None:
    servers.documents[OAUTH] = {k: v for k, v in SERVER.items() if k != "registration_endpoint"}
    ran = connect(engine, URL)
    assert (ran.code, ran.out) == (8, "")
    assert "id.mcp.example, where mcp.example signs in, does not register apps automatically" in ran.last
    assert "http://127.0.0.1:9876/callback" in ran.last
    assert not folder(engine).exists()
    looked = engine.resource_servers.look(URL)
    engine.resource_servers.add(looked, client_id="mine", settings=engine.settings.load())
    assert written(engine)["client"] == {"client_id": "mine", "auth": "none"}
    assert written(engine)["policy"] == {"client_id": "user"}


def test_a_token_of_another_site_is_asked_about_first(engine: Engine, servers: Servers) -> None:
    """A server may name somebody else's authorization server, and would get the token."""
    other = "https://accounts.big.example"
    servers.documents[RESOURCE] = {**ABOUT, "authorization_servers": [other]}
    servers.documents[f"{other}/.well-known/oauth-authorization-server"] = {
        **{k: v.replace(ISSUER, other) if isinstance(v, str) else v for k, v in SERVER.items()}
    }
    ran = connect(engine, URL)
    assert (ran.code, ran.out) == (2, "")
    assert "mcp.example has you sign in at accounts.big.example, which is another site." in ran.err
    assert ran.last == ("keyfob: mcp.example signs in at another site. If you trust mcp.example, add --yes.")
    assert not folder(engine).exists()
    connect(engine, URL, "--yes")
    assert written(engine)["issuer"] == other


def test_an_address_that_names_another_says_which(engine: Engine, servers: Servers) -> None:
    servers.documents[RESOURCE] = {**ABOUT, "resource": "https://mcp.example"}
    ran = connect(engine, URL)
    assert ran.code == 9
    assert "If https://mcp.example is the same server, use that address instead" in ran.last


def test_the_address_finds_its_preset_again(engine: Engine, servers: Servers) -> None:
    connect(engine, URL)
    before = (folder(engine) / "mcp-example.toml").read_bytes()
    servers.asked.clear()
    connect(engine, URL)
    assert RESOURCE not in servers.asked
    assert [(p.name, p.read_bytes()) for p in folder(engine).iterdir()] == [("mcp-example.toml", before)]


def test_a_second_server_of_the_host_is_named_after_its_path_and_nothing_is_replaced(
    engine: Engine, servers: Servers
) -> None:
    connect(engine, URL)
    other = "https://mcp.example/team/mcp"
    servers.documents[RESOURCE.removesuffix("/mcp") + "/team/mcp"] = {**ABOUT, "resource": other}
    connect(engine, other)
    assert written(engine)["resource"] == URL
    assert written(engine, "mcp-example-team-mcp")["resource"] == other


def test_a_preset_of_keyfobs_is_never_shadowed(engine: Engine, servers: Servers) -> None:
    taken = next(path.stem for path in (resources() / "providers").glob("*.toml") if "-" not in path.stem)
    url = f"https://{taken}/mcp"
    servers.documents[f"https://{taken}/.well-known/oauth-protected-resource/mcp"] = {
        **ABOUT,
        "resource": url,
    }
    connect(engine, url, "--yes")
    assert [path.name for path in folder(engine).iterdir()] == [f"{taken}-mcp.toml"]
