"""The gateway: `keyfob serve` over a real account, real sockets and an API of ours."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from support.gateway_rig import Rig, rig_at, serving
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]


@pytest.fixture(scope="module")
def shared(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig_at(tmp_path_factory.mktemp("gateway"), session) as made:
        yield made


@pytest.fixture
def rig(shared: Rig) -> Rig:
    """For tests that leave the account as it was."""
    shared.api.seen.clear()
    shared.api.left.clear()
    return shared


@pytest.fixture
def own_rig(session: DesktopSession, tmp_path: Path) -> Iterator[Rig]:
    """For tests that change the account or end its API."""
    with rig_at(tmp_path, session) as made:
        yield made


def test_a_key_that_never_sees_the_token(rig: Rig) -> None:
    made = rig.grant("--name", "release-bot")
    answer = rig.get(made["key"], "/echo?a=1&b=%20", headers={"Cookie": "c=d", "X-Forwarded-For": "1.2.3.4"})
    assert answer.json() == {"method": "GET", "length": 0, "query": "a=1&b= "}
    assert answer.headers["X-RateLimit-Remaining"] == "7"
    assert "Set-Cookie" not in answer.headers
    assert "Alt-Svc" not in answer.headers
    _, target, headers = rig.api.seen[-1]
    assert target == "/api/echo?a=1&b=%20"
    assert headers["Authorization"] == f"Bearer {rig.bench.token()}"
    assert headers["Host"] == f"127.0.0.1:{rig.api.port}"
    assert not {"Cookie", "X-Forwarded-For", "Accept-Encoding-x"} & set(headers)
    assert made["key"] not in str(headers)
    assert rig.bench.token() not in answer.text + str(answer.headers)


def test_what_is_not_granted_never_leaves(rig: Rig) -> None:
    """S-63: a method, path or account out of the grant is refused before anything is sent."""
    key = rig.grant("--method", "read", "--path", "/echo", "--path", "/repos/**")["key"]
    assert rig.get(key, "/echo").status_code == 200
    sent = len(rig.api.seen)
    for method, path in (
        ("POST", "/echo"),
        ("GET", "/upload"),
        ("GET", "/repos2"),
        ("DELETE", "/repos/a"),
        ("GET", "/"),
    ):
        refused = rig.get(key, path, method=method)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_granted")
        assert refused.headers["Content-Type"] == "application/problem+json"
    headers = {"Authorization": f"Bearer {key}"}
    other = httpx.get(f"{rig.url}/workshop/bob/echo", headers=headers, trust_env=False)
    assert (other.status_code, other.json()["code"]) == (403, "not_granted")
    assert len(rig.api.seen) == sent
    assert rig.get(key, "/repos/acme/app").status_code == 404, "passed on: the API knows no such path"


@pytest.mark.parametrize(
    "path",
    [
        "/echo/../upload", "/echo/./x", "/echo/%2e%2e/upload", "/echo/%2E%2E/upload", "/echo%2fupload",
        "/echo%2Fx", "/echo%5c..%5cupload", "//echo", "/echo//x", "/echo\\x", "/echo%00",
        "/echo%252e%252e/upload", "/%", "/echo%zz",
    ],
)  # fmt: skip
def test_s53_an_address_that_reads_in_two_ways_is_refused(rig: Rig, path: str) -> None:
    key = rig.grant("--path", "/echo/**")["key"]
    sent = len(rig.api.seen)
    said = rig.raw(
        f"GET /workshop/alice{path} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nAuthorization: Bearer {key}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert said.startswith(b"HTTP/1.1 400 "), said
    assert len(rig.api.seen) == sent


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: 4\r\nContent-Length: 4",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding : chunked",
        b"Content_Length: 4",
        b"X-Folded: a\r\n b",
    ],
)
def test_s53_smuggling(rig: Rig, head: bytes) -> None:
    key = rig.grant()["key"]
    sent = len(rig.api.seen)
    said = rig.raw(
        b"POST /workshop/alice/echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
        b"%s\r\n\r\n0\r\n\r\n" % (rig.port, key.encode(), head)
    )
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), said
    assert len(rig.api.seen) == sent


@pytest.mark.parametrize("target", ["http://evil.example/workshop/alice/echo", "evil.example:443", "*"])
def test_s53_a_target_for_another_server(rig: Rig, target: str) -> None:
    method = "CONNECT" if ":443" in target else "OPTIONS" if target == "*" else "GET"
    said = rig.raw(
        f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nConnection: close\r\n\r\n".encode()
    )
    assert said.split(b" ")[1] in (b"400", b"404"), said
    assert not rig.api.seen


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:2026"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_s52_a_page_in_a_browser_gets_nothing(rig: Rig, headers: dict[str, str]) -> None:
    key = rig.grant()["key"]
    refused = rig.get(key, "/echo", headers=headers)
    assert refused.status_code in (403, 421)
    assert not any("access-control" in name for name in refused.headers)
    assert not rig.api.seen


def test_s66_wrong_keys(rig: Rig) -> None:
    key = rig.grant()["key"]
    for wrong in ("-", "nonsense", key[:-1], key[:-1] + ("0" if key[-1] != "0" else "1")):
        refused = rig.get(wrong, "/echo")
        assert refused.status_code == 401
        assert refused.json()["detail"] == "Authentication failed: invalid or expired token"
        assert "Bearer" in refused.headers["WWW-Authenticate"]
    in_the_address = httpx.get(
        f"{rig.url}/workshop/alice/echo?access_token={key}&api_key={key}", trust_env=False
    )
    assert in_the_address.status_code == 401
    assert not rig.api.seen


@pytest.mark.parametrize("way", ["x-api-key", "api-key", "basic"])
def test_other_places_of_a_key(rig: Rig, way: str) -> None:
    key = rig.grant()["key"]
    url = f"{rig.url}/workshop/alice/echo"
    words: dict[str, Any] = {"auth": ("anybody", key)} if way == "basic" else {"headers": {way: key}}
    assert httpx.get(url, trust_env=False, **words).status_code == 200
    assert key not in str(rig.api.seen[-1])


def test_an_ended_grant_and_a_revoked_key_end_within_a_second(rig: Rig) -> None:
    made, other = rig.grant(), rig.grant()
    assert rig.get(made["key"], "/echo").status_code == 200
    assert rig.get(other["key"], "/echo").status_code == 200
    assert rig.bench.keyfob("grants", "revoke", made["grant_id"]).code == 0
    assert rig.bench.keyfob("keys", "revoke", other["for"].removeprefix("key:")).code == 0
    time.sleep(1)
    assert rig.get(made["key"], "/echo").status_code == 403
    assert rig.get(other["key"], "/echo").status_code == 401


def test_so_many_requests_an_hour(rig: Rig) -> None:
    made = rig.grant("--per-hour", "2")
    codes = [rig.get(made["key"], "/echo").status_code for _ in range(3)]
    assert codes == [200, 200, 429]


def test_uses_are_listed(rig: Rig) -> None:
    made = rig.grant("--path", "/echo", "--name", "bot")
    rig.get(made["key"], "/echo")
    rig.get(made["key"], "/upload")
    for _ in range(40):
        rows = json.loads(rig.bench.keyfob("grants", "list", "--json").out)["grants"]
        (row,) = [each for each in rows if each["grant_id"] == made["grant_id"]]
        if row["allowed_24h"]:
            break
        time.sleep(0.5)
    assert (row["name"], row["allowed_24h"], row["refused_24h"]) == ("bot", 1, 1)
    assert row["last_used_at"] is not None
    assert "1 requests, 1 refused" in rig.bench.keyfob("grants", "list").out


def test_a_refused_token_is_replaced_once(own_rig: Rig) -> None:
    key = own_rig.grant()["key"]
    before = own_rig.bench.token()
    own_rig.bench.shop.refused.add(before)
    answer = own_rig.get(key, "/echo", method="POST", content=b"again")
    assert answer.json()["length"] == 5
    assert [headers["Authorization"] == f"Bearer {before}" for *_, headers in own_rig.api.seen] == [
        True,
        False,
    ]


def test_a_body_that_has_streamed_away_is_not_sent_again(rig: Rig) -> None:
    key = rig.grant()["key"]
    rig.api.refuse_next = 1

    def parts() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    assert rig.get(key, "/upload", method="POST", content=parts()).status_code == 401
    assert len(rig.api.seen) == 1


def test_redirects(rig: Rig) -> None:
    """S-73: the gateway follows none; one within the API leads through the gateway again."""
    key = rig.grant()["key"]
    here, away = rig.get(key, "/here"), rig.get(key, "/away")
    assert (here.status_code, here.headers["Location"]) == (302, "/workshop/alice/echo?after=1")
    assert away.headers["Location"] == "http://127.0.0.1:9/elsewhere"
    assert rig.get(key, "/here", follow_redirects=True).json()["query"] == "after=1"


def test_events_leave_as_they_come(rig: Rig) -> None:
    key = rig.grant()["key"]

    async def run() -> list[float]:
        came = []
        async with (
            aiohttp.ClientSession() as http,
            http.get(
                f"{rig.url}/workshop/alice/events?count=8&gap=0.2", headers={"Authorization": f"Bearer {key}"}
            ) as answer,
        ):
            assert answer.headers["Content-Type"] == "text/event-stream"
            async for line in answer.content:
                if line.strip():
                    came.append(time.monotonic())
        return came

    came = asyncio.run(run())
    assert len(came) == 8
    gaps = [later - earlier for earlier, later in pairwise(came)]
    assert sorted(gaps)[len(gaps) // 2] > 0.1, "they were gathered"


def test_a_caller_who_leaves_ends_the_request_at_the_provider(rig: Rig) -> None:
    key = rig.grant()["key"]

    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            answer = await http.get(
                f"{rig.url}/workshop/alice/events?count=1000&gap=0.05",
                headers={"Authorization": f"Bearer {key}"},
            )
            await answer.content.readline()
            answer.close()

    asyncio.run(run())
    assert rig.api.left.wait(10)


def test_half_an_answer_is_no_clean_end(rig: Rig) -> None:
    with pytest.raises(httpx.HTTPError):
        # A reset may overtake what was sent before it: then not even the head came, and it is a 502.
        rig.get(rig.grant()["key"], "/cut").raise_for_status()


def test_large_bodies_both_ways(rig: Rig) -> None:
    key = rig.grant()["key"]
    size = 20 << 20

    def parts() -> Iterator[bytes]:
        for _ in range(size >> 16):
            yield b"y" * 65536

    assert rig.get(key, "/upload", method="PUT", content=parts()).json() == {"length": size}
    assert len(rig.get(key, f"/download?size={size}").content) == size


def test_web_sockets(rig: Rig) -> None:
    key = rig.grant()["key"]

    async def run() -> tuple[str, bytes, int | None, str | None]:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(
                f"{rig.url}/workshop/alice/ws",
                headers={"Authorization": f"Bearer {key}"},
                protocols=("chat",),
            ) as ws,
        ):
            await ws.send_str("hello")
            text = await ws.receive_str()
            await ws.send_bytes(b"abc")
            data = await ws.receive_bytes()
            await ws.send_str("bye")
            await ws.receive()
            return text, data, ws.close_code, ws.protocol

    assert asyncio.run(run()) == ("HELLO", b"cba", 4001, "chat")


def test_an_account_that_needs_its_person(own_rig: Rig) -> None:
    key = own_rig.grant()["key"]
    assert own_rig.bench.keyfob("disconnect", "workshop", "--local").code == 0
    time.sleep(1.1)
    sent = len(own_rig.api.seen)
    refused = own_rig.get(key, "/echo")
    assert (refused.status_code, refused.json()["code"]) == (401, "sign_in_needed")
    assert "keyfob reconnect workshop/alice" in refused.json()["detail"]
    assert len(own_rig.api.seen) == sent


def test_a_provider_that_is_down(own_rig: Rig) -> None:
    key = own_rig.grant()["key"]
    own_rig.api.stop()
    refused = own_rig.get(key, "/echo")
    assert (refused.status_code, refused.json()["code"]) == (502, "provider_unavailable")


def test_one_key_for_everybody(rig: Rig) -> None:
    one = "sk-one-key-for-everybody-0123456789"
    with serving(rig.bench, rig.api, KEYFOB_GATEWAY_KEY=one) as other:
        assert other.get(one, "/echo").status_code == 200
        assert other.get(rig.grant()["key"], "/echo").status_code == 401
        metrics = httpx.get(f"{other.url}/metrics", headers={"x-api-key": one}, trust_env=False)
        assert 'keyfob_gateway_requests_total{account="workshop/alice",status="200"} 1.0' in metrics.text


def test_own_addresses(rig: Rig) -> None:
    key = rig.grant()["key"]
    assert httpx.get(f"{rig.url}/healthz", trust_env=False).json() == {"status": "ok"}
    assert httpx.get(f"{rig.url}/readyz", trust_env=False).json() == {"status": "ready"}
    login = httpx.post(f"{rig.url}/v1/login", json={}, trust_env=False)
    assert (login.status_code, login.json()["detail"]) == (404, "There is no such address")
    assert httpx.get(f"{rig.url}/metrics", trust_env=False).status_code == 401
    assert httpx.get(f"{rig.url}/metrics", headers={"x-api-key": key}, trust_env=False).status_code == 403


def test_a_person_signs_in_with_a_password(rig: Rig, tmp_path: Path) -> None:
    config = tmp_path / "local.yaml"
    config.write_text(f"jwt_secret: {'x' * 40}\n")
    config.chmod(0o644)
    exposed = rig.bench.keyfob("serve", "--auth-type", "local", "--auth-config", str(config))
    assert exposed.code == 8
    assert f"chmod 600 {config}" in exposed.err
    config.chmod(0o600)
    assert rig.bench.keyfob("users", "add", "alice", stdin="correct horse\n").code == 0
    rig.grant("--for", "user:alice")
    with serving(rig.bench, rig.api, "--auth-type", "local", "--auth-config", str(config)) as other:
        login = f"{other.url}/v1/login"
        wrong = httpx.post(login, json={"username": "alice", "password": "wrong one"}, trust_env=False)
        assert wrong.status_code == 401
        made = httpx.post(
            login, json={"username": "alice", "password": "correct horse"}, trust_env=False
        ).json()
        assert (made["token_type"], made["expires_in"]) == ("Bearer", 3600)
        assert other.get(made["access_token"], "/echo").status_code == 200


def test_s66_no_key_and_no_token_in_any_file(own_rig: Rig) -> None:
    key, token = own_rig.grant()["key"], own_rig.bench.token()
    own_rig.get(key, "/echo?secret=canary-4711")
    own_rig.get(key[:-1], "/echo")
    for secret in (key, token, "canary-4711"):
        assert not own_rig.bench.files_with(secret)
