"""Codex: the command that a model provider's token comes from; the API key in its auth.json; and its own
sign-in, which is shown and never used.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.ports import Span
from keyfob.tools import edits, hosts
from keyfob.tools.commands import command_of
from keyfob.tools.entries import KEY, READ_ONLY, Entry, Format, Place
from keyfob.tools.sdk import base_url
from keyfob.tools.setup import (
    GatewayAccess,
    GatewaySetup,
    Option,
    Reach,
    Setup,
    SetupPlan,
    SetupRequest,
    block_edit,
    one_account,
)
from keyfob.tools.text_places import json_object, json_strings
from keyfob.tools.tool import Tool

CHOICE = "codex (model provider)"  # of the block at the file's beginning, where tables have not begun


def plan(request: SetupRequest) -> SetupPlan:
    """The `auth` command of a model provider that is in Codex's config already."""
    account = one_account(request, "codex")
    name = request.options.get("model_provider")
    if not name:
        raise Usage(
            "Which model provider?", remedy="Add --model-provider NAME, with its name in Codex's config.toml."
        )
    path = Path(request.environment.get("CODEX_HOME") or request.home / ".codex") / "config.toml"
    provider = _model_provider(path, edits.without_block(request.read(path) or "", "codex"), name)
    if "auth" in provider or "env_key" in provider:
        raise SettingWrong(
            f"{path} says already where the token of {plain(name)} comes from",
            remedy="Remove its `auth` or `env_key`, then try again.",
        )
    scheme, host, _ = hosts.split(str(provider.get("base_url", "")))
    if not host or not hosts.is_safe(scheme, host):
        raise SettingWrong(f"The base_url of {plain(name)} in {path} is not an https address")
    warnings = []
    if host not in account.hosts:
        warnings.append(
            f"{plain(host)} is not a host of {account.id}. It would get the token of {account.id} and "
            "could act as you with it."
        )
    command, *arguments = [*shlex.split(command_of("keyfob")), "token", account.id]
    # JSON's strings and lists are TOML's.
    lines = [
        f"[model_providers.{json.dumps(name)}.auth]",
        f"command = {json.dumps(command)}",
        f"args = {json.dumps(arguments)}",
    ]
    return SetupPlan([block_edit(request, path, "codex", lines)], warnings=warnings)


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """A model provider at the gateway, whose key comes from a command, and the choice of it."""
    account = one_account(request, "codex", prefer="openai-api")
    name = request.options.get("model_provider") or "keyfob"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise Usage(f"{plain(name, 80)} is not a name of a model provider")
    path = Path(request.environment.get("CODEX_HOME") or request.home / ".codex") / "config.toml"
    rest = undo_gateway(request.read(path) or "", {})
    if name in edits.toml_table(rest, path, "model_providers"):
        raise SettingWrong(
            f"{path} already has a model provider {name}", remedy="Choose another name with --model-provider."
        )
    url, notes = base_url("openai", account, gateway)
    command, *arguments = [*shlex.split(command_of("keyfob")), "credential", "gateway", "codex"]
    lines = [
        f"[model_providers.{name}]",
        'name = "Keyfob"',
        f"base_url = {json.dumps(url)}",
        'wire_api = "responses"',
        f"[model_providers.{name}.auth]",
        f"command = {json.dumps(command)}",
        f"args = {json.dumps(arguments)}",
    ]
    made = block_edit(request, path, "codex", lines)
    chosen = tomllib.loads(rest).get("model_provider")
    if chosen is None:
        made = replace(made, after=edits.with_block_first(made.after, CHOICE, [f'model_provider = "{name}"']))
    else:
        notes.append(
            f"{path} chooses another model provider. For one run, type: codex -c model_provider={name}"
        )
    return SetupPlan([made], notes, reaches=[Reach(account.id)])


def undo_gateway(text: str, _: Mapping[str, str]) -> str:
    """Without our model provider and the choice of it."""
    return edits.without_block(edits.without_block(text, "codex"), CHOICE)


def _model_provider(path: Path, text: str, name: str) -> dict[str, Any]:
    found = edits.toml_table(text, path, "model_providers").get(name)
    if not isinstance(found, dict):
        raise SettingWrong(
            f"{path} has no model provider {plain(name)}",
            remedy=f"Add [model_providers.{plain(name)}] with its base_url, then try again.",
        )
    return found


def codex(text: str) -> Iterator[Entry]:
    """Codex's auth.json: an API key, or a ChatGPT sign-in whose refresh token rotates."""
    body = json_object(text)
    key = body.get("OPENAI_API_KEY")
    if isinstance(key, str) and key:
        spans = [
            Span(start, end) for path, _, start, end in json_strings(text) if path == ("OPENAI_API_KEY",)
        ]
        yield Entry(KEY, provider="openai-api", secret=Secret(key), spans=tuple(spans[-1:]))
    tokens = body.get("tokens")
    if isinstance(tokens, dict) and isinstance(tokens.get("refresh_token"), str) and tokens["refresh_token"]:
        yield Entry(
            READ_ONLY,
            provider="openai-codex",
            secret=Secret(tokens["refresh_token"]),
            reason="Codex renews this sign-in, and its refresh token changes each time. If Keyfob renewed "
            "it too, both would be signed out",
        )


def _recognized(_: str, body: Mapping[str, Any] | None) -> bool:
    return body is not None and ("OPENAI_API_KEY" in body or "tokens" in body)


TOOL = Tool(
    "codex",
    Setup(
        "Codex's token for a model provider",
        plan,
        options=(Option("model_provider", "NAME", "the provider's name in its config.toml."),),
        gateway=GatewaySetup(through_gateway, undo_gateway),
    ),
    formats=(
        Format("codex", "Codex", codex, _recognized, places=(Place(".codex/auth.json", "CODEX_HOME"),)),
    ),
)
