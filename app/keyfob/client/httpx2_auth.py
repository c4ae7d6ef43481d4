"""`keyfob.Httpx2Auth`: an account's credentials on each request of httpx2, which the MCP SDK uses."""

from __future__ import annotations

import httpx2

from keyfob.client.httpx_flows import HttpxFlows


class Httpx2Auth(HttpxFlows[httpx2.Request, httpx2.Response], httpx2.Auth):
    """As `keyfob.Auth`, for httpx2.

    http = httpx2.AsyncClient(auth=keyfob.Httpx2Auth("work/alice"))
    streamable_http_client("https://api.example.com/mcp", http_client=http)  # of the MCP SDK
    """

    address = httpx2.URL
    repeatable = httpx2.ByteStream
