"""Cargo: a registry's `credential-provider`, which runs Keyfob and reads the token from its output."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.tools import edits, hosts
from keyfob.tools.commands import command_of
from keyfob.tools.setup import REGISTRY, Option, Setup, SetupPlan, SetupRequest, block_edit, one_account
from keyfob.tools.tool import Tool


def plan(request: SetupRequest) -> SetupPlan:
    """`credential-provider` of a registry that is in Cargo's config already."""
    account = one_account(request, "cargo")
    path = Path(request.environment.get("CARGO_HOME") or request.home / ".cargo") / "config.toml"
    name = request.options.get("registry")
    if not name:
        raise Usage("Which registry?", remedy="Add --registry NAME, with its name in Cargo's config.toml.")
    rest = edits.without_block(request.read(path) or "", "cargo")
    registry = _registry(path, rest, name)
    scheme, host, _ = hosts.split(str(registry.get("index", "")).removeprefix("sparse+"))
    if not host or not hosts.is_safe(scheme, host):
        raise SettingWrong(f"The index of {plain(name)} in {path} is not an https address")
    if host not in account.hosts:
        raise SettingWrong(f"{plain(host)} is not a host of {account.id}", code="host_not_allowed")
    if "credential-provider" in registry:
        raise SettingWrong(
            f"{path} has another credential-provider for {plain(name)}", remedy="Remove it, then try again."
        )
    command = [*shlex.split(command_of("keyfob")), "credential", "cargo", account.id]
    if "scheme" in request.options:
        command += ["--scheme", request.options["scheme"]]
    # JSON's strings and lists are TOML's.
    line = f"credential-provider = {json.dumps(['cargo:token-from-stdout', *command])}"
    header = _header(rest, name)
    if header is None:
        raise SettingWrong(
            f"{path} has no separate table for {plain(name)}",
            remedy=f"Write it as [registries.{name}], with the index on the next line, then try again.",
        )
    return SetupPlan([block_edit(request, path, "cargo", [line], after=header)])


def _registry(path: Path, text: str, name: str) -> dict[str, Any]:
    found = edits.toml_table(text, path, "registries").get(name)
    if not isinstance(found, dict):
        raise SettingWrong(
            f"{path} has no registry {plain(name)}",
            remedy="Add it there with its index, then try again.",
        )
    return found


def _header(text: str, name: str) -> str | None:
    """The line that begins the registry's table."""
    wanted = {f"[registries.{name}]", f'[registries."{name}"]'}
    return next((line for line in text.split("\n") if line.strip() in wanted), None)


TOOL = Tool(
    "cargo",
    Setup(
        "a registry of Rust crates",
        plan,
        options=(REGISTRY, Option("scheme", "WORD", "what comes before the token, such as Bearer.")),
    ),
)
