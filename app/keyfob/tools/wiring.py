"""Changes to other tools' files: written whole, with a backup beside each, and taken back exactly.

What was done is noted in `state/wired.json` (paths and checksums, never content). `undo` puts the backup back, byte by
byte, if the file is still as we left it; if somebody has changed it since, only our part is taken out. Texts have `\\n`
at the ends of their lines; the file keeps its own line ends and its byte order mark.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keyfob.adapters.system import tool_files
from keyfob.core.errors import SettingWrong
from keyfob.process.home import write_private
from keyfob.tools.edits import Change

SUFFIX = tool_files.BACKUP_SUFFIX
NOTES = "wired.json"
BOM = b"\xef\xbb\xbf"
Take = Callable[[str], str]


def read(path: Path) -> str | None:
    """The file's text, None if there is no such file. Raises SettingWrong."""
    data = _bytes(path)
    return None if data is None else text_of(data)


def text_of(data: bytes) -> str:
    """A file's content as the edits take it: `\\n` ends each line, unless the file mixes both ends."""
    text = data.removeprefix(BOM).decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n") if _has_crlf(data) else text


def bytes_of(text: str, like: bytes) -> bytes:
    """The inverse of `text_of`, in the manner of the file's old content."""
    if _has_crlf(like):
        text = text.replace("\n", "\r\n")
    return (BOM if like.startswith(BOM) else b"") + text.encode("utf-8", "surrogateescape")


def _has_crlf(data: bytes) -> bool:
    """Whether every line ends with CR LF."""
    return b"\n" in data and data.count(b"\r\n") == data.count(b"\n")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingWrong(f"{path} cannot be read: {error.strerror}") from None


class Wiring:
    """Over Keyfob's own state folder. For one command at a time."""

    def __init__(self, state: Path) -> None:
        self._file = state / NOTES

    def notes(self, tool: str) -> dict[str, Any] | None:
        """What `wire` saved: `files` and `told`, the values that undoing needs. None if it was not wired."""
        found: dict[str, Any] | None = self._all().get(tool)
        return found

    def make(self, tool: str, changes: list[Change], told: dict[str, str]) -> None:
        """Write the changes, each with a backup of what was there. Raises SettingWrong; what is written stays."""
        files = dict((self.notes(tool) or {"files": {}})["files"])
        for change in changes:
            path = change.path.resolve()  # a link to somebody's dotfiles stays a link
            known = files.get(str(path))
            data = _bytes(path)
            if (None if data is None else text_of(data)) != change.before:
                raise tool_files.changed(path)
            after = bytes_of(change.after, data or b"")
            note = known or {"existed": data is not None, "backup": None}
            try:
                if data is None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    tool_files.create(path, after, change.mode)
                elif known is None:
                    note["backup"] = tool_files.replace(path, data, after, private=False).name
                else:
                    tool_files.write_over(path, data, after)
            except OSError as error:
                raise SettingWrong(f"{error.filename or path} cannot be written: {error.strerror}") from None
            files[str(path)] = {**note, "digest": _digest(after)}
            self._note(tool, {"files": files, "told": told})

    def undoing(self, tool: str, take: Take) -> list[tuple[Change, bool]]:
        """What `undo` will do, to be shown: each change, and whether the file goes altogether. `take` takes our part
        out of a text that was changed since."""
        out = []
        for name, note in (self.notes(tool) or {"files": {}})["files"].items():
            path = Path(name)
            data = _bytes(path)
            if data is None:
                continue
            now, old = text_of(data), None
            untouched = _digest(data) == note["digest"]
            if untouched and not note["existed"]:
                out.append((Change(path, now, ""), True))
                continue
            if untouched:
                old = _bytes(_backup(path, note))
            out.append((Change(path, now, take(now) if old is None else text_of(old), exact=old), False))
        return out

    def undo(self, tool: str, changes: list[tuple[Change, bool]]) -> None:
        """Raises SettingWrong."""
        files = (self.notes(tool) or {"files": {}})["files"]
        try:
            for change, gone in changes:
                path = change.path.resolve()
                data = _bytes(path)
                if data is None or text_of(data) != change.before:
                    raise tool_files.changed(path)
                if gone:
                    path.unlink()
                elif change.needed:
                    exact = bytes_of(change.after, data) if change.exact is None else change.exact
                    tool_files.write_over(path, data, exact)
            for name, note in files.items():
                if note["existed"]:
                    _backup(Path(name), note).unlink(missing_ok=True)
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


def _backup(path: Path, note: dict[str, Any]) -> Path:
    return path.with_name(note.get("backup") or path.name + SUFFIX)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
