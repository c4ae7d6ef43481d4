"""Who updates an installed program: the person, Keyfob, a package manager or a version manager.

Decided by where the file is. A copy in a folder of the system is looked up in the package databases that this
computer has. Reads only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from keyfob.process.own_process import find_program
from keyfob.updates.companions import Owner

Run = Callable[[Sequence[str]], tuple[str, str]]


class _Mark(NamedTuple):
    """A folder in the program's path, the manager that uses it, and the command that updates what is in it.
    `{name}` stands for the folder that follows the mark.
    """

    folder: str
    name: str
    command: str = ""


# The first that is found in the path counts. Names of folders as these managers document them.
_MARKS = (
    _Mark("node_modules", "npm", "npm install -g {name}"),
    _Mark(".nvm", "nvm"),
    _Mark("fnm_multishells", "fnm"),
    _Mark("fnm", "fnm"),
    _Mark(".volta", "Volta"),
    _Mark(".pyenv", "pyenv"),
    _Mark(".asdf", "asdf"),
    _Mark("mise", "mise"),
    _Mark("aquaproj-aqua", "aqua"),
    _Mark(".bun", "Bun"),
    _Mark("pnpm", "pnpm"),
    _Mark("Cellar", "Homebrew", "brew upgrade {name}"),
    _Mark("Caskroom", "Homebrew", "brew upgrade --cask {name}"),
    _Mark("linuxbrew", "Homebrew"),
    _Mark("nix", "Nix"),
    _Mark(".nix-profile", "Nix"),
    _Mark("snap", "Snap", "sudo snap refresh {name}"),
    _Mark("flatpak", "Flatpak"),
    _Mark(".cargo", "Cargo"),
    _Mark("pipx", "pipx"),
    _Mark("venvs", "pipx", "pipx upgrade {name}"),
    _Mark("conda", "conda"),
    _Mark("miniconda3", "conda"),
    _Mark("google-cloud-sdk", "the Google Cloud CLI", "gcloud components update"),
)


class _Packages(NamedTuple):
    """A package database: how to ask it who owns a file, and how a package is updated."""

    program: str
    arguments: tuple[str, ...]
    name: str
    command: str
    before: str = ""  # what ends the package's name in the answer


_DATABASES = (
    _Packages("dpkg-query", ("-S",), "apt", "sudo apt install --only-upgrade {name}", ":"),
    _Packages("rpm", ("-qf", "--queryformat", "%{NAME}\n"), "rpm", "sudo dnf upgrade {name}"),
    _Packages("pacman", ("-Qqo",), "pacman", "sudo pacman -Syu {name}"),
)


def owner_of(path: Path, ours: Path, own_command: str, run: Run) -> Owner:
    """Who updates the program at `path`. `ours`: the folder that Keyfob unpacks tools into. `own_command`:
    with which the tool updates itself, if it can. `run` as in `Probe`.
    """
    real = Path(os.path.realpath(path))
    if real.is_relative_to(Path(os.path.realpath(ours))):
        return Owner("keyfob")
    managed = _manager(path) or _manager(real)
    if not _is_the_persons(real):
        return _package(path, real, run) or managed or Owner("everyone")
    if managed is not None:
        return managed
    if real.parent != Path(os.path.realpath(path.parent)):
        # A link to a file elsewhere: whatever made it moves it.
        return Owner("manager", "its own installer", own_command)
    return Owner("person")


def _manager(path: Path) -> Owner | None:
    folders = path.parts[:-1]
    for mark in _MARKS:
        if mark.folder in folders:
            return Owner("manager", mark.name, _filled(mark.command, path.parts, folders.index(mark.folder)))
    return None


def _filled(command: str, parts: Sequence[str], at: int) -> str:
    """The command, with the name of what the manager has installed; empty if that is not in the path."""
    if "{name}" not in command:
        return command
    names = [each for each in parts[at + 1 :] if each != "bin"]
    if not names:
        return ""
    scoped = names[0].startswith("@") and len(names) > 1
    return command.format(name="/".join(names[:2]) if scoped else names[0])


def _is_the_persons(real: Path) -> bool:
    """Whether the person owns the file, and may replace it."""
    try:
        owned = os.name == "nt" or real.stat().st_uid == os.getuid()
    except OSError:
        return False
    return owned and os.access(real.parent, os.W_OK) and not _in_system(real)


def _in_system(real: Path) -> bool:
    """Whether it is in a folder of packages, which root may write to too."""
    system = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/usr/libexec", "/bin", "/sbin", "/lib")
    return any(real.is_relative_to(folder) for folder in system)


def _package(path: Path, real: Path, run: Run) -> Owner | None:
    for database in _DATABASES:
        program = find_program(database.program)
        if program is None:
            continue
        # A package may name /bin/x for what is /usr/bin/x.
        for each in dict.fromkeys((str(real), str(path), str(real).removeprefix("/usr"))):
            out, _ = run([program, *database.arguments, each])
            first = out.strip().split("\n")[0]
            name = first.partition(database.before)[0] if database.before else first
            if name and " " not in name:
                return Owner("manager", database.name, database.command.format(name=name))
    return None
