"""The files of a .deb or .rpm, as they lie in the system."""

import os
import shutil
import subprocess
from pathlib import Path

from _machine import stop

from _freeze import archives
from _freeze.app import COMMANDS

APP = "usr/lib/keyfob"
UNITS = ("keyfob-agent.service", "keyfob-agent.socket")
# Where each shell looks for completions; zsh's folder is another on each system.
BASH = "usr/share/bash-completion/completions/keyfob"
FISH = "usr/share/fish/vendor_completions.d/keyfob.fish"


def lay(root: Path, app: Path, source: Path, *, kind: str, update_command: str, zsh: str) -> None:
    """Put the app, its commands and what a desktop and shells find into `root`."""
    shutil.rmtree(root, ignore_errors=True)
    home = root / APP
    shutil.copytree(app, home, symlinks=True)
    archives.describe(home, kind, update_command)
    (home / "LICENSES.txt").unlink()  # in the documentation
    commands = root / "usr/bin"
    commands.mkdir(parents=True)
    for name in (*COMMANDS, "keyfob-token"):
        (commands / name).symlink_to(f"../lib/keyfob/bin/{name}")
    _desktop(root, source)
    for unit in UNITS:
        _write(
            root / "usr/lib/systemd/user" / unit,
            unit_for_all((source / "resources/agent" / unit).read_text("utf-8")),
        )
    for page in sorted((source / "packaging/man").glob("*.1")):
        archives.gzipped(page.read_bytes(), root / "usr/share/man/man1" / f"{page.name}.gz")
    for name in COMMANDS[1:]:  # `keyfob wire` sets them up, and its page says so
        (root / "usr/share/man/man1" / f"{name}.1.gz").symlink_to("keyfob-wire.1.gz")
    for shell, place in {"bash": BASH, "zsh": zsh, "fish": FISH}.items():
        _write(root / place, _completion(app, shell))


def _desktop(root: Path, source: Path) -> None:
    given = source / "packaging/desktop"
    for name, place in {
        "org.keyfob.Keyfob.desktop": "usr/share/applications",
        "org.keyfob.Keyfob.metainfo.xml": "usr/share/metainfo",
        "org.keyfob.Keyfob.service": "usr/share/dbus-1/services",
    }.items():
        _write(root / place / name, (given / name).read_text("utf-8"))
    shutil.copytree(source / "packaging/icons", root / "usr/share/icons", symlinks=True)


def unit_for_all(text: str) -> str:
    """A unit of the agent for every user of the system: with the path of the package's command, and without
    the note about `keyfob agent --install`, which writes one for a single user.
    """
    lines = [line for line in text.splitlines() if "keyfob agent --install" not in line]
    return "\n".join(lines).replace("ExecStart=keyfob ", "ExecStart=/usr/bin/keyfob ") + "\n"


def _completion(app: Path, shell: str) -> str:
    done = subprocess.run(
        [str(app / "keyfob"), "completion", shell], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": os.devnull},
    )  # fmt: skip
    if done.returncode != 0:
        stop(f"The frozen app does not start: {done.stderr.strip()}")
    return done.stdout


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def settle(root: Path, epoch: int) -> None:
    """Give all below `root` one time and plain modes, whatever this user's umask is."""
    for path in sorted(root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    root.chmod(0o755)
    os.utime(root, (epoch, epoch))
