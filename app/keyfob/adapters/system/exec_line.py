"""Words of command lines in desktop entries and D-Bus service files, where each has its own escapes.

All raise SettingWrong `home_unusable` for a path that cannot be on one line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from keyfob.core.errors import SettingWrong

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def exec_line(words: Sequence[str]) -> str:
    """The value of `Exec` in a desktop entry (Desktop Entry specification, "The Exec key")."""
    return " ".join(_quoted(_on_one_line(word)) for word in words)


def _quoted(word: str) -> str:
    """Double quotes with their own escapes; % is doubled. Backslashes are escaped once more, as in every
    string of a desktop entry.
    """
    safe = word.replace("%", "%%")
    if shlex.quote(safe) == safe or (safe and all(c.isalnum() or c in "/._-=%+:,@" for c in safe)):
        return safe
    inner = safe.replace("\\", "\\\\\\\\")
    for char in '"`$':
        inner = inner.replace(char, f"\\\\{char}")
    return f'"{inner}"'


def service_exec_line(words: Sequence[str]) -> str:
    """The value of `Exec` in a D-Bus service file: a shell's quotes, in a string of a desktop entry."""
    return shlex.join(map(_on_one_line, words)).replace("\\", "\\\\")


def path_value(path: str) -> str:
    """A path that is a whole value, such as `TryExec`."""
    return _on_one_line(path).replace("\\", "\\\\")


def _on_one_line(word: str) -> str:
    """A line break would begin another line of the file, with another command."""
    if _CONTROL.search(word):
        raise SettingWrong(
            "A menu entry cannot contain a path with a line break or another control character",
            code="home_unusable",
        )
    return word
