"""A server of the MCP SDK on loopback that wants a bearer token, and says where to get one (RFC 9728)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore
from pydantic import AnyHttpUrl

Seen = list[tuple[str, dict[str, str]]]
ScopesOf = Callable[[str, str], "list[str] | None"]


class _Events(EventStore):
    """What the streams sent, so that a client can go on after a cut."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        after = int(last_event_id)
        stream = self._sent[after - 1][0]
        for number, (of, message) in enumerate(self._sent[after:], after + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


@contextmanager
def mcp_server(
    issuer: str, scopes_of: ScopesOf, *, scopes: Sequence[str] = (), seen: Seen | None = None
) -> Iterator[str]:
    """Its address. `scopes_of` gets a token and the resource, and returns the token's scopes; None to refuse
    it. `scopes`: those that a token needs. `seen` gets the method and headers of each request. The tool
    `shout` returns a text in capitals, `count` reports five steps, a fifth of a second apart.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # a client may connect before the server's thread has begun
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"

        class Verifier:
            async def verify_token(self, token: str) -> AccessToken | None:
                found = scopes_of(token, url)
                if found is None:
                    return None
                return AccessToken(token=token, client_id="app", scopes=found, resource=url)

        server = MCPServer(
            "notes",
            token_verifier=Verifier(),
            auth=AuthSettings(
                issuer_url=AnyHttpUrl(issuer),
                resource_server_url=AnyHttpUrl(url),
                required_scopes=list(scopes),
                validate_token_resource=True,
            ),
        )

        @server.tool()
        def shout(text: str) -> str:
            """The text in capitals."""
            return text.upper()

        @server.tool()
        async def count(context: Context) -> str:
            """Five steps."""
            for number in range(5):
                await context.report_progress(number, 5)
                await asyncio.sleep(0.2)
            return "done"

        app = server.streamable_http_app(event_store=_Events())

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if seen is not None and scope["type"] == "http":
                headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
                seen.append((scope["method"], headers))
            await app(scope, receive, send)

        running = uvicorn.Server(uvicorn.Config(noting, log_config=None))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield url
        finally:
            running.should_exit = True
            thread.join(20)
