"""The program for `nxm://` links on Linux: a desktop file of its own, a script that it starts, and one line
of the user's mimeapps.list (the MIME applications specification of freedesktop.org).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from configparser import RawConfigParser
from pathlib import Path

from keyfob.nexus.link_state import Before, LinkState, file_errors
from keyfob.process.app_id import APP_ID
from keyfob.process.home import write_private
from keyfob.process.own_process import child_environment, find_program

SCHEME = "x-scheme-handler/nxm"
DESKTOP_ID = f"{APP_ID}.nxm.desktop"


class DesktopLinks:
    """See LinkHandler. `command` gets the link as its last argument."""

    def __init__(self, data: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._env = env
        self._script = data / "nxm-open"
        self._before = Before(data)
        home = Path(env.get("HOME") or Path.home())
        self._config = _folder(env, "XDG_CONFIG_HOME", home / ".config")
        self._data = _folder(env, "XDG_DATA_HOME", home / ".local" / "share")

    @property
    def path(self) -> Path:
        """See LinkHandler."""
        return self._data / "applications" / DESKTOP_ID

    def state(self) -> LinkState:
        """See LinkHandler."""
        current = self._current()
        if current == DESKTOP_ID and self._is_ours():
            return LinkState(on=True)
        return LinkState(on=False, program=self._name(current) if current else None)

    def _is_ours(self) -> bool:
        """Whether the entry starts this home's script."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return f"Exec={_exec_word(str(self._script))} " in self.path.read_text("utf-8")
        return False

    def turn_on(self) -> None:
        """See LinkHandler."""
        current = self._current()
        with file_errors(self._config):
            if current != DESKTOP_ID:
                self._before.put(current)
            self._write_entry()
            self._set_default(DESKTOP_ID)
        self._refresh()

    def turn_off(self) -> None:
        """See LinkHandler."""
        before = self._before.get()
        with file_errors(self._config):
            ours = self._is_ours()
            if ours and self._current() == DESKTOP_ID:  # else another program has them by now, and keeps them
                self._set_default(before if before and self._entry_of(before) else None)
            if ours:
                self.path.unlink(missing_ok=True)
            self._script.unlink(missing_ok=True)
            self._before.drop()
        self._refresh()

    def _write_entry(self) -> None:
        # A script: the Exec line takes no path with blanks on every desktop, and a browser hands on its own
        # libraries, which would then be loaded here.
        lines = ["#!/bin/sh", "# Made by `keyfob nexus links on`. `keyfob nexus links off` removes it."]
        lines += ["unset LD_LIBRARY_PATH LD_PRELOAD"]
        if self._env.get("KEYFOB_HOME"):
            home = os.path.abspath(self._env["KEYFOB_HOME"])  # noqa: PTH100 - links stay
            lines += [f"KEYFOB_HOME={shlex.quote(home)}", "export KEYFOB_HOME"]
        lines += [f'exec {shlex.join(self._command)} "$1"']
        write_private(self._script, ("\n".join(lines) + "\n").encode())
        self._script.chmod(0o700)
        entry = (
            "[Desktop Entry]",
            "Type=Application",
            "Name=Keyfob",
            "Comment=Downloads files of Nexus Mods",
            f"Exec={_exec_word(str(self._script))} %u",
            f"Icon={APP_ID}",
            "Terminal=false",
            "NoDisplay=true",
            f"MimeType={SCHEME};",
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(entry) + "\n", "utf-8")

    def _set_default(self, desktop_id: str | None) -> None:
        """Change the one line of mimeapps.list, or remove it. Everything else in the file stays as it is."""
        path = self._config / "mimeapps.list"
        try:
            lines = path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        head, kept, section = "[Default Applications]", [], ""
        for line in lines:
            section = line.strip() if line.strip().startswith("[") else section
            if not (section == head and line.partition("=")[0].strip() == SCHEME):
                kept.append(line)
        if desktop_id is not None:
            if head not in (line.strip() for line in kept):
                kept += [*([""] if kept and kept[-1] else []), head]
            at = next(n for n, line in enumerate(kept) if line.strip() == head)
            kept.insert(at + 1, f"{SCHEME}={desktop_id}")
        if desktop_id is None and not path.is_symlink() and not "".join(kept).replace(head, "").strip():
            path.unlink(missing_ok=True)  # nothing is left in it
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()  # a link to a file that is kept elsewhere stays a link
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        write_private(target, ("\n".join(kept) + "\n").encode())
        target.chmod(mode)

    def _current(self) -> str | None:
        """The id of the program that gets the links: the first of the lists, in the specification's order,
        that names one that is installed.
        """
        for path in self._lists():
            for name in _defaults(path):
                if self._entry_of(name):
                    return name
        for folder in self._data_folders():
            for name in _cached(folder / "applications" / "mimeinfo.cache"):
                if self._entry_of(name):
                    return name
        return None

    def _lists(self) -> list[Path]:
        desktops = [each.lower() for each in self._env.get("XDG_CURRENT_DESKTOP", "").split(":") if each]
        names = [*(f"{each}-mimeapps.list" for each in desktops), "mimeapps.list"]
        system = [Path(each) for each in self._env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if each]
        folders = [self._config, *system, *(each / "applications" for each in self._data_folders())]
        return [folder / name for folder in folders for name in names]

    def _data_folders(self) -> list[Path]:
        system = self._env.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        return [self._data, *(Path(each) for each in system.split(":") if each.startswith("/"))]

    def _entry_of(self, desktop_id: str) -> Path | None:
        paths = (folder / "applications" / desktop_id for folder in self._data_folders())
        return next((path for path in paths if path.is_file()), None)

    def _name(self, desktop_id: str) -> str:
        """What a program calls itself, else its id."""
        path = self._entry_of(desktop_id)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in path.read_text("utf-8").splitlines() if path else []:
                if line.startswith("Name="):
                    return line.removeprefix("Name=").strip() or desktop_id
        return desktop_id

    def _refresh(self) -> None:
        """Have the desktop see the entry at once, if it has the command for that."""
        folder = self._data / "applications"
        if folder.is_dir() and not any(folder.glob("*.desktop")):
            (folder / "mimeinfo.cache").unlink(missing_ok=True)  # made for our entry alone
            return
        program = find_program("update-desktop-database")
        if program is not None and folder.is_dir():
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(  # noqa: S603  (a program of the system, with our own folder)
                    [program, str(folder)],
                    env=child_environment(os.environ),
                    capture_output=True,
                    timeout=20,
                    check=False,
                )


def _folder(env: Mapping[str, str], name: str, otherwise: Path) -> Path:
    named = env.get(name, "")
    return Path(named) if named.startswith("/") else otherwise


def _exec_word(path: str) -> str:
    """A path in an Exec line (Desktop Entry specification)."""
    safe = path.replace("%", "%%")
    if all(char.isalnum() or char in "/._-=+:,@%" for char in safe):
        return safe
    inner = safe.replace("\\", "\\\\\\\\")
    for char in '"`$':
        inner = inner.replace(char, f"\\\\{char}")
    return f'"{inner}"'


def _defaults(path: Path) -> list[str]:
    return _listed(path, "Default Applications")


def _cached(path: Path) -> list[str]:
    return _listed(path, "MIME Cache")


def _listed(path: Path, section: str) -> list[str]:
    parser = RawConfigParser(delimiters=("=",), strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string(path.read_text("utf-8"))
        found = parser.get(section, SCHEME, fallback="")
    except Exception:  # a file of other programs, in any state
        return []
    return [each.strip() for each in (found or "").split(";") if each.strip() and "/" not in each]
