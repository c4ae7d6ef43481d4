"""The program for `nxm://` links on Windows: the user's own classes in the registry."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from keyfob.nexus.link_state import Before, LinkState, file_errors

REGISTRY_KEY = r"Software\Classes\nxm"
COMMAND_KEY = rf"{REGISTRY_KEY}\shell\open\command"


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
        self._before = Before(data)

    def state(self) -> LinkState:
        """See LinkHandler."""
        current = self._registry.get(COMMAND_KEY, "")
        if current == self._line:
            return LinkState(on=True)
        return LinkState(on=False, program=_program_of(current) if current else None)

    def turn_on(self) -> None:
        """See LinkHandler."""
        with file_errors(Path(REGISTRY_KEY)):
            current = self._registry.get(COMMAND_KEY, "")
            if current != self._line:
                self._before.put(current)
            self._write(self._line)

    def turn_off(self) -> None:
        """See LinkHandler."""
        with file_errors(Path(REGISTRY_KEY)):
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
