"""The frozen app: a folder with a program and everything that it loads, made by PyInstaller and trimmed."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from _machine import CACHE, stop

from _freeze import elf, licences
from _freeze.parts import is_systems

WORK = CACHE / "freeze"
LOG = WORK / "pyinstaller.log"
COMMANDS = ("keyfob", "git-credential-keyfob", "docker-credential-keyfob", "keyfob-keyring")
Parts = dict[str, Any]


def freeze(python: Path, source: Path, wheel: Path, epoch: int, target: Path) -> Parts:
    """Make the app from the wheel. Returns what went in: `packages` with their versions and licences, and
    `libraries` of this system with their files.
    """
    site, work = WORK / "site", WORK / "work"
    for folder in (site, work, target):
        shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    settings = {
        "PYTHONPATH": str(site),
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(epoch),
        "KEYFOB_PACKAGE": str(site / "keyfob"),
        "KEYFOB_RULES": str(Path(__file__).parent),
    }
    command = [
        str(python), "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level=WARN",
        f"--workpath={work}", f"--distpath={work / 'made'}", str(source / "packaging/freeze/keyfob.spec"),
    ]  # fmt: skip
    with LOG.open("wb") as log:
        done = subprocess.run(
            command, env={**os.environ, **settings}, stdout=log, stderr=log, cwd=source, check=False
        )
    if done.returncode != 0:
        text = LOG.read_text("utf-8", "replace")
        if "shared library" in text:
            stop(
                "This Python has no shared library, which the frozen app needs. Install it, for example: "
                "sudo apt-get install libpython3-dev"
            )
        stop(f"PyInstaller failed; see {LOG}")
    shutil.move(work / "made" / "keyfob", target)
    parts: Parts = json.loads((work / "keyfob" / "parts.json").read_text("utf-8"))
    _leave_out_libraries(target, parts)
    _commands(target, source)
    _strip(target)
    (target / "LICENSES.txt").write_text(
        licences.text(parts, (source / "LICENSE").read_text("utf-8")), "utf-8"
    )
    _set_modes(target)
    return parts


def _leave_out_libraries(target: Path, parts: Parts) -> None:
    """Take out this system's libraries that no kept file needs, and those that each system has. Ends the
    program if a file then needs a library that is neither here nor the system's.
    """
    inner = target / "_internal"
    systems = {name for name in parts["libraries"] if not name.startswith("libpython")}
    files = elf.elf_files(target)
    needs = {str(path.relative_to(inner) if path.is_relative_to(inner) else path.name): names
             for path, names in elf.needed(files).items()}  # fmt: skip
    kept = elf.reached((name for name in needs if name not in systems), needs)
    for name in systems:
        if name not in kept or is_systems(name):
            (inner / name).unlink()
            needs.pop(name)
            del parts["libraries"][name]
    here = {path.name for path in inner.rglob("lib*.so*")}
    for name, wanted in needs.items():
        missing = [each for each in wanted if each not in here and not is_systems(each)]
        if missing:
            stop(f"{name} needs {missing[0]}, which the app leaves out. Add it in build/_freeze/parts.py")


def _commands(target: Path, source: Path) -> None:
    """The folder `bin/`: a link for each command, and the native `keyfob-token`."""
    commands = target / "bin"
    commands.mkdir()
    for name in COMMANDS:
        (commands / name).symlink_to("../keyfob")
    # The copy of the source compiles its own.
    made = [sys.executable, str(source / "build" / "launcher"), str(commands / "keyfob-token")]
    done = subprocess.run(made, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(done.stderr.strip())


def _strip(target: Path) -> None:
    """Take the tables for debuggers out of the libraries. The program itself has its modules behind them."""
    for path in elf.elf_files(target):
        if path != target / "keyfob":
            subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)


def _set_modes(target: Path) -> None:
    programs = {target / "keyfob", *(target / "bin").iterdir()}
    for path in target.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
    target.chmod(0o755)
