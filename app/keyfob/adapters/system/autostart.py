"""Starts Keyfob at login: a desktop entry on Linux, a launch agent on macOS, a Run value on Windows.

Called by the window's settings and `keyfob settings`. It writes only the user's own entry, without a secret.
If `KEYFOB_HOME` is set, the entry contains it, so that another home starts as itself.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import plistlib
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyfob.adapters.system.exec_line import exec_line
from keyfob.core.errors import SettingWrong
from keyfob.process.app_id import APP_ID
from keyfob.process.own_process import login_command

NAME = "keyfob"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"
HIDDEN = "KEYFOB_START_HIDDEN"  # the window stays closed at login: the tray is enough


def window_command(command: Sequence[str], platform: str = sys.platform) -> tuple[str, ...]:
    """The same for a start at login: on Windows the program beside it that opens no console."""
    if platform == "win32" and len(command) == 1:
        window = Path(command[0]).with_name("keyfob-window.exe")
        if window.exists():
            return (str(window),)
    return tuple(command)


class Autostart:
    """Blocks on small files only. Raises SettingWrong if the entry cannot be written."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
        user_home: Path | None = None,
    ) -> None:
        self._command = window_command(command or login_command(), platform)
        self._env = env
        self._platform = platform
        self._user_home = user_home or Path.home()

    @property
    def path(self) -> Path | None:
        """The entry's file; None on Windows, where it is a registry value."""
        if self._platform == "darwin":
            return self._user_home / "Library" / "LaunchAgents" / f"{APP_ID}.plist"
        if self._platform == "win32":
            return None
        config = self._env.get("XDG_CONFIG_HOME", "")
        base = Path(config) if config.startswith("/") else self._user_home / ".config"
        return base / "autostart" / f"{NAME}.desktop"

    def enabled(self) -> bool:
        """Whether the system's entry is there now: a desktop file, a launch agent or a Run key."""
        path = self.path
        return path.is_file() if path is not None else _run_value() is not None

    def enable(self, on: bool) -> None:
        """Make or remove the entry. Raises SettingWrong if the system does not let us."""
        path = self.path
        try:
            if path is None:
                _set_run_value(self._windows_line() if on else None)
            elif on:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._entry())
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SettingWrong(
                f"Start at login cannot be changed: {error.strerror}",
                code="autostart_unwritable",
                facts={"path": str(path.parent) if path else ""},
            ) from error

    def _settings(self) -> dict[str, str]:
        values = {HIDDEN: "1"}
        if self._env.get("KEYFOB_HOME"):
            values["KEYFOB_HOME"] = os.path.abspath(self._env["KEYFOB_HOME"])  # noqa: PTH100 - links stay
        return values

    def _entry(self) -> bytes:
        if self._platform == "darwin":
            return plistlib.dumps(
                {
                    "Label": APP_ID,
                    "ProgramArguments": list(self._command),
                    "EnvironmentVariables": self._settings(),
                    "RunAtLoad": True,
                    "ProcessType": "Interactive",
                }
            )
        words = [
            "/usr/bin/env",
            *(f"{name}={value}" for name, value in self._settings().items()),
            *self._command,
        ]
        lines = (
            "[Desktop Entry]",
            "Type=Application",
            "Name=Keyfob",
            "Comment=Keeps your accounts signed in",
            f"Exec={exec_line(words)}",
            f"Icon={APP_ID}",
            "Terminal=false",
            "X-GNOME-Autostart-enabled=true",
        )
        return ("\n".join(lines) + "\n").encode()

    def _windows_line(self) -> str:
        return " ".join(f'"{word}"' for word in self._command)


def _registry() -> types.ModuleType:
    """Python's registry module: it exists on Windows alone."""
    return importlib.import_module("winreg")


def _run_value() -> str | None:
    winreg = _registry()
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
        try:
            return str(winreg.QueryValueEx(key, "Keyfob")[0])
        except FileNotFoundError:
            return None


def _set_run_value(line: str | None) -> None:
    winreg = _registry()
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY, 0, winreg.KEY_SET_VALUE) as key:
        if line is not None:
            winreg.SetValueEx(key, "Keyfob", 0, winreg.REG_SZ, line)
            return
        with contextlib.suppress(FileNotFoundError):
            winreg.DeleteValue(key, "Keyfob")
