"""MCP clients: `headersHelper` of a server in the client's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.tools import edits, hosts
from keyfob.tools.commands import command_of
from keyfob.tools.setup import (
    FILE,
    GatewayAccess,
    GatewaySetup,
    Option,
    Reach,
    Setup,
    SetupPlan,
    SetupRequest,
    json_edit,
    one_account,
    refuse_other,
)
from keyfob.tools.tool import Tool

GATEWAY_HELPER = "keyfob credential gateway mcp"


def plan(request: SetupRequest) -> SetupPlan:
    """`headersHelper` of a server in an MCP client's JSON."""
    account = one_account(request, "mcp")
    path = Path(request.options.get("file") or request.here / ".mcp.json")
    name = request.options.get("server")
    if not name:
        raise Usage("Which server?", remedy="Add --server NAME, with its name in the file.")
    command = f"{command_of('keyfob')} credential headers {account.id}"
    url = ""

    def change(body: dict[str, Any]) -> None:
        nonlocal url
        server = (body.get("mcpServers") or {}).get(name)
        if not isinstance(server, dict) or not isinstance(server.get("url"), str):
            raise NotFound(
                f"{path} has no server {name} with an address",
                code="account_not_found",
                remedy="Add the server first, then try again.",
            )
        url = server["url"]
        refuse_other(path, "headersHelper", server.get("headersHelper"), command)
        server["headersHelper"] = command

    made = json_edit(request, path, change)
    scheme, host, _ = hosts.split(url)
    if not host or not hosts.is_safe(scheme, host):
        raise SettingWrong(f"{plain(url)} is not encrypted", code="endpoint_unsafe")
    warnings = []
    if host not in account.hosts:
        warnings.append(
            f"{plain(host)} is not a host of {account.id}. It would get the token of {account.id} and "
            "could act as you with it."
        )
    return SetupPlan([made], warnings=warnings)


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """A server at the gateway's address: a new entry of the client's JSON."""
    account = one_account(request, "mcp")
    path = Path(request.options.get("file") or request.here / ".mcp.json")
    name = request.options.get("server") or account.provider
    entry = {
        "type": "http",
        "url": gateway.url(account),
        "headersHelper": f"{command_of('keyfob')} credential gateway mcp headers",
    }

    def change(body: dict[str, Any]) -> None:
        servers = body.setdefault("mcpServers", {})
        if name in servers and GATEWAY_HELPER not in str(servers[name]):
            raise SettingWrong(
                f"{path} already has a server {plain(name)}", remedy="Choose another name with --server."
            )
        servers[name] = entry

    return SetupPlan([json_edit(request, path, change)], reaches=[Reach(account.id)])


def undo_gateway(text: str, _: Mapping[str, str]) -> str:
    """Without the servers at the gateway."""

    def change(body: dict[str, Any]) -> None:
        servers = body.get("mcpServers", {})
        for name in [each for each, server in servers.items() if GATEWAY_HELPER in str(server)]:
            del servers[name]

    return edits.with_json(text, change, ".mcp.json")


def undo(text: str, _: Mapping[str, str]) -> str:
    """Without the helper of each server, if it is Keyfob."""

    def change(body: dict[str, Any]) -> None:
        for server in body.get("mcpServers", {}).values():
            if "keyfob credential headers" in str(server.get("headersHelper")):
                del server["headersHelper"]

    return edits.with_json(text, change, ".mcp.json")


TOOL = Tool(
    "mcp",
    Setup(
        "the headers of a server in an MCP client",
        plan,
        undo,
        options=(
            FILE,
            Option("server", "NAME", "the server's name in it."),
        ),
        programs=(),
        gateway=GatewaySetup(through_gateway, undo_gateway, adds=True),
    ),
)
