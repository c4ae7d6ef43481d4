"""MCP servers through the gateway: a client of the MCP SDK with a fixed header, and its protected server.

The sign-in, its renewal and more access are Keyfob's alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from support.gateway import gateway_of
from support.llm_clients import claude_program
from support.mcp_server import Seen, mcp_server
from support.oidc_provider import BASIC_ID, BASIC_SECRET, OidcProvider
from support.session import DesktopSession
from support.workshop import Bench

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
VISIT = """\
import sys
sys.path[:0] = {path!r}
from support.oidc_provider import Person
with Person("alice") as person:
    person.visit(person.visit(sys.argv[1], until="http://127.0.0.1:9876/"))
"""
INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"},
    },
}  # fmt: skip
ACCEPT = "application/json, text/event-stream"


@dataclass
class Rig:
    """An account of an MCP server, and the server at the gateway's address."""

    bench: Bench
    authority: OidcProvider
    account: str
    url: str  # at the gateway
    gateway: str
    key: str
    seen: Seen = field(default_factory=list)
    refused: set[str] = field(default_factory=set)  # tokens
    narrow: threading.Event = field(default_factory=threading.Event)  # tokens have no scope
    deny: threading.Event = field(default_factory=threading.Event)  # no token is right

    def headers(self, session: str | None = None) -> dict[str, str]:
        more = {"Mcp-Session-Id": session, "Mcp-Protocol-Version": "2025-06-18"} if session else {}
        return {"Authorization": f"Bearer {self.key}", "Accept": ACCEPT, **more}

    def ask(self, method: str, body: Any = None, session: str | None = None) -> httpx.Response:
        return httpx.request(
            method, self.url, json=body, headers=self.headers(session), trust_env=False, timeout=30
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    seen: Seen = []
    refused: set[str] = set()
    narrow, deny = threading.Event(), threading.Event()
    with OidcProvider(RESOURCE_SCOPES="notes:read notes:write") as authority, DesktopSession() as session:

        def scopes_of(token: str, resource: str) -> list[str] | None:
            answer = httpx.post(
                f"{authority.issuer}/token/introspection",
                data={"token": token},
                auth=(BASIC_ID.replace(":", "%3A").replace(" ", "+"), quote_plus(BASIC_SECRET)),
                trust_env=False,
            )
            found = answer.json()
            if not found.get("active") or found.get("aud") != resource or token in refused or deny.is_set():
                return None
            return [] if narrow.is_set() else str(found.get("scope", "")).split()

        folder = tmp_path_factory.mktemp("mcp")
        bench = Bench.at(folder, session.env, authority, authority)  # type: ignore[arg-type]
        with mcp_server(authority.issuer, scopes_of, scopes=["notes:read"], seen=seen) as server:
            script = folder / "visit.py"
            script.write_text(VISIT.format(path=[str(Path(__file__).parents[1])]))
            browser = f"{sys.executable} {script} %s"
            done = bench.keyfob(
                "connect", server, "--timeout", "40", BROWSER=browser, PYTHONWARNINGS="default"
            )
            assert done.code == 0, done.err
            account = bench.keyfob("accounts", "--json").json["accounts"][0]["id"]
            made = bench.keyfob("grants", "create", account, "--name", "notes-client", "--json")
            assert made.code == 0, made.err
            with gateway_of(bench) as address:
                url = f"{address}/{account}"
                yield Rig(
                    bench, authority, account, url, address, made.json["key"], seen, refused, narrow, deny
                )
        bench.processes.end()


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.seen.clear()
    shared.refused.clear()
    shared.authority.reset()
    yield shared
    shared.narrow.clear()
    shared.deny.clear()
    shared.authority.ttl(AccessToken=3600)


def clients(rig: Rig) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers={"Authorization": f"Bearer {rig.key}"}, timeout=30, trust_env=False)


async def shout(client: Client, text: str) -> str:
    result: Any = await client.call_tool("shout", {"text": text})
    return str(result.content[0].text)


def test_a_fixed_header_is_enough_and_a_refused_token_is_replaced_within_the_session(rig: Rig) -> None:
    async def run() -> list[str]:
        async with clients(rig) as http, Client(streamable_http_client(rig.url, http_client=http)) as client:
            said = [await shout(client, "one")]
            rig.refused.add(rig.bench.token(rig.account))
            said.append(await shout(client, "two"))
            said.append(await shout(client, "three"))
            return said

    assert asyncio.run(run()) == ["ONE", "TWO", "THREE"]
    counts = rig.authority.counts()
    assert counts["grant refresh_token"] == 1
    assert not {"/reg", "/auth", "grant authorization_code"} & set(counts), "the client signed in by itself"
    assert all(rig.key not in str(headers) for _, headers in rig.seen)
    sessions = {headers["mcp-session-id"] for _, headers in rig.seen if "mcp-session-id" in headers}
    assert len(sessions) <= 1


def test_a_token_that_expires_in_the_middle_of_a_session(rig: Rig) -> None:
    rig.authority.ttl(AccessToken=6)
    assert rig.bench.keyfob("renew", rig.account).code == 0

    async def run() -> list[str]:
        async with clients(rig) as http, Client(streamable_http_client(rig.url, http_client=http)) as client:
            said = [await shout(client, "before")]
            await asyncio.sleep(7)
            return [*said, await shout(client, "after")]

    assert asyncio.run(run()) == ["BEFORE", "AFTER"]
    used = {headers["authorization"] for _, headers in rig.seen if "authorization" in headers}
    assert len(used) >= 2, "a token for before and one for after"


def test_progress_arrives_as_it_is_made(rig: Rig) -> None:
    came: list[float] = []

    async def note(_progress: float, _total: float | None, _message: str | None) -> None:
        came.append(time.monotonic())

    async def run() -> None:
        async with clients(rig) as http, Client(streamable_http_client(rig.url, http_client=http)) as client:
            await client.call_tool("count", {}, progress_callback=note)

    asyncio.run(run())
    assert len(came) == 5
    gaps = sorted(later - earlier for earlier, later in pairwise(came))
    assert gaps[len(gaps) // 2] > 0.1, "they were gathered"


def test_sessions_pass_through(rig: Rig) -> None:
    """Mcp-Session-Id both ways, the stream of GET, Last-Event-ID, and DELETE."""
    begun = rig.ask("POST", INITIALIZE)
    session = begun.headers["Mcp-Session-Id"]
    assert begun.status_code == 200
    assert begun.headers["Content-Type"].startswith("text/event-stream")
    rig.ask("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}, session)
    call = {"name": "count", "arguments": {}, "_meta": {"progressToken": "p"}}
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}
    with httpx.stream("POST", rig.url, json=asked, headers=rig.headers(session), trust_env=False) as stream:
        last = next(line for line in stream.iter_lines() if line.startswith("id:")).partition(":")[2].strip()
    # The connection is cut after its first event. The rest comes by the stream of GET.
    with httpx.stream(
        "GET", rig.url, headers=rig.headers(session) | {"Last-Event-ID": last}, trust_env=False, timeout=20
    ) as stream:
        assert stream.status_code == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert any('"done"' in line for line in stream.iter_lines()), "the result, after the cut"
    method, headers = rig.seen[-1]
    assert (method, headers["mcp-session-id"], headers["last-event-id"]) == ("GET", session, last)
    assert headers["mcp-protocol-version"] == "2025-06-18"
    assert rig.ask("DELETE", None, session).status_code == 200
    assert rig.ask("POST", asked, session).status_code == 404, "the session has ended"


def test_the_servers_challenge_does_not_reach_the_client(rig: Rig) -> None:
    """It would lead the client into a sign-in of its own."""
    rig.deny.set()
    answer = rig.ask("POST", INITIALIZE)
    assert answer.status_code == 401
    assert "resource_metadata" not in str(answer.headers) + answer.text
    assert len(rig.seen) == 2, "the token was replaced once"
    assert rig.authority.counts()["grant refresh_token"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/{account}",
        "/.well-known/oauth-authorization-server/{account}", "/.well-known/openid-configuration",
        "/{account}/.well-known/openid-configuration", "/{account}/.well-known/oauth-authorization-server",
        "/register", "/authorize", "/token",
    ],
)  # fmt: skip
def test_a_client_that_looks_for_an_authorization_server_finds_none(rig: Rig, path: str) -> None:
    answer = httpx.get(rig.gateway + path.format(account=rig.account), trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "WWW-Authenticate" not in answer.headers
    assert rig.seen == []


def test_more_access_that_the_server_wants_is_a_problem_with_the_command(rig: Rig) -> None:
    rig.narrow.set()
    answer = rig.ask("POST", INITIALIZE)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "WWW-Authenticate" not in answer.headers
    found = answer.json()
    assert found["code"] == "access_lacking"
    assert found["detail"] == (
        f"{rig.account} does not have the access that the provider wants for this. It says: Required scope: "
        f"notes:read. To ask for it, run: keyfob reconnect {rig.account} --scope SCOPE"
    )


def test_a_client_is_set_up_by_wire(rig: Rig) -> None:
    file = rig.bench.home / ".mcp.json"
    file.write_text(
        old := '{\n  "mcpServers": {\n    "own": {\n      "url": "https://own.example"\n    }\n  }\n}\n'
    )
    words = ("wire", "mcp", rig.account, "--through-gateway", "--gateway", rig.gateway, "--yes")
    for _ in range(2):
        done = rig.bench.keyfob(*words, "--server", "notes")
        assert done.code == 0, done.err
    server = json.loads(file.read_text())["mcpServers"]["notes"]
    assert server["url"] == rig.url
    headers = json.loads(rig.bench.run("sh", "-c", server["headersHelper"]).out)

    async def run() -> str:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(streamable_http_client(server["url"], http_client=http)) as client,
        ):
            return await shout(client, "wired")

    assert asyncio.run(run()) == "WIRED"
    assert rig.bench.keyfob(*words, "--server", "own").code == 8
    assert rig.bench.keyfob("unwire", "mcp", "--yes").code == 0
    assert file.read_text() == old
    assert httpx.post(rig.url, headers=headers, json=INITIALIZE, trust_env=False).status_code in (401, 403)


def test_claude_code_by_its_own_command(rig: Rig, tmp_path: Path) -> None:
    """The key in a variable, so that it is in no command and no file; and by `wire`, in a trusted folder."""
    project = tmp_path / "project"
    project.mkdir()
    config = tmp_path / "claude"
    config.mkdir()
    trusted = {"projects": {str(project): {"hasTrustDialogAccepted": True}}}
    (config / ".claude.json").write_text(json.dumps(trusted))
    (config / "settings.json").write_text('{"enableAllProjectMcpServers": true}')
    env = {"CLAUDE_CONFIG_DIR": str(config), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    claude = str(claude_program())
    header = "Authorization: Bearer ${NOTES_KEY}"
    words = ("mcp", "add", "--transport", "http", "notes", rig.url, "--header", header)
    added = rig.bench.run(claude, *words, cwd=project, **env)
    assert added.code == 0, added.out + added.err
    listed = rig.bench.run(claude, "mcp", "list", cwd=project, NOTES_KEY=rig.key, **env)
    assert f"notes: {rig.url} (HTTP) - ✔ Connected" in listed.out, listed.out + listed.err
    wrong = rig.bench.run(claude, "mcp", "list", cwd=project, NOTES_KEY="x", **env)
    assert "Authentication failed: invalid or expired token" in wrong.out
    assert [path for path in config.rglob("*") if path.is_file() and rig.key in path.read_text()] == []
    words = ("wire", "mcp", rig.account, "--through-gateway", "--gateway", rig.gateway, "--yes")
    done = rig.bench.run("keyfob", *words, "--server", "wired", cwd=project)
    assert done.code == 0, done.err
    both = rig.bench.run(claude, "mcp", "list", cwd=project, NOTES_KEY=rig.key, **env)
    assert f"wired: {rig.url} (HTTP) - ✔ Connected" in both.out, both.out + both.err
    assert rig.bench.keyfob("unwire", "mcp", "--yes").code == 0
