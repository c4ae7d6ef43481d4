"""The settings file: `config/settings.json`, read and replaced whole.

Called by the service and the settings dialog. Keeps keys that it does not know, so that a newer Keyfob's settings
survive an older one. A faulty file is told, key by key, and never overwritten by a mere load.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from keyfob.adapters.home import write_private
from keyfob.core.errors import SettingWrong
from keyfob.core.settings import Settings


class SettingsFile:
    """Thread-safe. Another process's save is seen by the next load."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        self._seen: tuple[tuple[int, int] | None, Settings] | None = None

    def current(self) -> Settings:
        """As `load`, read again only where the file was replaced, so that each request may ask. Where it is faulty, the
        defaults: the faces tell of that where it can be mended."""
        try:
            found = os.stat(self.path)
            # A save replaces the file: an editor's that does not changes the time.
            mark: tuple[int, int] | None = (found.st_ino, found.st_mtime_ns)
        except OSError:
            mark = None
        seen = self._seen
        if seen is not None and seen[0] == mark:
            return seen[1]
        try:
            settings = self.load()
        except SettingWrong:
            settings = Settings()
        self._seen = (mark, settings)
        return settings

    def load(self) -> Settings:
        """The settings; the defaults where there is no file. Raises SettingWrong `setting_faulty` naming the key."""
        try:
            return Settings.from_mapping(self._read())
        except SettingWrong as error:
            raise SettingWrong(
                error.message, remedy=f"Correct it in {self.path}, or remove that line."
            ) from None

    def save(self, settings: Settings) -> None:
        """On disk before it returns, or SettingWrong. Keys that are not known stay as they were; a file that is
        no JSON object is replaced."""
        settings.checked()
        with self._guard:
            try:
                present = self._read()
            except SettingWrong:
                present = {}
            text = json.dumps({**present, **settings.to_mapping()}, indent=2, ensure_ascii=False) + "\n"
            try:
                write_private(self.path, text.encode())
            except OSError as error:
                raise SettingWrong(
                    f"The settings cannot be saved in {self.path}: {error.strerror}",
                    remedy="Free some disk space, and check that the folder can be written.",
                ) from error

    def _read(self) -> dict[str, Any]:
        try:
            data = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SettingWrong(f"The settings cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise SettingWrong(f"The settings file is not JSON: {self.path}") from error
        if not isinstance(data, dict):
            raise SettingWrong(f"The settings file holds no JSON object: {self.path}")
        return data
