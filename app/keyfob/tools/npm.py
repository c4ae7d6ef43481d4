"""npm: a registry's token, by the name of a variable that `keyfob exec` sets, or for the gateway a key."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.tools import edits, hosts
from keyfob.tools.commands import variable_of
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


def plan(request: SetupRequest) -> SetupPlan:
    """A registry's token, by the name of a variable that `keyfob exec` sets."""
    account = one_account(request, "npm")
    registry = _registry(request, account)
    path = _file(request)
    key = f"//{registry.partition('://')[2].rstrip('/')}/:_authToken"
    _refuse_lines(
        request, path, key, f"a token for {registry}", "Move it with `keyfob connect`, remove its line"
    )
    variable = variable_of(account.provider)
    note = f"Run npm so that it gets the token: keyfob exec {account.id} -- npm install"
    return SetupPlan([block_edit(request, path, "npm", [f"{key}=${{{variable}}}"])], [note])


def through_gateway(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """The registry at the gateway, and npm's key for it: npm cannot ask a program."""
    account = one_account(request, "npm")
    parts = urlsplit(_registry(request, account))
    path, scope = _file(request), request.options.get("scope")
    if scope and not re.fullmatch(r"@[a-z0-9~-][a-z0-9._~-]*", scope):
        raise Usage(f"{plain(scope, 80)} is not a scope", remedy="Write it as in a package's name: @acme.")
    name = f"{scope}:registry" if scope else "registry"
    _refuse_lines(request, path, name, f"another {name}", "Remove its line, or choose packages with --scope")
    url = f"{gateway.url(account, parts.netloc.lower())}{parts.path.rstrip('/')}/"
    lines = [f"{name}={url}", f"//{url.partition('://')[2]}:_authToken={gateway.key_text()}"]
    change = block_edit(request, path, "npm", lines, private=True)
    return SetupPlan([change], reaches=[Reach(account.id, parts.netloc.lower())])


def _registry(request: SetupRequest, account: AccountView) -> str:
    registry = request.options.get("registry")
    if registry is None:
        entry = hosts.entry(account.provider, "npm")
        if entry is None:
            raise Usage(f"Which registry of {account.id}?", remedy="Add --registry https://…")
        return str(entry["registry"]).replace("{host}", account.hosts[0] if account.hosts else "")
    if hosts.split(registry)[1] not in account.hosts:
        raise SettingWrong(f"{plain(registry)} is not at a host of {account.id}", code="host_not_allowed")
    return registry


def _file(request: SetupRequest) -> Path:
    return Path(
        request.environment.get("NPM_CONFIG_USERCONFIG")
        or request.environment.get("npm_config_userconfig")
        or request.home / ".npmrc"
    )


def _refuse_lines(request: SetupRequest, path: Path, key: str, what: str, do: str) -> None:
    rest = edits.without_block(request.read(path) or "", "npm").split("\n")
    if any(line.split("=")[0].strip() == key for line in rest):
        raise SettingWrong(f"{path} has {what} already", remedy=f"{do}, and try again.")


TOOL = Tool(
    "npm",
    Setup(
        "a registry's token, in a variable",
        plan,
        options=(REGISTRY, Option("scope", "@NAME", "only packages of this scope, through the gateway.")),
        gateway=GatewaySetup(through_gateway),
    ),
)
