"""The settings file: `config/settings.json`, read and replaced as a whole.

A file that cannot be read never makes a setting less strict. A running process keeps the last settings that
it could read. A process that starts with a bad file opens no vault and treats consent as on. Unknown keys are
kept, so that a newer Keyfob's settings survive an older one. A file that could not be read is never replaced.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong
from keyfob.core.settings import Settings
from keyfob.process.home import write_private

log = logging.getLogger(__name__)

# What counts before any settings could be read: the defaults, and programs are asked about.
CAUTIOUS = Settings(named_app_consent=True)
_Mark = tuple[int, int, int]


class SettingsFile:
    """Thread-safe. Another process's save is seen by the next load."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._seen: tuple[_Mark | None, Settings] | None = None
        self._good: Settings | None = None  # the last that could be read

    def current(self) -> Settings:
        """As `load`, but read again only when the file has changed, so that each request may ask. Never
        raises: while the file is faulty, or gone, the last settings that this process could read; before any,
        `CAUTIOUS`.
        """
        mark = self._mark()
        seen = self._seen
        if seen is not None and seen[0] == mark:
            return seen[1]
        good = self._good
        try:
            # Many editors save by removing the file first: a file that was there and is gone changes nothing.
            settings = good if mark is None and good is not None else self.load()
        except SettingWrong as error:
            kept = (
                "Keyfob keeps the last valid settings"
                if good
                else "Keyfob asks about every program until it can read the file"
            )
            log.warning("%s %s.", error.sentence(), kept)
            settings = good or CAUTIOUS
        self._seen = (mark, settings)
        return settings

    def load(self) -> Settings:
        """The settings; the defaults when there is no file. Raises SettingWrong `setting_faulty` that names
        the file, and the line and the key as far as they are known.
        """
        text = self._text()
        data = self._parsed(text)
        try:
            settings = Settings.from_mapping(data)
        except SettingWrong as error:
            raise self._faulty(f"{error.message} ({self.path.name}{_line_of(text, error.detail)})") from None
        self._good = settings
        return settings

    def unknown(self) -> Sequence[str]:
        """The names in the file that this version does not know. Raises SettingWrong as `load`."""
        known = Settings().to_mapping()
        return [name for name in self._parsed(self._text()) if name not in known]

    def save(self, settings: Settings, was: Settings | None = None) -> None:
        """On disk before it returns. Writes what differs from `was`, or everything without it; other keys
        stay as they are in the file. Raises SettingWrong when it cannot be written, or when the file is
        faulty and these settings do not correct it: then the file stays as it is.
        """
        settings.checked()
        changed = settings.to_mapping()
        if was is not None:
            before = was.to_mapping()
            changed = {name: value for name, value in changed.items() if value != before[name]}
        with self._guard:
            merged = {**self._parsed(self._text()), **changed}
            try:
                Settings.from_mapping(merged)
            except SettingWrong as error:
                raise self._faulty(f"{error.message} ({self.path.name})") from None
            text = json.dumps(merged, indent=2, ensure_ascii=False) + "\n"
            try:
                write_private(self.path, text.encode())
            except OSError as error:
                raise SettingWrong(
                    f"The settings cannot be saved in {self.path}: {error.strerror}",
                    code="file_unwritable",
                ) from error

    def _mark(self) -> _Mark | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        # Most saves replace the file; an editor that writes into it changes the time or the size.
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _text(self) -> bytes | None:
        """What the file holds, None when there is no file. Raises SettingWrong."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingWrong(
                f"The settings cannot be read ({self.path.name}: {error.strerror})",
                code="settings_unreadable",
                facts={"path": str(self.path)},
            ) from error

    def _parsed(self, text: bytes | None) -> dict[str, Any]:
        if text is None:
            return {}
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise self._faulty(
                f"The settings are not JSON ({self.path.name}, line {error.lineno}, column {error.colno})"
            ) from None
        except (ValueError, RecursionError):
            raise self._faulty(f"The settings are not JSON ({self.path.name})") from None
        if not isinstance(data, dict):
            raise self._faulty(f"The settings are not a JSON object ({self.path.name})")
        return data

    def _faulty(self, message: str) -> SettingWrong:
        return SettingWrong(message, code="settings_file_faulty", facts={"path": str(self.path)})


def _line_of(text: bytes | None, key: str) -> str:
    """`, line 3` when the key stands on exactly one line."""
    lines = (text or b"").splitlines()
    found = [number for number, line in enumerate(lines, 1) if f'"{key}"'.encode() in line]
    return f", line {found[0]}" if len(found) == 1 else ""
