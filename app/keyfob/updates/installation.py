"""How this copy of Keyfob was installed, and so who updates it.

Packages bring `installation.json` beside the program. Only a `bundle`, the archive that is unpacked anywhere,
updates itself. Every other copy belongs to a package manager, which must not be interfered with: for it there
is a command to type.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from keyfob import __version__
from keyfob.core.text import plain

Kind = Literal[
    "bundle", "deb", "rpm", "flatpak", "snap", "appimage", "uv", "pipx", "pip", "checkout", "package",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
NAME = "installation.json"


@dataclass(frozen=True, slots=True)
class Installation:
    """`update_command` is what the user types to get a newer version, None if there is no such command.
    `root` is the folder of a bundle, with `current` and `versions/`; None for all other kinds.
    """

    kind: Kind
    version: str
    update_command: str | None = None
    root: Path | None = None


def this_installation(env: Mapping[str, str] = os.environ) -> Installation:
    """This copy. Reads a few files; never raises."""
    program = Path(sys.executable)
    if getattr(sys, "frozen", False):
        return frozen(program.resolve().parent, env)
    prefix = Path(sys.prefix)
    source = Path(__file__).resolve().parents[3]
    if (source / "pyproject.toml").is_file() and (source / "app").is_dir():
        return Installation("checkout", __version__, "git pull")
    if (prefix / "uv-receipt.toml").is_file():
        return Installation("uv", __version__, "uv tool upgrade keyfob")
    if (prefix / "pipx_metadata.json").is_file():
        return Installation("pipx", __version__, "pipx upgrade keyfob")
    return Installation("pip", __version__, f"{program} -m pip install --upgrade keyfob")


def frozen(folder: Path, env: Mapping[str, str]) -> Installation:
    """The copy whose program is in `folder`. Without a file that says it: a package of unknown kind, which
    does not update itself.
    """
    try:
        said = json.loads((folder / NAME).read_bytes())
        kind: Kind = next((each for each in KINDS if each == said["kind"]), "package")
        command = said.get("update_command")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kind, command = "package", None
    if kind != "bundle":
        if env.get("APPIMAGE") and kind == "package":
            kind = "appimage"
        return Installation(kind, __version__, plain(command) if isinstance(command, str) else None)
    root = folder.parent.parent
    is_laid_out = folder.parent.name == "versions" and (root / "current").is_symlink()
    return Installation("bundle", __version__, root=root if is_laid_out else None)
