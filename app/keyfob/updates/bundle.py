"""A bundle's folder: which version is in use, which was before, and whether the new one has started.

    <root>/keyfob               the start script (packaging/bundle/keyfob), which reads these files
    <root>/versions/<version>/  a frozen app each
    <root>/current              a link to versions/<version>
    <root>/trial                two lines: a version that has not started yet, and the one before it
    <root>/trial.started        the start script's process and the version, while the first start is under way
    <root>/failed               a version that did not start and was left again, until the user has seen it

Every change is one rename, and in an order in which each step leaves a bundle that starts. Blocks. One
process at a time changes it (`service` holds a lock); `started_well` may run at any time.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from keyfob.process.home import sync_folder
from keyfob.updates.installation import this_installation
from keyfob.updates.unpack import START

_PREFIX = "versions/"


class Bundle:
    """The bundle at `root`. Methods raise OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.versions = root / "versions"

    def current(self) -> str | None:
        """The version that the next start uses."""
        try:
            to = os.readlink(self.root / "current")  # noqa: PTH115  (the link's own text)
        except OSError:
            return None
        version = to.removeprefix(_PREFIX)
        return version if to.startswith(_PREFIX) and "/" not in version else None

    def program(self, version: str) -> Path:
        """The frozen app of a version."""
        return self.versions / version / "keyfob"

    def staging(self, version: str) -> Path:
        """Where `version` is unpacked; nothing is there yet. What an earlier try left is removed."""
        path = self.versions / f".{version}.new"
        if path.exists():
            shutil.rmtree(path)
        return path

    def adopt(self, staged: Path, version: str) -> None:
        """Give a staged version its name. One that was there before, and is not in use, is replaced."""
        target = self.versions / version
        if target.exists():
            aside = self.versions / f".{version}.old"
            shutil.rmtree(aside, ignore_errors=True)
            target.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        staged.rename(target)
        sync_folder(self.versions)

    def switch(self, version: str) -> None:
        """Use `version` from the next start on, which is a trial."""
        before = self.current()
        (self.root / "trial.started").unlink(missing_ok=True)
        self._write("trial", f"{version}\n{before}\n")
        self._link(version)

    def failed(self) -> str | None:
        """A version that did not start, so that the one before it is in use again."""
        with suppress(OSError, UnicodeError):
            return (self.root / "failed").read_text("utf-8").strip() or None
        return None

    def forget_failure(self) -> None:
        """The user has seen it, or another version was installed."""
        (self.root / "failed").unlink(missing_ok=True)

    def on_trial(self) -> tuple[str, str] | None:
        """The version that has not started yet, and the one before it."""
        try:
            lines = (self.root / "trial").read_text("utf-8").splitlines()
        except (OSError, UnicodeError):
            return None
        return (lines[0], lines[1]) if len(lines) == 2 else None

    def started_well(self, version: str) -> None:
        """The trial of `version` is over: it starts. Without a trial of it, nothing changes."""
        trial = self.on_trial()
        if trial is None or trial[0] != version:
            return
        (self.root / "trial").unlink(missing_ok=True)
        (self.root / "trial.started").unlink(missing_ok=True)
        self._renew_start_script(self.versions / version / START)
        sync_folder(self.root)

    def tidy(self) -> None:
        """Remove what no start needs: what was staged, and all versions but the current one, the one before
        it, and those that run.
        """
        current, trial = self.current(), self.on_trial()
        if current is None:
            return
        kept = {current, *(trial or ()), *self._running()}
        others = [each for each in self.versions.iterdir() if each.is_dir() and each.name not in kept]
        whole = sorted((e for e in others if not e.name.startswith(".")), key=lambda e: e.stat().st_mtime)
        before = whole[-1:] if trial is None else []
        for each in others:
            if each not in before:
                shutil.rmtree(each, ignore_errors=True)
        for left in self.root.glob(".*.new"):
            left.unlink(missing_ok=True)

    def _running(self) -> set[str]:
        """The versions that processes of this system run from."""
        found = set()
        for link in Path("/proc").glob("[0-9]*/exe"):
            with suppress(OSError, ValueError):
                found.add(link.readlink().relative_to(self.versions.resolve()).parts[0])
        return found

    def _renew_start_script(self, new: Path) -> None:
        """The version's own start script takes the place of the older one. A shell that runs the older one
        keeps reading that.
        """
        script = self.root / "keyfob"
        if not new.is_file() or new.read_bytes() == script.read_bytes():
            return
        temporary = self.root / ".keyfob.new"
        shutil.copyfile(new, temporary)
        temporary.chmod(0o755)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(script)

    def _link(self, version: str) -> None:
        temporary = self.root / ".current.new"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(_PREFIX + version)
        temporary.replace(self.root / "current")
        sync_folder(self.root)

    def _write(self, name: str, text: str) -> None:
        temporary = self.root / f".{name}.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.root / name)
        sync_folder(self.root)


def this_bundle() -> Bundle | None:
    """The bundle that this process runs from; None if it was installed otherwise."""
    root = this_installation().root
    return None if root is None else Bundle(root)


def mark_started() -> None:
    """To be called once this process does what the user started it for: its window or its agent is up. Ends
    the trial of a new version. Never raises; does next to nothing for other copies.
    """
    if not getattr(sys, "frozen", False):
        return
    with suppress(OSError):
        bundle = this_bundle()
        if bundle is not None:
            bundle.started_well(Path(sys.executable).resolve().parent.name)
