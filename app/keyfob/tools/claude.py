"""Claude Code: `apiKeyHelper` in its settings, and its own sign-in, which is shown and never used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.tools import edits
from keyfob.tools.commands import command_of
from keyfob.tools.entries import READ_ONLY, Entry, Format, Place
from keyfob.tools.sdk import base_url
from keyfob.tools.setup import (
    GatewayAccess,
    GatewaySetup,
    Reach,
    Setup,
    SetupPlan,
    SetupRequest,
    json_edit,
    one_account,
    refuse_other,
)
from keyfob.tools.text_places import json_object
from keyfob.tools.tool import Tool

BASE_URL = "ANTHROPIC_BASE_URL"


def plan(request: SetupRequest) -> SetupPlan:
    """`apiKeyHelper` in Claude Code's settings."""
    account = one_account(request, "claude", prefer="anthropic")
    folder = Path(request.environment.get("CLAUDE_CONFIG_DIR") or request.home / ".claude")
    command = f"{command_of('keyfob')} token {account.id}"

    def change(body: dict[str, Any]) -> None:
        refuse_other(folder / "settings.json", "apiKeyHelper", body.get("apiKeyHelper"), command)
        body["apiKeyHelper"] = command

    return SetupPlan([json_edit(request, folder / "settings.json", change)])


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """The base URL, and `apiKeyHelper` for the key."""
    account = one_account(request, "claude", prefer="anthropic")
    folder = Path(request.environment.get("CLAUDE_CONFIG_DIR") or request.home / ".claude")
    path, command = folder / "settings.json", f"{command_of('keyfob')} credential gateway claude"
    url, notes = base_url("anthropic", account, gateway)

    def change(body: dict[str, Any]) -> None:
        refuse_other(path, "apiKeyHelper", body.get("apiKeyHelper"), command)
        body["apiKeyHelper"] = command
        env = body.setdefault("env", {})
        there = env.get(BASE_URL)
        if there is not None and not str(there).startswith(gateway.base):
            raise SettingWrong(f"{path} already has another {BASE_URL}", remedy="Remove it, then try again.")
        env[BASE_URL] = url

    made = json_edit(request, path, change)
    return SetupPlan([made], notes, remembered={"base_url": url}, reaches=[Reach(account.id)])


def undo_gateway(text: str, remembered: Mapping[str, str]) -> str:
    """Without our base URL and helper."""

    def change(body: dict[str, Any]) -> None:
        if "keyfob" in str(body.get("apiKeyHelper")):
            del body["apiKeyHelper"]
        env = body.get("env")
        if isinstance(env, dict) and env.get(BASE_URL) == remembered.get("base_url"):
            env.pop(BASE_URL, None)
            if not env:
                del body["env"]

    return edits.with_json(text, change, "settings.json")


def undo(text: str, _: Mapping[str, str]) -> str:
    """Without the helper, if it is Keyfob."""

    def change(body: dict[str, Any]) -> None:
        if " token " in str(body.get("apiKeyHelper")) and "keyfob" in str(body.get("apiKeyHelper")):
            del body["apiKeyHelper"]

    return edits.with_json(text, change, "settings.json")


def credentials(text: str) -> Iterator[Entry]:
    """Claude Code's .credentials.json."""
    found = json_object(text).get("claudeAiOauth")
    if isinstance(found, dict) and isinstance(found.get("refreshToken"), str) and found["refreshToken"]:
        yield Entry(
            READ_ONLY,
            provider="claude",
            secret=Secret(found["refreshToken"]),
            reason="Claude Code renews this sign-in, and its refresh token changes each time. If Keyfob "
            "renewed it too, both would be signed out",
        )


TOOL = Tool(
    "claude",
    Setup("Claude Code's API key", plan, undo, gateway=GatewaySetup(through_gateway, undo_gateway)),
    (
        Format(
            "claude",
            "Claude Code",
            credentials,
            lambda _, body: body is not None and "claudeAiOauth" in body,
            places=(Place(".claude/.credentials.json", "CLAUDE_CONFIG_DIR"),),
        ),
    ),
)
