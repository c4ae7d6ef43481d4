"""What the gateway's requests to providers carry, besides the account's credentials: nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from keyfob.core.errors import KeyfobError, SignInNeeded, Transient
from keyfob.core.secret import Secret
from keyfob.gateway.proxy.credentials import AccountCredentials, Credentials
from keyfob.gateway.proxy.routes import Route
from keyfob.gateway.proxy.upstream import Upstream, proxy_for

Seen = list[dict[str, str]]


async def listening(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.network
def test_s28_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password of-the-netrc-file\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen: Seen = []

    async def run() -> None:
        async def api(request: web.Request) -> web.Response:
            seen.append(dict(request.headers))
            return web.Response()

        provider, base = await listening(api)

        class Key:
            async def sign_route(self, *_: object, **__: object) -> Credentials:
                return Credentials(f"{base}/a", {"X-Key": "the-key"}, Secret("the-key"), None)

        upstream = Upstream(cast(AccountCredentials, Key()))
        await upstream.open()

        async def gateway(request: web.Request) -> web.StreamResponse:
            return await upstream.pass_on(request, Route("x/y", "/a", ""), lambda: None)

        server, address = await listening(gateway)
        async with aiohttp.ClientSession() as http, http.get(f"{address}/x/y/a") as answer:
            assert answer.status == 200
        await upstream.close()
        await server.cleanup()
        await provider.cleanup()

    asyncio.run(run())
    assert seen[0]["X-Key"] == "the-key"
    assert "Authorization" not in seen[0]


def test_s28_the_proxy_is_honoured_and_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("https://api.example.org/a") == "http://proxy.example:3128"
    assert proxy_for("https://inside.example/a") is None
    assert proxy_for("http://127.0.0.1:8080/a") is None
    assert proxy_for("http://localhost:8080/a") is None


REFUSALS: dict[str, tuple[str, dict[str, str], bytes]] = {
    "json": (
        "application/json",
        {},
        b'{"message": "Bad credentials: tok/en-0123456789", "was": "tok\\/en-0123456789"}',
    ),
    "basic": ("text/plain", {}, b"you sent Basic dXNlcjp0b2svZW4tMDEyMzQ1Njc4OQ== and that is wrong"),
    "gzip": ("text/html; charset=utf-8", {"Content-Encoding": "gzip"}, gzip.compress(b"Bad credentials")),
    "broken": ("text/plain", {"Content-Encoding": "gzip"}, b"not gzip"),
    "unknown": ("text/plain", {"Content-Encoding": "br"}, b"\x0b\x02"),
    "image": ("image/png", {}, b"\x89PNG"),
    "long": ("text/plain", {}, b"x" * 1_000_000),
    "empty": ("text/plain", {}, b""),
}  # fmt: skip


def refused_by(refusal: str, error: KeyfobError) -> tuple[int, dict[str, str], bytes]:
    """What a caller gets if the provider answers 401 and the account's next credentials raise `error`."""
    kind, more, body = REFUSALS[refusal]

    async def run() -> tuple[int, dict[str, str], bytes]:
        async def api(request: web.Request) -> web.Response:
            return web.Response(
                status=401, headers={"Content-Type": kind, "X-Why": "provider", **more}, body=body
            )

        provider, base = await listening(api)

        class Key:
            async def sign_route(
                self, *_: object, rejected: Secret | None = None, **__: object
            ) -> Credentials:
                if rejected is not None:
                    raise error
                token = Secret("tok/en-0123456789")
                headers = {"Authorization": "Basic dXNlcjp0b2svZW4tMDEyMzQ1Njc4OQ=="}
                return Credentials(f"{base}/a", headers, token, None)

        upstream = Upstream(cast(AccountCredentials, Key()))
        await upstream.open()

        async def gateway(request: web.Request) -> web.StreamResponse:
            return await upstream.pass_on(request, Route("x/y", "/a", ""), lambda: None)

        server, address = await listening(gateway)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.get(f"{address}/x/y/a") as answer,
        ):
            found = answer.status, dict(answer.headers), await answer.read()
        await upstream.close()
        await server.cleanup()
        await provider.cleanup()
        return found

    return asyncio.run(run())


@pytest.mark.network
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_key_that_cannot_be_replaced_gets_the_providers_own_answer(refusal: str) -> None:
    error = SignInNeeded("The token of x/y was refused and cannot be renewed", code="token_rejected")
    status, headers, body = refused_by(refusal, error)
    assert (status, headers["X-Why"], body) == (401, "provider", REFUSALS[refusal][2])


@pytest.mark.network
@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        ("json", '{"message": "Bad credentials: …", "was": "…"}'),
        ("basic", "you sent … and that is wrong"),
        ("gzip", "Bad credentials"),
        ("broken", None),
        ("unknown", None),
        ("image", None),
        ("long", "x" * 4000),
        ("empty", ""),
    ],
)
def test_an_account_that_needs_its_person_says_so_and_what_the_provider_said(
    refusal: str, text: str | None
) -> None:
    status, headers, body = refused_by(refusal, SignInNeeded("The sign-in has ended"))
    problem = json.loads(body)
    assert (status, problem["code"]) == (401, "sign_in_needed")
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["provider"] == {"status": 401} | ({} if text is None else {"body": text})
    assert b"0123456789" not in body


@pytest.mark.network
def test_so_does_a_renewal_that_fails_for_now() -> None:
    status, _, body = refused_by("json", Transient("The provider is busy"))
    assert (status, json.loads(body)["provider"]["status"]) == (503, 401)
