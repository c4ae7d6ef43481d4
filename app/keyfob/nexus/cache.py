"""Answers of the API that may be used again: in memory and in small files, so that the next command has them.

The site asks clients to keep the list of games for a day, and mods and files for five minutes. What is about
the user (`/user/…`) is never kept. Files hold no secret, and only their owner can read them. Thread-safe.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from keyfob.core.untyped import Json

FILES_MOST = 500


class Cache:
    """`folder` is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str, seconds: float) -> Json | None:
        """What was kept at most so many seconds ago; None if there is nothing."""
        path = self._path(key)
        try:
            age = time.time() - path.stat().st_mtime
            if not 0 <= age <= seconds:  # a clock that was set back makes an answer old, not new
                return None
            return json.loads(path.read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Json) -> None:
        """Keep it. A disk that cannot be written keeps nothing, and does no harm."""
        path = self._path(key)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{time.time_ns()}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(json.dumps(value).encode())
            fresh.replace(path)
            self._prune()

    def drop(self, key: str) -> None:
        """Forget it, because it has changed."""
        with suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def _prune(self) -> None:
        files = list(self._folder.iterdir())
        if len(files) > FILES_MOST:
            files.sort(key=lambda each: each.stat().st_mtime)
            for each in files[: FILES_MOST // 4]:
                each.unlink(missing_ok=True)
