"""A server of the MCP SDK on loopback that wants a bearer token, and says where to get one (RFC 9728)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl

ScopesOf = Callable[[str, str], "list[str] | None"]


@contextmanager
def mcp_server(issuer: str, scopes_of: ScopesOf, *, scopes: Sequence[str] = ()) -> Iterator[str]:
    """Its address. `scopes_of` gets a token and the resource, and returns the token's scopes; None to refuse
    it. `scopes`: those that a token needs. The tool `shout` returns a text in capitals.
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

        running = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_config=None))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield url
        finally:
            running.should_exit = True
            thread.join(20)
