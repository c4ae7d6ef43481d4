"""A gateway on a thread, over an engine of a test's and a database file."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from aiohttp import web

from keyfob.engine import Engine
from keyfob.gateway.admin.server import PREFIX, Administration
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.engine_secret import EngineSecret
from keyfob.gateway.proxy.own import OwnAddress
from keyfob.gateway.proxy.server import Gateway


class GatewayServer:
    """Start with `with`. `engines`: by tenant; None is the server's own."""

    def __init__(self, folder: Path, engines: dict[str | None, Engine]) -> None:
        self.sessions = open_database(f"sqlite:///{folder / 'server.db'}")
        self._engines, self._folder = engines, folder
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self.url = ""

    def __enter__(self) -> GatewayServer:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        close_database(self.sessions)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        provider = DatabaseAPIKeyAuth(self.sessions)
        administration = Administration(self.sessions, self._engines.get)
        gateway = Gateway(
            lambda tenant: self._engines[tenant].signer,
            provider,
            self.sessions,
            None,
            EngineSecret(self._folder / "engine.env"),
            lambda _: [OwnAddress(PREFIX, administration.handle)],
        )
        runner = web.AppRunner(gateway.app(), auto_decompress=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        await asyncio.to_thread(provider.close)

    def key(self, user: str, tenant: str | None = None, *, admin: bool = False) -> str:
        """A new key."""
        with self.sessions.begin() as session:
            return DatabaseAPIKeyAuth.create_key(session, user, user, tenant, admin)[1]


class Client:
    """One caller of a server's administration."""

    def __init__(self, server: GatewayServer, key: str) -> None:
        self.server, self.key = server, key

    def send(self, method: str, path: str, body: Any = None, **words: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **words.pop("headers", {})}
        if body is not None:
            words["content"] = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        url = f"{self.server.url}/v1/admin/{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=30, **words)

    def get(self, path: str, **query: Any) -> Any:
        """The document. Asserts that it was given."""
        answer = self.send("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        """The document. Asserts that it was done."""
        answer = self.send("POST", path, body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()
