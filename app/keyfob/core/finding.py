"""One line of what `keyfob doctor` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keyfob.core.error_codes import ErrorCode
from keyfob.core.words import FindingLevel, FindingName


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `doctor`."""

    name: FindingName
    ok: bool
    text: str
    remedy: str | None = None
    level: FindingLevel = "ok"
    code: ErrorCode | None = None  # an error's, whose remedy the face knows if there is none here

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob doctor --json` lists."""
        return {
            "name": self.name,
            "ok": self.ok,
            "level": self.level,
            "text": self.text,
            "remedy": self.remedy,
        }
