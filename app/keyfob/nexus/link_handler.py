"""Has the system open the `nxm://` links of Nexus Mods with Keyfob, and undoes that.

Off until the user turns it on. It never takes the links from another program without a yes, and gives them
back when it is turned off. On Linux: a desktop file of its own, and the user's mimeapps.list (the MIME
applications specification of freedesktop.org). On Windows: the user's own classes in the registry. On macOS,
links belong to app bundles: a bundle's Info.plist would have to name them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from keyfob.core.errors import SettingWrong
from keyfob.process.app_id import APP_ID
from keyfob.process.home import write_private
from keyfob.process.own_process import child_environment, find_program, login_command

SCHEME = "x-scheme-handler/nxm"
DESKTOP_ID = f"{APP_ID}.nxm.desktop"
REGISTRY_KEY = r"Software\Classes\nxm"
COMMAND_KEY = rf"{REGISTRY_KEY}\shell\open\command"


@dataclass(frozen=True, slots=True)
class LinkState:
    """Who gets the links. `program`: another program that has them; None if Keyfob or no program has."""

    on: bool
    program: str | None = None

    def to_json(self) -> dict[str, str | bool | None]:
        """As `keyfob nexus links --json` shows it."""
        return {"on": self.on, "program": self.program}


class LinkHandler(Protocol):
    """The system's registration. Blocks on small files. Raises SettingWrong `file_unwritable`, or
    `links_unsupported` on a system that has none for us.
    """

    @property
    def path(self) -> Path | None:
        """The file of the registration; None where there is none."""

    def state(self) -> LinkState:
        """Who gets the links now. Keyfob with another home counts as another program."""

    def turn_on(self) -> None:
        """Take the links. Who had them before is remembered. The caller has asked."""

    def turn_off(self) -> None:
        """Give them back to who had them before, and remove what `turn_on` made."""


def link_handler(data: Path, env: Mapping[str, str] = os.environ) -> LinkHandler:
    """This system's. `data`: where Keyfob keeps its own files."""
    if sys.platform == "win32":
        return RegistryLinks(WindowsRegistry(), data, _command())
    if sys.platform == "darwin":
        return NoLinks()
    return DesktopLinks(data, _command(), env)


def _command() -> list[str]:
    # Nobody sees the output of a program that a browser starts.
    return [*login_command(), "nexus", "open", "--notify"]


class NoLinks:
    """A system on which a command cannot register itself."""

    path = None

    def state(self) -> LinkState:
        """See LinkHandler."""
        return LinkState(on=False)

    def turn_on(self) -> None:
        """Raises SettingWrong `links_unsupported`."""
        raise SettingWrong("This system gives links to app bundles only", code="links_unsupported")

    def turn_off(self) -> None:
        """See LinkHandler."""


class _Before:
    """Remembers who had the links, in a file of Keyfob's."""

    def __init__(self, data: Path) -> None:
        self._path = data / "nexus-links.json"

    def get(self) -> str | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._path.read_bytes())["before"]
            return found if isinstance(found, str) else None
        return None

    def put(self, program: str | None) -> None:
        write_private(self._path, json.dumps({"before": program}).encode())

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)


# --- Linux --------------------------------------------------------------------------------------------------


class DesktopLinks:
    """See LinkHandler. `command` gets the link as its last argument."""

    def __init__(self, data: Path, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._env = env
        self._script = data / "nxm-open"
        self._before = _Before(data)
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
        with _file_errors(self._config):
            if current != DESKTOP_ID:
                self._before.put(current)
            self._write_entry()
            self._set_default(DESKTOP_ID)
        self._refresh()

    def turn_off(self) -> None:
        """See LinkHandler."""
        before = self._before.get()
        with _file_errors(self._config):
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


@contextlib.contextmanager
def _file_errors(folder: Path):  # type: ignore[no-untyped-def]
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingWrong(
            f"The program for nxm links cannot be changed: {reason}",
            code="file_unwritable",
            facts={"path": str(folder)},
        ) from error


# --- Windows ------------------------------------------------------------------------------------------------


class Registry(Protocol):
    """Text values below HKEY_CURRENT_USER. Raises OSError."""

    def get(self, key: str, name: str) -> str | None:
        """A value; `name` empty for the key's own. None if there is none."""

    def put(self, key: str, name: str, text: str) -> None:
        """Write a value, and the keys above it."""

    def drop(self, key: str) -> None:
        """Delete a key with everything below it, if it exists."""


class RegistryLinks:
    """See LinkHandler. The form that NexusMods.App and Mod Organizer 2's handler write."""

    path = None

    def __init__(self, registry: Registry, data: Path, command: Sequence[str]) -> None:
        self._registry = registry
        self._line = f'{subprocess.list2cmdline(command)} "%1"'
        self._before = _Before(data)

    def state(self) -> LinkState:
        """See LinkHandler."""
        current = self._registry.get(COMMAND_KEY, "")
        if current == self._line:
            return LinkState(on=True)
        return LinkState(on=False, program=_program_of(current) if current else None)

    def turn_on(self) -> None:
        """See LinkHandler."""
        with _file_errors(Path(REGISTRY_KEY)):
            current = self._registry.get(COMMAND_KEY, "")
            if current != self._line:
                self._before.put(current)
            self._write(self._line)

    def turn_off(self) -> None:
        """See LinkHandler."""
        with _file_errors(Path(REGISTRY_KEY)):
            if self._registry.get(COMMAND_KEY, "") == self._line:
                before = self._before.get()
                if before:
                    self._write(before)
                else:
                    self._registry.drop(REGISTRY_KEY)
            self._before.drop()

    def _write(self, line: str) -> None:
        self._registry.put(REGISTRY_KEY, "", "URL:NXM Protocol")
        self._registry.put(REGISTRY_KEY, "URL Protocol", "")
        self._registry.put(COMMAND_KEY, "", line)


def _program_of(line: str) -> str:
    """The name of the program in a command line of the registry."""
    path = line[1:].partition('"')[0] if line.startswith('"') else line.partition(" ")[0]
    return path.replace("/", "\\").rpartition("\\")[2] or line


class WindowsRegistry:
    """`winreg`, which exists on Windows alone."""

    def __init__(self) -> None:
        self._winreg = importlib.import_module("winreg")

    def get(self, key: str, name: str) -> str | None:
        """See Registry."""
        try:
            with self._winreg.OpenKey(self._winreg.HKEY_CURRENT_USER, key) as opened:
                return str(self._winreg.QueryValueEx(opened, name)[0])
        except FileNotFoundError:
            return None

    def put(self, key: str, name: str, text: str) -> None:
        """See Registry."""
        with self._winreg.CreateKey(self._winreg.HKEY_CURRENT_USER, key) as opened:
            self._winreg.SetValueEx(opened, name, 0, self._winreg.REG_SZ, text)

    def drop(self, key: str) -> None:
        """See Registry."""
        try:
            with self._winreg.OpenKey(self._winreg.HKEY_CURRENT_USER, key) as opened:
                below = [self._winreg.EnumKey(opened, n) for n in range(self._winreg.QueryInfoKey(opened)[0])]
        except FileNotFoundError:
            return
        for name in below:
            self.drop(rf"{key}\{name}")
        self._winreg.DeleteKey(self._winreg.HKEY_CURRENT_USER, key)
