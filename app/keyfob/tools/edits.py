"""Edits of other tools' settings, text in and text out: one block of
Keyfob between two marks, or one key in JSON.

Called by `keyfob wire` and `unwire`. Making an edit twice changes nothing more. Removing it leaves every
other line unchanged. Nothing that is shown contains a secret of the file's other lines.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong

BEGIN = "# >>> keyfob wire {tool}: removed by `keyfob unwire {name}`"
END = "# <<< keyfob wire {tool}"
# Values of other lines that a diff may come across: a kubeconfig's certificates, an npmrc's tokens.
_SECRET = re.compile(
    r"(?i)((?:_auth\w*|_password|\w*token|password|passwd|\w*secret\w*|[\w-]+-data|\bauth)[\"']?\s*[:="
    r"]\s*)(?!\$\{)\S+"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One file's new text. `before` None: there is no such file yet.
    `exact`: the very bytes, if they are known. `private`: it holds a key, so nobody else may read the file.
    """

    path: Path
    before: str | None
    after: str
    mode: int = 0o600  # of a new file; one that exists keeps its own
    exact: bytes | None = None
    private: bool = False

    @property
    def needed(self) -> bool:
        """Whether the file would change at all."""
        return self.before != self.after or self.exact is not None

    def lines(self) -> list[str]:
        """The change as a diff, with secrets masked."""
        return shown(self.before or "", self.after, str(self.path))


def with_block(text: str, tool: str, lines: Sequence[str], *, after: str | None = None) -> str:
    """The text with our block instead of an earlier one; new, after the line `after`, or at the end."""
    block = [begin_of(tool), *lines, END.format(tool=tool)]
    rows = text.split("\n")
    place = _place(rows, tool)
    if place is not None:
        rows[place] = block
    elif after is not None and after in rows:
        at = rows.index(after) + 1
        rows[at:at] = block
    else:
        gap = rows[-1:] == [""]
        rows[len(rows) - gap :] = [*block, ""]
    return "\n".join(rows)


def with_block_first(text: str, tool: str, lines: Sequence[str]) -> str:
    """As `with_block`; a new one comes before everything else."""
    if _place(text.split("\n"), tool) is not None:
        return with_block(text, tool, lines)
    return "\n".join([begin_of(tool), *lines, END.format(tool=tool), text])


def without_block(text: str, tool: str) -> str:
    """The text without our block; the same text if there is none."""
    rows = text.split("\n")
    place = _place(rows, tool)
    if place is not None:
        rows[place] = []
    return "\n".join(rows)


def begin_of(tool: str) -> str:
    """The first line of its block. A tool with more than one block adds a word to its name."""
    return BEGIN.format(tool=tool, name=tool.partition(" ")[0])


def _place(rows: list[str], tool: str) -> slice | None:
    begin, end = begin_of(tool), END.format(tool=tool)
    if begin not in rows:
        return None
    first = rows.index(begin)
    if end not in rows[first:]:
        raise SettingWrong(
            f"The block of keyfob wire {tool} in this file has no end",
            remedy="Remove the block by hand, then try again.",
        )
    return slice(first, rows.index(end, first) + 1)


def with_json(text: str, change: Callable[[dict[str, Any]], None], path: str) -> str:
    """The JSON object with `change` made in it; indented as it was. Raises SettingWrong if it is none."""
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError:
        raise SettingWrong(f"{path} is not JSON", remedy="Correct the file, then try again.") from None
    if not isinstance(body, dict):
        raise SettingWrong(f"{path} is not a JSON object", remedy="Correct the file, then try again.")
    before = json.dumps(body)
    change(body)
    if json.dumps(body) == before and text.strip():
        return text
    indent = re.search(r"\n([ \t]+)\S", text)
    return json.dumps(body, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"


def toml_table(text: str, path: Path, name: str) -> dict[str, Any]:
    """The table `name` of a TOML file, empty if it has none. Raises SettingWrong if the file is not TOML."""
    try:
        found = tomllib.loads(text).get(name, {})
    except tomllib.TOMLDecodeError as error:
        raise SettingWrong(
            f"{path} is not TOML: {error}", remedy="Correct the file, then try again."
        ) from None
    return found if isinstance(found, dict) else {}


def shown(before: str, after: str, path: str) -> list[str]:
    """The change as a user reads it: changed lines alone, with their neighbours' secrets masked. For JSON the
    changed top-level keys alone, so that another formatting does not show the whole file.
    """
    old, new = _reduced(before, after)
    lines = list(difflib.unified_diff(old, new, path, path, n=0, lineterm=""))
    return [masked(line) for line in lines if not line.startswith("@@")]


def masked(line: str) -> str:
    """The line with a secret's value replaced by `…`."""
    return _SECRET.sub(r"\1…", line)


def _reduced(before: str, after: str) -> tuple[list[str], list[str]]:
    try:
        old, new = json.loads(before or "{}"), json.loads(after or "{}")
    except ValueError:
        return before.splitlines(), after.splitlines()
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return before.splitlines(), after.splitlines()
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    parts = ({name: body[name] for name in names if name in body} for body in (old, new))
    first, second = (
        json.dumps(part, indent=2, ensure_ascii=False).splitlines() if part else [] for part in parts
    )
    return first, second
