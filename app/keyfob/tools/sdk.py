"""SDKs and scripts that read a base URL and a key from variables: OpenAI's, Anthropic's, and any other.

They use accounts through the gateway. The variables are printed, or written to an environment file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from keyfob.core.account import AccountView
from keyfob.tools import hosts
from keyfob.tools.setup import (
    FILE,
    GatewayAccess,
    GatewaySetup,
    Reach,
    Setup,
    SetupPlan,
    SetupRequest,
    block_edit,
    one_account,
)
from keyfob.tools.tool import Tool


def base_url(sdk: str, account: AccountView, gateway: GatewayAccess) -> tuple[str, list[str]]:
    """The base URL of `openai` or `anthropic` for this account, with notes for the user."""
    entry = hosts.table("sdk")[sdk]
    if account.provider in entry["providers"]:
        return gateway.url(account), []
    note = (
        f"If the gateway has a model table, add this account's models: keyfob models add MODEL {account.id}"
    )
    return gateway.base + str(entry["path"]), [note]


def variables_of(provider: str) -> tuple[str, str]:
    """The variables for a provider's base URL and key: `GITHUB_BASE_URL`, `GITHUB_API_KEY`. The SDKs of
    OpenAI and Anthropic read theirs by these names.
    """
    name = re.sub(r"[^A-Z0-9]+", "_", provider.removesuffix("-api").upper())
    return f"{name}_BASE_URL", f"{name}_API_KEY"


def _openai(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    return _of_sdk("openai", request, gateway)


def _anthropic(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    return _of_sdk("anthropic", request, gateway)


def _of_sdk(sdk: str, request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    entry: dict[str, Any] = hosts.table("sdk")[sdk]
    prefer = entry["providers"][0]
    account = one_account(request, sdk, prefer=prefer)
    url, notes = base_url(sdk, account, gateway)
    found = _written(request, sdk, {entry["base_url"]: url, entry["key"]: gateway.key_text()})
    found.notes.extend(notes)
    found.reaches.append(Reach(account.id))
    return found


def _environment(request: SetupRequest, gateway: GatewayAccess) -> SetupPlan:
    """`GITHUB_BASE_URL` and `GITHUB_API_KEY`, for each account."""
    accounts = request.accounts if request.named else [one_account(request, "env")]
    variables: dict[str, str] = {}
    for account in accounts:
        base, key = variables_of(account.provider)
        variables |= {base: gateway.url(account), key: gateway.key_text()}
    found = _written(request, "env", variables)
    found.reaches.extend(Reach(account.id) for account in accounts)
    return found


def _written(request: SetupRequest, tool: str, variables: dict[str, str]) -> SetupPlan:
    """Lines of a file if one is named, else to be printed."""
    file = request.options.get("file")
    if file is None:
        return SetupPlan(variables=variables)
    lines = [f"{name}={value}" for name, value in variables.items()]
    path = request.here / Path(file).expanduser()
    return SetupPlan([block_edit(request, path, tool, lines, private=True)])


def _shown(request: SetupRequest) -> SetupPlan:
    """What to type for a command that gets a token itself."""
    ref = request.accounts[0].id if request.accounts else "ACCOUNT"
    return SetupPlan(
        notes=[
            f"To give one command a token, type: keyfob exec {ref} -- COMMAND",
            "To give it a base URL and a key of the gateway instead, add --through-gateway.",
        ]
    )


def _tool(name: str, gateway: GatewaySetup) -> Tool:
    summary = {
        "openai": "variables for OpenAI's SDK",
        "anthropic": "variables for Anthropic's SDK",
        "env": "variables for any program",
    }[name]
    return Tool(name, Setup(summary, _shown, options=(FILE,), programs=(), gateway=gateway))


OPENAI = _tool("openai", GatewaySetup(_openai))
ANTHROPIC = _tool("anthropic", GatewaySetup(_anthropic))
ENVIRONMENT = _tool("env", GatewaySetup(_environment, adds=True))
