"""nginx and Caddy carry the gateway's traffic, with the configuration that Keyfob prints, unchanged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise

import aiohttp
import httpx
import pytest

from support.certificates import Authority
from support.engines import Engine, engine_at
from support.gateway_rig import rig_at
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
KINDS = {"nginx": (), "nginx-lua": ("--cache", "0.2"), "caddy": ()}


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, session: DesktopSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp(request.param)
    authority = Authority(folder)
    home, mine = folder / "rig", folder / "engine"
    home.mkdir()
    mine.mkdir(mode=0o700)
    with rig_at(home, session, authority) as rig:
        words = ("--upstream-ca", str(authority.bundle), *KINDS[request.param])
        with engine_at(rig, request.param, mine, *words) as engine:
            yield engine


@pytest.fixture
def engine(shared: Engine) -> Engine:
    shared.rig.api.seen.clear()
    shared.rig.api.left.clear()
    return shared


def test_the_credential_and_nothing_of_the_caller(engine: Engine) -> None:
    made = engine.rig.grant("--name", "release-bot")
    theirs = {
        "Cookie": "c=d", "X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4", "X-Api-Key": "theirs",
        "DPoP": "theirs", "X-Keyfob-Account": "other/one", "X-Keyfob-Engine": "guess", "Accept": "text/x",
        "Referer": "http://a/", "X-Custom": "stays",
    }  # fmt: skip
    answer = engine.get(made["key"], "/echo?a=1&b=%20", headers=theirs)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"method": "GET", "length": 0, "query": "a=1&b= "}
    assert answer.headers["X-RateLimit-Remaining"] == "7"
    assert not {"Set-Cookie", "Alt-Svc"} & set(answer.headers)
    token = engine.rig.bench.token()
    method, target, headers = engine.rig.api.seen[-1]
    sent = {name.lower(): value for name, value in headers.items()}
    assert (method, target) == ("GET", "/api/echo?a=1&b=%20")
    assert sent["authorization"] == f"Bearer {token}"
    assert sent["host"] == f"localhost:{engine.rig.api.port}"
    assert (sent["accept"], sent["x-custom"]) == ("text/x", "stays")
    private = {"cookie", "forwarded", "x-api-key", "dpop", "referer", "via", "origin"}
    assert not private & set(sent)
    assert not [name for name in sent if name.startswith(("x-forwarded", "x-keyfob", "x-original"))]
    assert made["key"] not in str(headers)
    assert token not in answer.text + str(answer.headers)


def test_refusals_are_problem_documents(engine: Engine) -> None:
    """S-63, S-66: nothing is sent for a wrong key, or out of the grant."""
    key = engine.rig.grant("--method", "read", "--path", "/echo")["key"]
    assert engine.get(key, "/echo").status_code == 200
    sent = len(engine.rig.api.seen)
    wrong = engine.get(key[:-1], "/echo")
    assert (wrong.status_code, wrong.headers["Content-Type"]) == (401, "application/problem+json")
    assert wrong.json()["detail"] == "Authentication failed: invalid or expired token"
    assert "Bearer" in wrong.headers["WWW-Authenticate"]
    for method, path in (("POST", "/echo"), ("GET", "/upload"), ("DELETE", "/echo/x")):
        refused = engine.get(key, path, method=method)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_granted"), path
        assert refused.headers["Content-Type"] == "application/problem+json"
    elsewhere = httpx.get(f"{engine.url}/workshop/bob/echo", headers={"x-api-key": key}, trust_env=False)
    assert elsewhere.status_code == 404
    assert len(engine.rig.api.seen) == sent


def test_a_used_up_grant(engine: Engine) -> None:
    key = engine.rig.grant("--per-hour", "2")["key"]
    answers = [engine.get(key, "/echo") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/echo/../upload", "/echo/%2e%2e/upload", "/echo/%2E./upload", "/echo%2fupload", "/echo%2Fx",
        "/echo%5c..%5cupload", "//echo", "/echo//x", "/./echo", "/echo%00", "/echo%252e%252e/upload",
        "/../bob/echo", "/%2e%2e/bob/echo",
    ],
)  # fmt: skip
def test_s53_an_address_that_reads_in_two_ways_is_refused(engine: Engine, path: str) -> None:
    key = engine.rig.grant("--path", "/echo/**")["key"]
    said = engine.raw(
        f"GET /workshop/alice{path} HTTP/1.1\r\nHost: 127.0.0.1:{engine.port}\r\nAuthorization: Bearer {key}"
        "\r\nConnection: close\r\n\r\n".encode()
    )
    assert said.split(b" ")[1] in (b"400", b"403", b"404"), said
    assert not engine.rig.api.seen


@pytest.mark.parametrize(
    "path", ["/x;a=1/y", "/a%20b", "/a%3Bb%2Cc", "/%7Euser", "/a@b:c", "/a+b", "/x?q=%2F%2e%2e//"]
)
def test_s53_the_path_is_forwarded_as_it_was_sent(engine: Engine, path: str) -> None:
    key = engine.rig.grant()["key"]
    engine.raw(
        f"GET /workshop/alice{path} HTTP/1.1\r\nHost: 127.0.0.1:{engine.port}\r\nAuthorization: Bearer {key}"
        "\r\nConnection: close\r\n\r\n".encode()
    )
    assert [target for _, target, _ in engine.rig.api.seen] == [f"/api{path}"]


def test_s53_a_spelling_of_another_account_is_refused(engine: Engine) -> None:
    """The engine chooses by the decoded path, Keyfob by the raw one: both must be the same account."""
    key = engine.rig.grant()["key"]
    for target in ("/workshop/x/%2e%2e/alice/echo", "/WORKSHOP/alice/echo", "/workshop//alice/echo"):
        said = engine.raw(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{engine.port}\r\nAuthorization: Bearer {key}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        assert said.split(b" ")[1] in (b"400", b"403", b"404"), said
    assert not engine.rig.api.seen


def test_s52_a_page_in_a_browser_gets_nothing(engine: Engine) -> None:
    key = engine.rig.grant()["key"]
    pages = ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"})
    for headers in pages:
        refused = engine.get(key, "/echo", headers=headers)
        assert refused.status_code in (403, 421), headers
        assert not [name for name in refused.headers if "access-control" in name]
    assert not engine.rig.api.seen


def test_decide_is_for_the_engine_alone(engine: Engine) -> None:
    """It hands the credential out: nobody reaches it through the engine, or without its secret."""
    key = engine.rig.grant()["key"]
    asked = {
        "X-Original-Method": "GET", "X-Original-URI": "/workshop/alice/echo", "x-api-key": key,
        "X-Keyfob-Account": "workshop/alice", "X-Keyfob-Upstream": engine.rig.api.base,
    }  # fmt: skip
    for path in ("/decide", "/keyfob-decide", "/decide/workshop/alice/echo"):
        refused = httpx.get(engine.url + path, headers=asked, trust_env=False)
        assert refused.status_code == 404, path
    for secret in ({}, {"X-Keyfob-Engine": ""}, {"X-Keyfob-Engine": "0" * 64}):
        refused = httpx.get(f"{engine.rig.url}/decide", headers=asked | secret, trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    line = (engine.rig.bench.keyfob_home / "data" / "engine.env").read_text().strip()
    right = {"X-Keyfob-Engine": line.partition("=")[2]}
    answer = httpx.get(f"{engine.rig.url}/decide", headers=asked | right, trust_env=False)
    assert answer.headers["Authorization"] == f"Bearer {engine.rig.bench.token()}"
    assert answer.headers["X-Keyfob-Target"] == "/api/echo"
    stale = asked | right | {"X-Keyfob-Upstream": "https://elsewhere.example"}
    refused = httpx.get(f"{engine.rig.url}/decide", headers=stale, trust_env=False)
    assert (refused.headers["X-Keyfob-Status"], "Authorization" in refused.headers) == ("403", False)
    both = asked | right | {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/workshop/alice/upload"}
    refused = httpx.get(f"{engine.rig.url}/decide", headers=both, trust_env=False)
    assert (refused.status_code, "Authorization" in refused.headers) == (400, False)


def test_an_ended_grant_and_a_revoked_key_end_within_a_second(engine: Engine) -> None:
    made, other = engine.rig.grant(), engine.rig.grant()
    assert engine.get(made["key"], "/echo").status_code == 200
    assert engine.get(other["key"], "/echo").status_code == 200
    assert engine.rig.bench.keyfob("grants", "revoke", made["grant_id"]).code == 0
    assert engine.rig.bench.keyfob("keys", "revoke", other["for"].removeprefix("key:")).code == 0
    time.sleep(1)
    assert engine.get(made["key"], "/echo").status_code == 403
    assert engine.get(other["key"], "/echo").status_code == 401


def test_events_leave_as_they_come(engine: Engine) -> None:
    key = engine.rig.grant()["key"]

    async def run() -> list[float]:
        came = []
        url = f"{engine.url}/workshop/alice/events?count=8&gap=0.2"
        async with (
            aiohttp.ClientSession() as http,
            http.get(url, headers={"Authorization": f"Bearer {key}"}) as answer,
        ):
            assert answer.headers["Content-Type"] == "text/event-stream"
            async for line in answer.content:
                if line.strip():
                    came.append(time.monotonic())
        return came

    came = asyncio.run(run())
    assert len(came) == 8
    gaps = sorted(later - earlier for earlier, later in pairwise(came))
    assert gaps[len(gaps) // 2] > 0.1, "they were gathered"


def test_a_caller_who_leaves_ends_the_request_at_the_provider(engine: Engine) -> None:
    key = engine.rig.grant()["key"]

    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            answer = await http.get(
                f"{engine.url}/workshop/alice/events?count=1000&gap=0.05",
                headers={"Authorization": f"Bearer {key}"},
            )
            await answer.content.readline()
            answer.close()

    asyncio.run(run())
    assert engine.rig.api.left.wait(10)


def test_large_bodies_both_ways(engine: Engine) -> None:
    key = engine.rig.grant()["key"]
    size = 20 << 20

    def parts() -> Iterator[bytes]:
        for _ in range(size >> 16):
            yield b"y" * 65536

    for body in (parts(), b"z" * size):
        assert engine.get(key, "/upload", method="PUT", content=body).json() == {"length": size}
    assert len(engine.get(key, f"/download?size={size}").content) == size


def test_web_sockets(engine: Engine) -> None:
    key = engine.rig.grant()["key"]

    async def run() -> tuple[str, int | None, str | None]:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(
                f"{engine.url}/workshop/alice/ws",
                headers={"Authorization": f"Bearer {key}"},
                protocols=("chat",),
            ) as ws,
        ):
            await ws.send_str("hello")
            text = await ws.receive_str()
            await ws.send_str("bye")
            await ws.receive()
            return text, ws.close_code, ws.protocol

    assert asyncio.run(run()) == ("HELLO", 4001, "chat")


def test_s73_redirects(engine: Engine) -> None:
    """One within the API leads through the engine again, every other is the caller's, without credentials."""
    key = engine.rig.grant()["key"]
    here, away = engine.get(key, "/here"), engine.get(key, "/away")
    assert here.status_code == 302
    assert httpx.URL(engine.url).join(here.headers["Location"]).path == "/workshop/alice/echo"
    assert engine.get(key, "/here", follow_redirects=True).json()["query"] == "after=1"
    assert away.headers["Location"] == "http://127.0.0.1:9/elsewhere"


def test_s66_no_file_of_the_engine_holds_a_key_or_a_token(engine: Engine) -> None:
    key, token = engine.rig.grant()["key"], engine.rig.bench.token()
    for number in range(20):
        engine.get(key, f"/echo?n={number % 3}")
    engine.get(key, "/upload", method="PUT", content=b"body-canary" * 100_000)
    engine.get(key[:-1], "/echo")
    line = (engine.rig.bench.keyfob_home / "data" / "engine.env").read_text().strip()
    for secret in (key, token, "body-canary", line.partition("=")[2]):
        assert not engine.files_with(secret)


def test_the_provider_must_be_who_it_should_be(
    session: DesktopSession, tmp_path_factory: pytest.TempPathFactory, shared: Engine
) -> None:
    """With the system's authorities, the test's API is a stranger: it gets nothing."""
    kind = "caddy" if (shared.folder / "printed.conf").read_text().count("forward_auth") else "nginx"
    shared.rig.api.seen.clear()
    with engine_at(shared.rig, kind, tmp_path_factory.mktemp("stranger")) as other:
        answer = other.get(shared.rig.grant()["key"], "/echo")
        assert answer.status_code == 502
    assert not shared.rig.api.seen
