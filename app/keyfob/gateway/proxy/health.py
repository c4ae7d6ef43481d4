"""How the server stands: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.decisions import ActiveGrants
from keyfob.gateway.proxy.own import Handler

# Where clients look for an authorization server and, if it does not say more, for its parts (the MCP
# authorization of 2025-03-26).
NOTHING_HERE: Final = ("/.well-known/", "/register", "/authorize", "/token")


async def alive(_request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def nothing_here(_request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
    """For clients that look for an authorization server: callers do not sign in here."""
    return problems.not_found()


def ready(active: ActiveGrants, is_stopping: Callable[[], bool]) -> Handler:
    """Whether requests can be served now. The handler raises Transient if the database cannot be reached."""

    async def handler(_request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        if is_stopping():
            return problems.problem(503, "stopping", "The gateway is stopping")
        await active.now()
        return web.json_response({"status": "ready"})

    return handler


def metrics(registry: CollectorRegistry) -> Handler:
    """For Prometheus."""

    async def handler(_request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        return web.Response(body=generate_latest(registry), content_type="text/plain")

    return handler
