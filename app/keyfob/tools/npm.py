"""npm: a registry's token, by the name of a variable that `keyfob exec` sets."""

from __future__ import annotations

from pathlib import Path

from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.tools import edits, hosts
from keyfob.tools.commands import variable_of
from keyfob.tools.setup import REGISTRY, Setup, SetupPlan, SetupRequest, block_edit, one_account
from keyfob.tools.tool import Tool


def plan(request: SetupRequest) -> SetupPlan:
    """A registry's token, by the name of a variable that `keyfob exec` sets."""
    account = one_account(request, "npm")
    registry = request.options.get("registry")
    if registry is None:
        entry = hosts.entry(account.provider, "npm")
        if entry is None:
            raise Usage(f"Which registry of {account.id}?", remedy="Add --registry https://…")
        registry = str(entry["registry"]).replace("{host}", account.hosts[0] if account.hosts else "")
    elif hosts.split(registry)[1] not in account.hosts:
        raise SettingWrong(f"{plain(registry)} is not at a host of {account.id}", code="host_not_allowed")
    path = Path(
        request.environment.get("NPM_CONFIG_USERCONFIG")
        or request.environment.get("npm_config_userconfig")
        or request.home / ".npmrc"
    )
    key = f"//{registry.partition('://')[2].rstrip('/')}/:_authToken"
    rest = edits.without_block(request.read(path) or "", "npm").split("\n")
    if any(line.split("=")[0].strip() == key for line in rest):
        raise SettingWrong(
            f"{path} has a token for {registry} already",
            remedy="Move it with `keyfob connect`, remove its line, and try again.",
        )
    variable = variable_of(account.provider)
    note = f"Run npm so that it gets the token: keyfob exec {account.id} -- npm install"
    return SetupPlan([block_edit(request, path, "npm", [f"{key}=${{{variable}}}"])], [note])


TOOL = Tool(
    "npm",
    Setup(
        "a registry's token, in a variable",
        plan,
        options=(REGISTRY,),
    ),
)
