"""pip: `keyring-provider = subprocess`, and a `keyring` command that asks Keyfob."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.process.own_process import find_program
from keyfob.tools import edits
from keyfob.tools.commands import path_of
from keyfob.tools.edits import Change
from keyfob.tools.setup import Option, Setup, SetupPlan, SetupRequest, block_edit
from keyfob.tools.tool import Tool

MARK = "Placed by `keyfob wire pip`"
FALLBACK = "-m keyring"
KEYRING_SCRIPT = "from keyring.cli import main"  # in the command that installers write for the package


def plan(request: SetupRequest) -> SetupPlan:
    """`keyring-provider = subprocess`, and a `keyring` command that asks Keyfob, as pip looks for one by that
    name.
    """
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
    named = [line for line in rest if line.split("=")[0].strip() in ("keyring-provider", "keyring_provider")]
    changes = [Change(shim, before, text, mode=0o755)]
    if not named:
        lines = ["keyring-provider = subprocess"]
        changes.append(
            block_edit(request, config, "pip", lines, after="[global]")
            if "[global]" in rest
            else block_edit(request, config, "pip", ["[global]", *lines])
        )
    elif named[0].partition("=")[2].strip() != "subprocess":
        raise SettingWrong(f"{config} says {named[0].strip()}", remedy="Remove that line, then try again.")
    host = next(iter(account.hosts[0] for account in request.accounts if account.hosts), "gitlab.com")
    note = (
        f"Add the account's label to the index address: https://{request.accounts[0].label}@{host}/…/simple"
    )
    return SetupPlan(changes, [note] if request.accounts else [])


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
        options=(Option("shim_dir", "DIR", "where to put the `keyring` command."),),
        helper=None,
    ),
)
