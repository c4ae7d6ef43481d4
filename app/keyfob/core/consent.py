"""Which program may have which account's token: what a user is asked, and what they answered. Values only."""

from __future__ import annotations

import hashlib
import shlex
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
        """For a sentence: the script's or the executable's file name; `python3 -c …` for code that is not in
        a file.
        """
        path = self.script or self.executable
        if path.startswith("-"):
            return plain(as_typed(_file_name(self.executable), path), 60)
        return plain(_file_name(path), 60) or "an unknown program"

    @property
    def command(self) -> str:
        """The words that name it to `keyfob permissions --allow`."""
        script = self.script or ""
        words = script.split(" ", 1) if script.startswith("-m ") else [script] if script else []
        return shlex.quote(shlex.join([self.executable, *words]))


def as_typed(executable: str, script: str | None) -> str:
    """A program as a line: its script; an interpreter's option after the interpreter; else the executable."""
    if script is None or not script.startswith("-"):
        return script or executable
    # `-m module` says which; after the others comes code.
    return f"{executable} {script}" if " " in script else f"{executable} {script} …"


def _file_name(path: str) -> str:
    return path.rpartition("/")[2] or path


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
