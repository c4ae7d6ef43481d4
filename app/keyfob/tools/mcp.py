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
    Option,
    Setup,
    SetupPlan,
    SetupRequest,
    json_edit,
    one_account,
    refuse_other,
)
from keyfob.tools.tool import Tool


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
    ),
)
