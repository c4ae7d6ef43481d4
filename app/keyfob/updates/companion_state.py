"""What the last check of the companion tools found, in `companions.json` of the state folder.

A file that is damaged or of another version counts as empty: the next check writes it again. Thread-safe,
also across processes: each write replaces the whole file, and the last one counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keyfob.core.error_codes import known_code
from keyfob.core.errors import KeyfobError, Transient
from keyfob.process.home import write_private
from keyfob.updates.companions import Newest

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a tool's releases. `checked_at`: when `newest` was found. `problem`: why the last
    check failed, None if it did not.
    """

    newest: Newest | None = None
    checked_at: datetime | None = None
    problem: KeyfobError | None = None
    tried_at: datetime | None = None


class CompanionState:
    """`path`: of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def read(self) -> dict[str, Found]:
        """What was found, by the id of the tool. Never raises for what the file holds."""
        try:
            data = json.loads(self._path.read_bytes())
            tools = data["tools"] if data["format"] == FORMAT else {}
            return {str(name): _found(entry) for name, entry in tools.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def keep(self, found: Mapping[str, Found]) -> None:
        """Keep this with what is known of other tools. Raises OSError."""
        with self._lock:
            tools = self.read() | dict(found)
            entries = {name: _entry(each) for name, each in tools.items()}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, json.dumps({"format": FORMAT, "tools": entries}).encode())


def _entry(found: Found) -> dict[str, Any]:
    problem = found.problem
    return {
        "newest": asdict(found.newest) if found.newest is not None else None,
        "checked_at": found.checked_at.isoformat() if found.checked_at is not None else None,
        "tried_at": found.tried_at.isoformat() if found.tried_at is not None else None,
        "problem": {"code": problem.code, "message": problem.message, "advice": problem.advice}
        if problem is not None
        else None,
    }


def _found(entry: Any) -> Found:  # noqa: ANN401  (JSON)
    """Raises ValueError, KeyError, TypeError."""
    newest, at, problem = entry["newest"], entry["checked_at"], entry["problem"]
    tried = entry.get("tried_at")
    found = Found(tried_at=None if tried is None else datetime.fromisoformat(tried).astimezone(UTC))
    if newest is not None:
        found = replace(found, newest=Newest(**{name: str(value) for name, value in newest.items()}))
    if at is not None:
        found = replace(found, checked_at=datetime.fromisoformat(at).astimezone(UTC))
    if problem is not None:
        code = known_code(problem["code"], problem["advice"])
        found = replace(found, problem=Transient(str(problem["message"]), code=code))
    return found
