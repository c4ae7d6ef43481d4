"""AWS tools: a profile with `credential_process`."""

from __future__ import annotations

from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.tools import edits
from keyfob.tools.commands import command_of
from keyfob.tools.setup import Option, Setup, SetupPlan, SetupRequest, block_edit, one_account
from keyfob.tools.tool import Tool


def plan(request: SetupRequest) -> SetupPlan:
    """A profile with `credential_process`."""
    account = one_account(request, "aws")
    path = Path(request.environment.get("AWS_CONFIG_FILE") or request.home / ".aws" / "config")
    profile = request.options.get("profile") or account.label
    head = "[default]" if profile == "default" else f"[profile {profile}]"
    if head in edits.without_block(request.read(path) or "", "aws").split("\n"):
        raise SettingWrong(f"{path} already has a profile {profile}", remedy="Choose another with --profile.")
    lines = [head, f"credential_process = {command_of('keyfob')} credential aws {account.id}"]
    return SetupPlan([block_edit(request, path, "aws", lines)], [f"Use it with: aws --profile {profile} …"])


TOOL = Tool(
    "aws",
    Setup(
        "a profile for AWS tools",
        plan,
        options=(Option("profile", "NAME", "the profile. Default: the account's label."),),
    ),
)
