"""AWS tools: a profile with `credential_process`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import Error as ConfigError
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path

from keyfob.core.errors import SettingWrong, Usage
from keyfob.tools import edits
from keyfob.tools.commands import command_of
from keyfob.tools.setup import Option, Setup, SetupPlan, SetupRequest, block_edit, one_account
from keyfob.tools.tool import Tool

# Settings of a profile that make AWS tools find keys there.
KEY_SETTINGS = (
    "aws_access_key_id",
    "credential_process",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "login_session",
)
WORD = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)  # IAM's alphabet of names


def plan(request: SetupRequest) -> SetupPlan:
    """A profile with `credential_process`."""
    account = one_account(request, "aws")
    path = Path(request.environment.get("AWS_CONFIG_FILE") or request.home / ".aws" / "config")
    profile = request.options.get("profile") or account.label
    head = "[default]" if profile == "default" else f"[profile {profile}]"
    if head in edits.without_block(request.read(path) or "", "aws").split("\n"):
        raise SettingWrong(f"{path} already has a profile {profile}", remedy="Choose another with --profile.")
    choice = "".join(f" {option} {_checked(option, value)}" for option, value in _choice(request))
    lines = [head, f"credential_process = {command_of('keyfob')} credential aws {account.id}{choice}"]
    return SetupPlan([block_edit(request, path, "aws", lines)], [f"Use it with: aws --profile {profile} …"])


def default_profile(environment: Mapping[str, str]) -> Path | None:
    """The file of AWS tools whose default profile has keys; None if there is none."""
    home = Path.home() / ".aws"
    files = (
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"),
        Path(environment.get("AWS_CONFIG_FILE") or home / "config"),
    )
    for file in files:
        parser = RawConfigParser(strict=False)
        with suppress(OSError, ValueError, ConfigError):
            parser.read_string(file.expanduser().read_text("utf-8"))
            if any(parser.has_option("default", name) for name in KEY_SETTINGS):
                return file
    return None


def _choice(request: SetupRequest) -> list[tuple[str, str]]:
    """The options that choose a role of an AWS IAM Identity Center account, as `keyfob credential aws` takes
    them.
    """
    given = (("--account-id", request.options.get("account_id")), ("--role", request.options.get("role")))
    return [(option, value) for option, value in given if value]


def _checked(option: str, value: str) -> str:
    if not WORD.fullmatch(value):
        raise Usage(
            f"{value!r} is not a value of {option}", remedy="Copy it from `keyfob credential aws-roles`."
        )
    return value


TOOL = Tool(
    "aws",
    Setup(
        "a profile for AWS tools",
        plan,
        options=(
            Option("profile", "NAME", "the profile. Default: the account's label."),
            Option("account_id", "N", "the AWS account of the role, for IAM Identity Center."),
            Option("role", "NAME", "the role to take, for IAM Identity Center."),
        ),
    ),
)
