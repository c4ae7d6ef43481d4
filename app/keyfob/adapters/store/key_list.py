"""The keys of the accounts in a store, in a separate file next to it: `accounts.keys`.

If the store is emptied, goes back to an older state or is damaged, the list shows which accounts are missing,
and their keys find their descriptions in the vault. It contains no secret. Lines are only added: `+key` when
an account is new, `-key` when it is removed. A line that was cut off is ignored.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from keyfob.process.home import ours_alone

log = logging.getLogger(__name__)


class KeyList:
    """Safe across threads and processes: a line is one write. Never raises: the store matters more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keys(self) -> list[str]:
        """In the order they were added."""
        try:
            lines = self.path.read_text("ascii", errors="replace").split("\n")[:-1]
        except OSError:
            return []
        found: dict[str, None] = {}
        for line in lines:
            if line[:1] == "+" and line[1:]:
                found[line[1:]] = None
            elif line[:1] == "-":
                found.pop(line[1:], None)
        return list(found)

    def add(self, *keys: str) -> None:
        """Append the keys of new accounts. Raises OSError."""
        self._append("".join(f"+{key}\n" for key in keys))

    def remove(self, key: str) -> None:
        """Append that the account is gone. Raises OSError."""
        self._append(f"-{key}\n")

    def _append(self, line: str) -> None:
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(self.path, flags, 0o600)
            try:
                ours_alone(handle)
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            log.warning("%s cannot be written: %s", self.path.name, error.strerror)
