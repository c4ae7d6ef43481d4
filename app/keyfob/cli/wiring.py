"""Changes to other tools' files: written whole, with a backup beside each, and taken back exactly.

What was done is noted in `state/wired.json` (paths and checksums, never content). `undo` puts the backup back where
the file is still as we left it; where somebody has changed it since, only our part is taken out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyfob.adapters.home import write_private
from keyfob.cli import tool_edits
from keyfob.core.errors import SettingWrong

SUFFIX = ".before-keyfob"
NOTES = "wired.json"
Take = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Change:
    """One file's new text. `before` None: there is no such file yet."""

    path: Path
    before: str | None
    after: str
    mode: int = 0o600  # of a new file; one that exists keeps its own

    @property
    def needed(self) -> bool:
        return self.before != self.after

    def shown(self) -> list[str]:
        return tool_edits.shown(self.before or "", self.after, str(self.path))


def read(path: Path) -> str | None:
    """The file's text, None where there is none. Raises SettingWrong."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingWrong(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


class Wiring:
    """Over Keyfob's own state folder. For one command at a time."""

    def __init__(self, state: Path) -> None:
        self._file = state / NOTES

    def notes(self, tool: str) -> dict[str, Any] | None:
        """What `wire` noted: `files` and `told`, the words that undoing needs. None where it was not wired."""
        found: dict[str, Any] | None = self._all().get(tool)
        return found

    def make(self, tool: str, changes: list[Change], told: dict[str, str]) -> None:
        """Write the changes, each with a backup of what was there. Raises SettingWrong; what is written stays."""
        files = dict((self.notes(tool) or {"files": {}})["files"])
        for change in changes:
            path = change.path.resolve()  # a link to somebody's dotfiles stays a link
            if read(path) != change.before:
                raise SettingWrong(f"{path} was changed meanwhile", remedy="Run this again.")
            known = files.get(str(path))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                backup = path.with_name(path.name + SUFFIX)
                if change.before is not None and known is None:
                    _write(backup, change.before, path.stat().st_mode & 0o777)
                _write(path, change.after, path.stat().st_mode & 0o777 if path.exists() else change.mode)
            except OSError as error:
                raise SettingWrong(f"{error.filename or path} cannot be written: {error.strerror}") from None
            existed = known["existed"] if known else change.before is not None
            files[str(path)] = {"existed": existed, "digest": _digest(change.after)}
            self._note(tool, {"files": files, "told": told})

    def undoing(self, tool: str, take: Take) -> list[tuple[Change, bool]]:
        """What `undo` will do, to be shown: each change, and whether the file goes altogether. `take` takes our part
        out of a text that was changed since."""
        out = []
        for name, note in (self.notes(tool) or {"files": {}})["files"].items():
            path = Path(name)
            now = read(path)
            if now is None:
                continue
            if _digest(now) == note["digest"]:
                before = read(path.with_name(path.name + SUFFIX)) if note["existed"] else ""
                after = take(now) if before is None else before
                out.append((Change(path, now, after), not note["existed"]))
            else:
                out.append((Change(path, now, take(now)), False))
        return out

    def undo(self, tool: str, changes: list[tuple[Change, bool]]) -> None:
        """Raises SettingWrong."""
        try:
            for change, gone in changes:
                if gone:
                    change.path.unlink(missing_ok=True)
                elif change.needed:
                    _write(change.path, change.after, change.path.stat().st_mode & 0o777)
            for name in (self.notes(tool) or {"files": {}})["files"]:
                Path(name + SUFFIX).unlink(missing_ok=True)
        except OSError as error:
            raise SettingWrong(f"{error.filename} cannot be written: {error.strerror}") from None
        self._note(tool, None)

    def _all(self) -> dict[str, Any]:
        try:
            body = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise SettingWrong(
                f"{self._file} is damaged", remedy="Remove it; backups end in " + SUFFIX
            ) from None
        return dict(body)

    def _note(self, tool: str, note: dict[str, Any] | None) -> None:
        body = {**self._all(), tool: note}
        kept = {name: value for name, value in body.items() if value is not None}
        write_private(self._file, json.dumps(kept, indent=2).encode())


def _write(path: Path, text: str, mode: int) -> None:
    write_private(path, text.encode())
    os.chmod(path, mode)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
