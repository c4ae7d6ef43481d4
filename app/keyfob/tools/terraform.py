"""Terraform and OpenTofu: a credentials helper for the hosts of connected accounts.

Both look for the helper's program by its name in their plugins folder, and run it for a host that their own
files have no token for.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.core.text import plain
from keyfob.tools import edits
from keyfob.tools.commands import path_of
from keyfob.tools.edits import Change
from keyfob.tools.setup import Setup, SetupPlan, SetupRequest, block_edit
from keyfob.tools.tool import Tool

MARK = "Placed by `keyfob wire terraform`"
_HELPER = re.compile(r'(?m)^\s*credentials_helper\s+"([^"]*)"')


def plan(request: SetupRequest) -> SetupPlan:
    """`credentials_helper "keyfob"` in the CLI configuration, and the program that it names."""
    if os.name == "nt":
        raise SettingWrong(
            "On Windows, Terraform runs only an .exe as its helper, and Keyfob has none",
            remedy="Use `keyfob exec` with a variable such as TF_TOKEN_app_terraform_io.",
        )
    config = Path(request.environment.get("TF_CLI_CONFIG_FILE") or request.home / ".terraformrc")
    found = _HELPER.search(edits.without_block(request.read(config) or "", "terraform"))
    if found is not None:
        raise SettingWrong(
            f'{config} already has the credentials_helper "{plain(found[1], 80)}"',
            remedy="Terraform takes one. Remove it, then try again.",
        )
    program = request.home / ".terraform.d" / "plugins" / "terraform-credentials-keyfob"
    before = request.read(program)
    if before is not None and MARK not in before:
        raise SettingWrong(f"{program} is another program", remedy="Move it away, then try again.")
    own = shlex.quote(str(path_of("keyfob", request.environment)))
    text = (
        f'#!/bin/sh\n# {MARK}; `keyfob unwire terraform` removes it.\nexec {own} credential terraform "$@"\n'
    )
    lines = ['credentials_helper "keyfob" {', "  args = []", "}"]
    return SetupPlan(
        [Change(program, before, text, mode=0o755), block_edit(request, config, "terraform", lines)]
    )


TOOL = Tool(
    "terraform",
    Setup("module registries, HCP Terraform and OpenTofu", plan, programs=("terraform", "tofu")),
)
