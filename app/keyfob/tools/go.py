"""Go: `GOAUTH`, the commands that the go command asks for credentials (Go 1.24 and newer)."""

from __future__ import annotations

import sys
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.tools import edits
from keyfob.tools.commands import command_of
from keyfob.tools.setup import Setup, SetupPlan, SetupRequest, block_edit, one_account
from keyfob.tools.tool import Tool

DEFAULT = "netrc"  # what Go asks if GOAUTH is not set


def plan(request: SetupRequest) -> SetupPlan:
    """`GOAUTH` in the file of `go env -w`. Go asks for the .netrc file first, as before."""
    account = one_account(request, "go")
    path = _file(request)
    rest = edits.without_block(request.read(path) or "", "go").split("\n")
    if any(line.partition("=")[0].strip() == "GOAUTH" for line in rest):
        raise SettingWrong(
            f"{path} sets GOAUTH already", remedy="Remove it with `go env -u GOAUTH`, then try again."
        )
    if request.environment.get("GOAUTH"):
        raise SettingWrong(
            "The environment variable GOAUTH is set, and Go would not read the file",
            remedy="Remove the variable, then try again.",
        )
    line = f"GOAUTH={DEFAULT}; {command_of('keyfob')} credential go {account.id}"
    notes = [
        "Go sends credentials to https addresses only. Name your private modules, so that Go does not ask "
        "the public proxy for them: go env -w GOPRIVATE=HOST/*"
    ]
    return SetupPlan([block_edit(request, path, "go", [line])], notes)


def _file(request: SetupRequest) -> Path:
    """As `go env GOENV` says it."""
    own = request.environment.get("GOENV")
    if own == "off":
        raise SettingWrong("The environment variable GOENV is off, so Go reads no settings file")
    if own:
        return Path(own)
    if sys.platform == "darwin":
        return request.home / "Library" / "Application Support" / "go" / "env"
    if sys.platform == "win32":
        return Path(request.environment.get("APPDATA") or request.home / "AppData/Roaming") / "go" / "env"
    return Path(request.environment.get("XDG_CONFIG_HOME") or request.home / ".config") / "go" / "env"


TOOL = Tool("go", Setup("private Go modules", plan))
