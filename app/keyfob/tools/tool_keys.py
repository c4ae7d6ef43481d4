"""The keys with which tools use the gateway: one file a tool, which only its owner can read.

They are not in the keychain. Whoever can read these files can also make such keys, and tools need them while
the keychain is locked. A key may do what its grants say, and `keyfob unwire` ends it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.process.home import open_home, write_private

FOLDER = "gateway-keys"


class ToolKey(NamedTuple):
    """A key, and the address of the gateway that it is for."""

    gateway: str
    key: Secret


def tool_key(tool: str) -> ToolKey | None:
    """For the small programs that tools run, in this process's home. Raises SettingWrong."""
    if not re.fullmatch(r"[a-z0-9-]{1,40}", tool):
        return None
    return ToolKeys(Path(open_home().state)).load(tool)


class ToolKeys:
    """Over Keyfob's own state folder. Blocking."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def load(self, tool: str) -> ToolKey | None:
        """None if the tool has none. Raises SettingWrong."""
        try:
            gateway, _, key = (self._folder / tool).read_text("utf-8").strip().partition("\n")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SettingWrong(f"The key of {tool} cannot be read: {type(error).__name__}") from None
        return ToolKey(gateway, Secret(key)) if key else None

    def save(self, tool: str, key: ToolKey | None) -> None:
        """Instead of an earlier one; None removes it. Raises SettingWrong."""
        try:
            if key is None:
                (self._folder / tool).unlink(missing_ok=True)
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._folder / tool, f"{key.gateway}\n{key.key.reveal()}\n".encode())
        except OSError as error:
            raise SettingWrong(f"The key of {tool} cannot be saved: {error.strerror}") from None
