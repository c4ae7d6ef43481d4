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
    subject: str = ""  # of several with this name: the provider's title
    account: str | None = None  # the key of the account that needs its user
    public: str = ""  # what a report may say besides: no name that a user chose, no path, no address

    def to_json(self, remedy: str | None) -> dict[str, Any]:
        """The object that `keyfob doctor --json` lists, with what to do."""
        return {
            "name": self.name,
            "subject": self.subject or None,
            "ok": self.ok,
            "level": self.level,
            "text": self.text,
            "remedy": remedy,
        }
