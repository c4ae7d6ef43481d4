"""How other programs call Keyfob's commands, and the variables that carry tokens to them."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.process.own_process import find_program, frozen_command, persons_path


def command_of(program: str, short: str | None = None) -> str:
    """How tools call this program of Keyfob: by its name, or by its path if a name may be found in the
    current folder (Windows, or a PATH with such an entry) or is not found. Raises SettingWrong.
    """
    found = find_program(program)
    if found is not None and os.name != "nt" and persons_path() == os.environ.get("PATH"):
        return short or program
    frozen = getattr(sys, "frozen", False)
    beside = Path(frozen_command(program)) if frozen else Path(sys.executable).with_name(program)
    if found is None and beside.exists():
        found = str(beside)
    if found is not None:
        return shlex.quote(found)
    raise SettingWrong(
        f"{program} is not on the PATH", remedy="Add the folder of the keyfob command to PATH."
    )


def path_of(program: str, environment: Mapping[str, str]) -> Path:
    """The file of this program of Keyfob. Raises SettingWrong."""
    found = find_program(program, environment.get("PATH"))
    if found is not None:
        return Path(found)
    return Path(command_of(program))


def variable_of(provider: str) -> str:
    """`nexus-mods` → `NEXUS_MODS_TOKEN`."""
    return re.sub(r"[^A-Z0-9]", "_", provider.upper()) + "_TOKEN"
