"""One line of what `keyfob doctor` found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from keyfob.core.error_codes import ErrorCode
from keyfob.core.facts import Facts
from keyfob.core.words import FindingLevel, FindingName


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`."""

    name: FindingName
    ok: bool
    text: str
    level: FindingLevel = "ok"
    code: ErrorCode | None = None  # what is wrong; each face knows what to do about it
    facts: Facts = field(default_factory=Facts)

    def to_json(self, remedy: str | None) -> dict[str, Any]:
        """The object that `keyfob doctor --json` lists, with what to do."""
        return {
            "name": self.name,
            "ok": self.ok,
            "level": self.level,
            "text": self.text,
            "remedy": remedy,
        }
