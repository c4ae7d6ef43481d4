"""What the gateway's requests to providers carry, besides the account's credentials: nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

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
