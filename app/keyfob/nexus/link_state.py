"""Who gets the `nxm://` links: what each system's registration has in common."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from keyfob.core.errors import SettingWrong
from keyfob.process.home import write_private


@dataclass(frozen=True, slots=True)
class LinkState:
    """Who gets the links. `program`: another program that has them; None if Keyfob or no program has."""

    on: bool
    program: str | None = None

    def to_json(self) -> dict[str, str | bool | None]:
        """As `keyfob nexus links --json` shows it."""
        return {"on": self.on, "program": self.program}


class LinkHandler(Protocol):
    """The system's registration. Blocks on small files. Raises SettingWrong `file_unwritable`, or
    `links_unsupported` on a system that has none for us.
    """

    @property
    def path(self) -> Path | None:
        """The file of the registration; None where there is none."""

    def state(self) -> LinkState:
        """Who gets the links now. Keyfob with another home counts as another program."""

    def turn_on(self) -> None:
        """Take the links. Who had them before is remembered. The caller has asked."""

    def turn_off(self) -> None:
        """Give them back to who had them before, and remove what `turn_on` made."""


class Before:
    """Remembers who had the links, in a file of Keyfob's. Raises OSError."""

    def __init__(self, data: Path) -> None:
        self._path = data / "nexus-links.json"

    def get(self) -> str | None:
        """Who it was; None if no program had them."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._path.read_bytes())["before"]
            return found if isinstance(found, str) else None
        return None

    def put(self, program: str | None) -> None:
        """It was this program."""
        write_private(self._path, json.dumps({"before": program}).encode())

    def drop(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """A failure to write, as the error that the faces explain."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingWrong(
            f"The program for nxm links cannot be changed: {reason}",
            code="file_unwritable",
            facts={"path": str(folder)},
        ) from error
