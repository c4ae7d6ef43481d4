"""What feeds answered, on disk: one file for each address, and one for each server that asked us to wait.

A damaged or missing file means that nothing is known. Nothing here is secret: an answer is what anybody may
read. Thread-safe, and for several processes: files are replaced whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keyfob.core.untyped import Json
from keyfob.process.home import write_private


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer. `etag` for If-None-Match, `at` when the server was asked last (UTC), `data` is JSON."""

    etag: str | None
    at: datetime
    data: Json


class FeedCache:
    """`folder` is made when something is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, address: str) -> Kept | None:
        """What is kept of the feed at `address`."""
        found = self._read(address)
        with suppress(KeyError, TypeError, ValueError):
            etag, at = found["etag"], datetime.fromisoformat(found["at"])
            if at.tzinfo is not None and isinstance(etag, str | None) and found["address"] == address:
                return Kept(etag, at, found["data"])
        return None

    def put(self, address: str, kept: Kept) -> None:
        """Keep it. A disk that cannot be written changes nothing but the speed."""
        self._write(
            address, {"address": address, "etag": kept.etag, "at": kept.at.isoformat(), "data": kept.data}
        )

    def wait_until(self, who: str) -> datetime | None:
        """Until when a server wants no requests. `who`: its origin and with which account it is asked."""
        with suppress(KeyError, TypeError, ValueError):
            until = datetime.fromisoformat(self._read(f"wait {who}")["until"])
            return until if until.tzinfo is not None else None
        return None

    def put_wait(self, who: str, until: datetime) -> None:
        """Remember that."""
        self._write(f"wait {who}", {"until": until.isoformat()})

    def _read(self, name: str) -> Mapping[str, Json]:
        try:
            found = json.loads(self._path(name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, data: Mapping[str, Json]) -> None:
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._path(name), json.dumps(data).encode())

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.json"
