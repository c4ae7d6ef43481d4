"""pip: `keyring-provider = subprocess`, and a `keyring` command that asks Keyfob."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.gateway_address import TOOL_USER
from keyfob.core.text import plain
from keyfob.process.own_process import find_program
from keyfob.tools import edits
from keyfob.tools.commands import path_of
from keyfob.tools.edits import Change
from keyfob.tools.setup import (
    REGISTRY,
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
from keyfob.tools.tool import Tool

MARK = "Placed by `keyfob wire pip`"
FALLBACK = "-m keyring"
KEYRING_SCRIPT = "from keyring.cli import main"  # in the command that installers write for the package


def plan(request: SetupRequest) -> SetupPlan:
    """`keyring-provider = subprocess`, and a `keyring` command that asks Keyfob, as pip looks for one by that
    name.
    """
    host = next(iter(account.hosts[0] for account in request.accounts if account.hosts), "gitlab.com")
    found = SetupPlan(_changes(request, {"keyring-provider": "subprocess"}))
    if request.accounts:
        label = request.accounts[0].label
        found.notes.append(f"Add the account's label to the index address: https://{label}@{host}/…/simple")
    return found


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """The index at the gateway. The `keyring` command gives pip its key there. pip asks for one only if the
    address has a username.
    """
    account = one_account(request, "pip")
    index = request.options.get("registry")
    if index is None:
        raise Usage(f"Which index of {account.id}?", remedy="Add --registry https://…/simple")
    parts = urlsplit(index)
    host = parts.netloc.rpartition("@")[2].lower()
    if host not in account.hosts:
        raise SettingWrong(f"{plain(index)} is not at a host of {account.id}", code="host_not_allowed")
    scheme, _, rest = gateway.url(account, host).partition("://")
    url = f"{scheme}://{TOOL_USER}@{rest}{parts.path.rstrip('/')}/"
    changes = _changes(request, {"keyring-provider": "subprocess", "index-url": url})
    return SetupPlan(changes, reaches=[Reach(account.id, host)])


def _changes(request: SetupRequest, settings: Mapping[str, str]) -> list[Change]:
    """The `keyring` command, and these settings in pip's own file."""
    environment = request.environment
    own = path_of("keyfob-keyring", environment)
    folder = Path(request.options.get("shim_dir") or own.parent)
    shim = folder / "keyring"
    before = request.read(shim)
    # `pip install` put it there for the library that Keyfob uses. It goes on doing all that we do not.
    libraries = (
        folder == own.parent and before is not None and (KEYRING_SCRIPT in before or FALLBACK in before)
    )
    text = _shim(own, python=own.with_name("python") if libraries else None)
    if before is not None and MARK not in before and not libraries:
        raise SettingWrong(f"{shim} is another program", remedy="Choose another folder with --shim-dir.")
    _check_order(folder, environment.get("PATH") or "")
    config = Path(
        environment.get("PIP_CONFIG_FILE")
        or Path(environment.get("XDG_CONFIG_HOME") or request.home / ".config") / "pip" / "pip.conf"
    )
    rest = edits.without_block(request.read(config) or "", "pip").split("\n")
    changes = [Change(shim, before, text, mode=0o755)]
    lines = []
    for name, value in settings.items():
        there = [line for line in rest if line.split("=")[0].strip().replace("_", "-") == name]
        if not there:
            lines.append(f"{name} = {value}")
        elif there[0].partition("=")[2].strip() != value:
            raise SettingWrong(
                f"{config} says {plain(there[0].strip())}", remedy="Remove that line, then try again."
            )
    if lines:
        changes.append(
            block_edit(request, config, "pip", lines, after="[global]")
            if "[global]" in rest
            else block_edit(request, config, "pip", ["[global]", *lines])
        )
    return changes


def _shim(own: Path, python: Path | None = None) -> str:
    """The `keyring` command. `python`: that of the keyring package, for what Keyfob does not answer."""
    if python is None:
        lines = [f'exec {shlex.quote(str(own))} "$@"']
    else:
        lines = [
            f'case " $* " in *" get "*) {shlex.quote(str(own))} "$@" && exit 0 ;; esac',
            f'exec {shlex.quote(str(python))} {FALLBACK} "$@"',
        ]
    return "\n".join(["#!/bin/sh", f"# {MARK}; `keyfob unwire pip` removes it.", *lines, ""])


def _check_order(folder: Path, path: str) -> None:
    """Raises SettingWrong if pip would find another `keyring` first, or none."""
    folders = [Path(each) for each in path.split(os.pathsep) if each]
    if folder not in folders:
        raise SettingWrong(f"{folder} is not on the PATH, so pip cannot find keyring there")
    found = find_program("keyring", path)
    if found is not None and folders.index(Path(found).parent) < folders.index(folder):
        raise SettingWrong(
            f"Another keyring command at {found} comes first on the PATH, so pip would use it",
            remedy="Choose a folder that comes earlier on the PATH: --shim-dir DIR.",
        )


TOOL = Tool(
    "pip",
    Setup(
        "package indexes that need a password",
        plan,
        options=(REGISTRY, Option("shim_dir", "DIR", "where to put the `keyring` command.")),
        helper=None,
        gateway=GatewaySetup(through_gateway),
    ),
)
