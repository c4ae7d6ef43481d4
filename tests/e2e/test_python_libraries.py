"""The classes for httpx, httpx2, requests, aiohttp and the MCP SDK, each with its real library against an
API on loopback, over a real agent socket.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

import keyfob
from keyfob.adapters.system.keys import new_key
from keyfob.client import tokens
from support.agent_rig import AgentRig, short_folder, unix
from support.loopback_api import Api, Seen, rig_with_api, serving
from support.mcp_server import mcp_server

pytestmark = pytest.mark.network

api = pytest.fixture(serving)
elsewhere = pytest.fixture(serving, name="elsewhere")

Result = tuple[int, bytes]
Send = Callable[..., Result]


def by_httpx(method: str, url: str, body: bytes | None = None, **more: Any) -> Result:
    with httpx.Client(auth=keyfob.Auth("example"), follow_redirects=True) as http:
        answer = http.request(method, url, content=body, **more)
        return answer.status_code, answer.content


def by_httpx2(method: str, url: str, body: bytes | None = None, **more: Any) -> Result:
    with httpx2.Client(auth=keyfob.Httpx2Auth("example"), follow_redirects=True) as http:
        answer = http.request(method, url, content=body, **more)
        return answer.status_code, answer.content


def by_requests(method: str, url: str, body: bytes | None = None, **more: Any) -> Result:
    with requests.Session() as http:
        answer = http.request(method, url, data=body, auth=keyfob.RequestsAuth("example"), timeout=20, **more)
        return answer.status_code, answer.content


def by_aiohttp(method: str, url: str, body: bytes | None = None, **more: Any) -> Result:
    async def main() -> Result:
        async with (
            aiohttp.ClientSession(middlewares=[keyfob.AiohttpAuth("example")]) as http,
            http.request(method, url, data=body, **more) as answer,
        ):
            return answer.status, await answer.read()

    return asyncio.run(main())


@pytest.fixture(params=[by_httpx, by_httpx2, by_requests, by_aiohttp])
def send(request: pytest.FixtureRequest) -> Send:
    found: Send = request.param
    return found


@pytest.fixture
def rig(tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentRig]:
    made = rig_with_api(tmp_path, api.base)
    # Memory is judged by this process's clock: let the token live by it.
    made.grants.save("key-1", replace(made.held(), expires_at=None, generation=2))
    with short_folder() as folder, made.serving(unix(folder)):
        monkeypatch.setenv("KEYFOB_SOCK", str(folder / "agent.sock"))
        tokens.forget()
        yield made
        tokens.forget()


def wants(token: str) -> Callable[[Seen], tuple[int, dict[str, str], list[bytes]]]:
    """An API that takes this token alone."""
    return lambda seen: (
        200 if seen.headers.get("authorization") == f"Bearer {token}" else 401,
        {},
        [b"fine"],
    )


def test_the_token_goes_with_each_request(send: Send, rig: AgentRig, api: Api) -> None:
    assert send("POST", f"{api.base}/me?x=1", b"body", headers={"User-Agent": "mine"}) == (200, b"fine")
    (seen,) = api.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/me?x=1", b"body")
    assert (seen.headers["authorization"], seen.headers["user-agent"]) == ("Bearer access-1", "mine")


def test_a_refused_token_is_replaced_and_the_request_sent_again(send: Send, rig: AgentRig, api: Api) -> None:
    api.answer = wants("access-2")
    assert send("POST", f"{api.base}/me", b"body") == (200, b"fine")
    assert [seen.body for seen in api.seen] == [b"body", b"body"]
    assert rig.server.log == ["refresh"]


def test_a_401_that_stays_is_the_callers(send: Send, rig: AgentRig, api: Api) -> None:
    api.answer = wants("never")
    assert send("GET", f"{api.base}/me")[0] == 401
    assert [seen.headers["authorization"] for seen in api.seen] == ["Bearer access-1", "Bearer access-2"]


def test_another_host_gets_nothing(send: Send, rig: AgentRig, elsewhere: Api) -> None:
    """S-64: nothing of ours goes to a host that is not the provider's."""
    with pytest.raises(keyfob.SettingWrong) as caught:
        send("GET", f"{elsewhere.base}/me")
    assert caught.value.code == "host_not_allowed"
    assert elsewhere.seen == []


def test_a_redirect_takes_no_token_to_another_host(
    send: Send, rig: AgentRig, api: Api, elsewhere: Api
) -> None:
    """S-64: neither the first token nor its replacement, though the other host answers with 401."""
    other = elsewhere.base.replace("127.0.0.1", "localhost")
    api.answer = lambda seen: (302, {"Location": f"{other}/take"}, [])
    elsewhere.answer = lambda seen: (401, {}, [])
    if send is by_aiohttp:
        with pytest.raises(keyfob.SettingWrong):
            send("GET", f"{api.base}/me")
        assert elsewhere.seen == []
        return
    assert send("GET", f"{api.base}/me")[0] == 401
    assert elsewhere.seen
    assert not any("authorization" in seen.headers for seen in elsewhere.seen)


def test_a_token_bound_to_a_key_is_signed_for_each_request_and_nonce(
    send: Send, rig: AgentRig, api: Api
) -> None:
    """RFC 9449 §9: one repeat for the nonce, and one for a refused token."""
    rig.grants.save("key-1", replace(rig.held(), key=new_key(), token_type="DPoP", generation=3))
    rig.server.extra["token_type"] = "DPoP"
    proofs: list[str] = []

    def answer(seen: Seen) -> tuple[int, dict[str, str], list[bytes]]:
        proofs.append(seen.headers["dpop"])
        if len(proofs) == 1:
            return 401, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "n-1"}, []
        if seen.headers["authorization"] == "DPoP access-1":
            return 401, {"WWW-Authenticate": 'DPoP error="invalid_token"'}, []
        return 200, {}, [b"fine"]

    api.answer = answer
    assert send("PUT", f"{api.base}/a", b"body") == (200, b"fine")
    assert len(set(proofs)) == 3
    assert [seen.headers["authorization"] for seen in api.seen] == [
        "DPoP access-1", "DPoP access-1", "DPoP access-2",
    ]  # fmt: skip


def test_a_token_in_the_query_is_replaced_too(
    send: Send, tmp_path: Path, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rig_with_api(tmp_path, api.base, 'placement = "query"\nname = "key"')
    api.answer = lambda seen: (200 if seen.path.endswith("key=access-2") else 401, {}, [b"fine"])
    with short_folder() as folder, made.serving(unix(folder)):
        monkeypatch.setenv("KEYFOB_SOCK", str(folder / "agent.sock"))
        tokens.forget()
        assert send("GET", f"{api.base}/me?x=1") == (200, b"fine")
        tokens.forget()
    assert [seen.path for seen in api.seen] == ["/me?x=1&key=access-1", "/me?x=1&key=access-2"]


def test_bodies_that_can_be_read_once_are_sent_once(rig: AgentRig, api: Api) -> None:
    api.answer = wants("access-2")

    async def pieces() -> Any:
        yield b"once"

    async def aiohttp_post() -> int:
        async with (
            aiohttp.ClientSession(middlewares=[keyfob.AiohttpAuth("example")]) as http,
            http.post(f"{api.base}/a", data=pieces()) as answer,
        ):
            return answer.status

    assert asyncio.run(aiohttp_post()) == 401
    once = requests.post(
        f"{api.base}/b", data=iter([b"once"]), auth=keyfob.RequestsAuth("example"), timeout=20
    )
    assert once.status_code == 401
    assert [seen.body for seen in api.seen] == [b"once", b"once"]


def test_requests_sends_a_file_again_from_where_it_stood(rig: AgentRig, api: Api) -> None:
    api.answer = wants("access-2")
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    answer = requests.post(f"{api.base}/a", data=file, auth=keyfob.RequestsAuth("example"), timeout=20)
    assert answer.status_code == 200
    assert [seen.body for seen in api.seen] == [b"body", b"body"]
    assert [before.status_code for before in answer.history] == [401]


@pytest.mark.parametrize("library", ["httpx", "httpx2", "aiohttp"])
def test_thirty_401s_under_asyncio_cost_one_renewal_and_the_loop_goes_on(
    library: str, rig: AgentRig, api: Api
) -> None:
    rig.server.before = lambda: time.sleep(3)  # a loop that waited for it would pause as long
    api.answer = wants("access-2")

    async def main() -> tuple[list[int], float]:
        gaps: list[float] = []

        async def beat() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                gaps.append(time.monotonic() - before)

        beating = asyncio.create_task(beat())
        url = f"{api.base}/me"
        if library == "aiohttp":
            async with aiohttp.ClientSession(middlewares=[keyfob.AiohttpAuth("example")]) as session:
                answers = await asyncio.gather(*(session.get(url) for _ in range(30)))
                statuses = [answer.status for answer in answers]
        else:
            made = (
                httpx.AsyncClient(auth=keyfob.Auth("example"), timeout=60)
                if library == "httpx"
                else httpx2.AsyncClient(auth=keyfob.Httpx2Auth("example"), timeout=60)
            )
            async with made as http:
                statuses = [a.status_code for a in await asyncio.gather(*(http.get(url) for _ in range(30)))]
        beating.cancel()
        return statuses, max(gaps)

    statuses, longest = asyncio.run(main())
    assert statuses == [200] * 30
    assert rig.server.log == ["refresh"]
    assert longest < 2


def test_the_mcp_sdk_calls_a_tool_of_a_protected_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real MCP server with bearer tokens (RFC 6750), and the SDK's client. The first token is refused."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    seen: list[str] = []

    def scopes_of(token: str, resource: str) -> list[str] | None:
        seen.append(token)
        return [] if token == "access-2" else None

    with mcp_server("https://id.example.org", scopes_of) as url:
        rig = rig_with_api(tmp_path, url.removesuffix("/mcp"))
        rig.grants.save("key-1", replace(rig.held(), expires_at=None, generation=2))

        async def main() -> str:
            async with (
                httpx2.AsyncClient(auth=keyfob.Httpx2Auth("example"), timeout=30) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                result = await client.call_tool("shout", {"text": "fine"})
                return str(result.content[0].text)

        with short_folder() as folder, rig.serving(unix(folder)):
            monkeypatch.setenv("KEYFOB_SOCK", str(folder / "agent.sock"))
            tokens.forget()
            assert asyncio.run(main()) == "FINE"
            tokens.forget()
    assert seen[0] == "access-1"
    assert set(seen[1:]) == {"access-2"}
    assert rig.server.log == ["refresh"]
