"""Words of command lines in desktop entries and D-Bus service files, where each has its own escapes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def exec_line(words: Sequence[str]) -> str:
    """The value of `Exec` in a desktop entry (Desktop Entry specification, "The Exec key")."""
    return " ".join(_quoted(word) for word in words)


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
    return shlex.join(words).replace("\\", "\\\\")


def path_value(path: str) -> str:
    """A path that is a whole value, such as `TryExec`."""
    return path.replace("\\", "\\\\")
