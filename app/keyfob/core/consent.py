"""Which program may have which account's token: what a user is asked, and what they answered. Values only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339


class Reply(StrEnum):
    """A user's answer. `ONCE` is for the request that asks, and is not written down."""

    ONCE = "once"
    HOUR = "hour"
    ALWAYS = "always"
    NO = "no"


# A refusal is valid for a while, so that a program that keeps asking does not keep asking the user.
LASTS: dict[Reply, timedelta | None] = {
    Reply.ONCE: timedelta(0),
    Reply.HOUR: timedelta(hours=1),
    Reply.ALWAYS: None,
    Reply.NO: timedelta(hours=1),
}


@dataclass(frozen=True, slots=True)
class Program:
    """A program as the system reports it: absolute paths, the folder it works in, and what started it,
    nearest first. An empty `executable`: the system does not say.
    """

    executable: str
    script: str | None = None
    folder: str = ""
    parents: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """What a permission is for: this program with this script,
        wherever it works and whatever started it.
        """
        return hashlib.sha256(f"{self.executable}\0{self.script or ''}".encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """For a sentence: the script's or the executable's file name."""
        path = self.script or self.executable
        return plain(path.rpartition("/")[2] or path, 60) or "an unknown program"


@dataclass(frozen=True, slots=True)
class Question:
    """What the user is asked: may this program have the token of this account?"""

    account_id: str
    program: Program


@dataclass(frozen=True, slots=True)
class Permission:
    """A saved answer. `until` None: forever."""

    id: str
    account_id: str  # as it was called then; `account_key` names it
    account_key: str
    executable: str
    script: str | None
    reply: Reply
    at: datetime
    until: datetime | None

    def stands(self, now: datetime) -> bool:
        """Whether it still holds at `now`: one without an end always does."""
        return self.until is None or now < self.until

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob permissions --json` shows."""
        return {
            "id": self.id,
            "account": self.account_id,
            "executable": self.executable,
            "script": self.script,
            "reply": str(self.reply),
            "at": to_rfc3339(self.at),
            "until": to_rfc3339(self.until),
        }
