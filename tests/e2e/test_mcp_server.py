"""`keyfob connect URL` for an MCP server: the MCP SDK's own server, in front of npm's oidc-provider with
client registration and resource indicators. Keyfob gets the server's address and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from support.mcp_server import mcp_server
from support.oidc_provider import BASIC_ID, BASIC_SECRET, OidcProvider
from support.running import Ran
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


@pytest.fixture(scope="module")
def authority() -> Iterator[OidcProvider]:
    with OidcProvider(RESOURCE_SCOPES="notes:read notes:write") as made:
        yield made


@pytest.fixture
def bench(authority: OidcProvider, tmp_path: Path) -> Iterator[Bench]:
    authority.reset()
    with DesktopSession() as session:
        yield Bench.at(tmp_path, session.env, authority, authority)  # type: ignore[arg-type]


@pytest.fixture
def url(authority: OidcProvider) -> Iterator[str]:
    """An MCP server that takes what the authorization server says is for it."""

    def scopes_of(token: str, resource: str) -> list[str] | None:
        answer = httpx.post(
            f"{authority.issuer}/token/introspection",
            data={"token": token},
            auth=(BASIC_ID.replace(":", "%3A").replace(" ", "+"), _form(BASIC_SECRET)),
            trust_env=False,
        )
        found = answer.json()
        if not found.get("active") or found.get("aud") != resource:
            return None
        return str(found.get("scope", "")).split()

    with mcp_server(authority.issuer, scopes_of, scopes=["notes:read"]) as made:
        yield made


def connect(bench: Bench, *words: str) -> Ran:
    script = bench.home.parent / "visit.py"
    script.write_text(VISIT.format(path=[str(Path(__file__).parents[1])]))
    browser = f"{sys.executable} {script} %s"
    return bench.keyfob("connect", *words, "--timeout", "40", BROWSER=browser, PYTHONWARNINGS="default")


def presets(bench: Bench) -> list[Path]:
    return sorted((bench.keyfob_home / "config" / "providers").glob("*.toml"))


def calls_a_tool(bench: Bench, project: Path, url: str) -> str:
    """An MCP client of its own: it reads its own configuration, and gets headers from the command in it."""
    project.mkdir()
    file = project / ".mcp.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {"type": "http", "url": url}}}))
    name = bench.keyfob("accounts", "--json").json["accounts"][0]["id"]
    wired = bench.keyfob("wire", "mcp", name, "--server", "notes", "--file", str(file), "--yes")
    assert (wired.code, "Warning" in wired.err) == (0, False), wired.err
    helper = json.loads(file.read_text())["mcpServers"]["notes"]["headersHelper"]
    headers = json.loads(bench.run("sh", "-c", helper, cwd=project).out)
    return asyncio.run(_shout(url, headers))


async def _shout(url: str, headers: dict[str, str]) -> str:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result: Any = await client.call_tool("shout", {"text": "fine"})
        return str(result.content[0].text)


def _form(text: str) -> str:
    """RFC 6749 §2.3.1: form-encoded before it goes into Basic."""
    from urllib.parse import quote_plus

    return quote_plus(text)


def test_the_address_alone_connects_and_one_sign_in_serves_two_clients(
    bench: Bench, authority: OidcProvider, url: str
) -> None:
    done = connect(bench, url)
    assert done.code == 0, done.err
    (file,) = presets(bench)
    host = url.split("/")[2]
    assert file.stem == host.replace(".", "-").replace(":", "-")
    written = tomllib.loads(file.read_text())
    assert written["resource"] == url
    assert written["scopes"] == ["notes:read", "offline_access"]  # and not notes:write, which it may have
    assert written["issuer"] == authority.issuer
    assert done.out.strip().endswith(f"{file.stem}/account")
    assert "keyfob wire mcp" in done.err

    assert calls_a_tool(bench, bench.home / "one", url) == "FINE"
    assert calls_a_tool(bench, bench.home / "two", url) == "FINE"
    counts = authority.counts()
    assert (counts["grant authorization_code"], counts["/reg"]) == (1, 1)

    # A renewed token is for the same resource.
    assert bench.keyfob("renew", file.stem).code == 0
    assert calls_a_tool(bench, bench.home / "three", url) == "FINE"
    client = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client})
    asked = bench.keyfob("request", file.stem, "POST", "/mcp", "-d", "@-", "-H", "Accept: application/json, "
        "text/event-stream", "-H", "Content-Type: application/json", stdin=body)  # fmt: skip
    assert '"name":"notes"' in asked.out, asked.err
    elsewhere = bench.keyfob("request", file.stem, "GET", f"{authority.issuer}/me")
    assert elsewhere.code == 8, "the token is for the MCP server alone"

    # A token that the server refuses is healed by a test, which renews: there is nobody to ask.
    refused = bench.token(file.stem)
    tested = bench.keyfob("test", file.stem)
    assert tested.code == 0, tested.err
    assert bench.token(file.stem) != refused

    # The same address again uses the same preset.
    assert connect(bench, url, "--label", "second").code == 0
    assert presets(bench) == [file]
    assert not bench.files_with(bench.token(f"{file.stem}/second"))


def test_a_client_id_that_is_given_is_used_and_none_is_registered(
    bench: Bench, authority: OidcProvider, url: str
) -> None:
    authority.add_client(client_id="given", redirect_uris=["http://127.0.0.1:9876/callback"],
        token_endpoint_auth_method="none", scope="notes:read offline_access")  # fmt: skip
    done = connect(bench, url, "--client-id", "given")
    assert done.code == 0, done.err
    assert "/reg" not in authority.counts()
    assert tomllib.loads(presets(bench)[0].read_text())["client"]["client_id"] == "given"
    assert calls_a_tool(bench, bench.home / "one", url) == "FINE"
