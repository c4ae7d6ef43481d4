"""Changes to other tools' files: written whole, with a backup next to each, and taken back exactly.

What was done is noted in `state/wired.json`: paths and checksums, what was asked for, never content. `undo`
puts the backup back, byte by byte, if the file is still as we left it; if somebody has changed it since, only
our part is taken out. Texts have `\\n` at the ends of their lines; the file keeps its own line ends and its
byte order mark.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong, Usage
from keyfob.ports import BACKUP_SUFFIX, OutputOf, ToolFiles, file_changed
from keyfob.process.home import write_private
from keyfob.process.own_process import find_program
from keyfob.tools import edits
from keyfob.tools.edits import Change
from keyfob.tools.registry import SETUPS
from keyfob.tools.setup import GatewayAccess, SetupPlan, SetupRequest

NOTES = "wired.json"
State = Literal["not_wired", "wired", "changed"]
BOM = b"\xef\xbb\xbf"


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


class Wiring:
    """Over Keyfob's own state folder. For one command at a time."""

    def __init__(
        self,
        state: Path,
        files: ToolFiles,
        output_of: OutputOf,
        *,
        home: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._file = state / NOTES
        self._files = files
        self._output_of = output_of
        self._home = home
        self._environment = environment

    def plan(
        self,
        tool: str,
        accounts: Sequence[AccountView],
        everyone: Sequence[AccountView],
        *,
        named: bool,
        options: Mapping[str, str],
        here: Path,
        gateway: GatewayAccess | None = None,
    ) -> SetupPlan:
        """What `make` would change so that this tool asks Keyfob, or uses the gateway. Raises SettingWrong,
        NotFound, Usage.
        """
        request = SetupRequest(
            accounts=accounts,
            everyone=everyone,
            named=named,
            options=options,
            environment=self._environment,
            home=self._home,
            here=here,
            read=self._text,
            output_of=self._output_of,
            gateway=gateway,
        )
        self._refuse_other_way(tool, gateway is not None)
        setup = SETUPS[tool]
        if gateway is None:
            return setup.plan(request)
        if setup.gateway is None:
            able = ", ".join(name for name, each in SETUPS.items() if each.gateway is not None)
            raise Usage(f"{tool} cannot be set up through the gateway", remedy=f"These can: {able}.")
        found = setup.gateway.plan(request, gateway)
        for change in found.changes:
            _refuse_readable(change)
        return found

    def _refuse_other_way(self, tool: str, through_gateway: bool) -> None:
        notes = self.notes(tool)
        if notes is not None and _is_through_gateway(notes) is not through_gateway:
            now = "a token" if through_gateway else "the gateway"
            raise SettingWrong(
                f"{tool} is set up already, and uses {now}", remedy=f"Run `keyfob unwire {tool}` first."
            )

    def notes(self, tool: str) -> dict[str, Any] | None:
        """What `wire` saved: `files`, `told`, the values that undoing needs, and `asked`, as `make` got it.
        None if it was not wired.
        """
        found: dict[str, Any] | None = self._all().get(tool)
        return found

    def wired(self) -> list[str]:
        """The tools that `wire` set up, in the order of the list of tools."""
        notes = self._all()
        return [tool for tool in SETUPS if tool in notes]

    def state(self, tool: str) -> State:
        """`changed`: it was set up, and our part or a file was removed since. Raises SettingWrong."""
        notes = self.notes(tool)
        if notes is None:
            return "not_wired"
        return (
            "wired" if all(self._has_ours(tool, Path(name), notes) for name in notes["files"]) else "changed"
        )

    def missing_helper(self, tool: str) -> str | None:
        """The program that a tool is set up to run and that is not there: its path, or its name if no folder
        of the PATH has it. Raises SettingWrong.
        """
        helper, notes = SETUPS[tool].helper, self.notes(tool)
        if helper is None or notes is None or not notes["files"]:
            return None
        if _is_through_gateway(notes):
            helper = "keyfob"  # which prints the key
        for name in notes["files"]:
            named = re.search(rf"(/[^\s\"']*/{re.escape(helper)})(?![\w-])", self._text(Path(name)) or "")
            if named is not None:
                return None if Path(named[1]).exists() else named[1]
        return None if find_program(helper, self._environment.get("PATH")) else helper

    def _has_ours(self, tool: str, path: Path, notes: Mapping[str, Any]) -> bool:
        data = self._files.read(path)
        if data is None:
            return False
        if _digest(data) == notes["files"][str(path)]["digest"]:
            return True
        text = text_of(data)
        return _without_ours(tool, text, notes) != text

    def make(
        self,
        tool: str,
        changes: list[Change],
        values: dict[str, str],
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the changes, each with a backup of what was there. `asked`: what the tool is set up for,
        which is noted too. Raises SettingWrong; what is written stays.
        """
        before = self.notes(tool) or {"files": {}}
        files = dict(before["files"])
        asked = before.get("asked") if asked is None else asked
        for change in changes:
            path = change.path.resolve()  # a link to somebody's dotfiles stays a link
            known = files.get(str(path))
            data = self._files.read(path)
            if (None if data is None else text_of(data)) != change.before:
                raise file_changed(path)
            after = bytes_of(change.after, data or b"")
            note = known or {"existed": data is not None, "backup": None}
            try:
                if data is None:
                    self._files.create(path, after, change.mode)
                elif known is None:
                    note["backup"] = self._files.replace(path, data, after, private=False).name
                else:
                    self._files.write_over(path, data, after)
            except OSError as error:
                raise SettingWrong(f"{error.filename or path} cannot be written: {error.strerror}") from None
            files[str(path)] = {**note, "digest": _digest(after)}
            self._note(tool, {"files": files, "told": values, "asked": asked})
        if not changes:
            self._note(tool, {"files": files, "told": values, "asked": asked})

    def undoing(self, tool: str) -> list[tuple[Change, bool]]:
        """What `undo` will do, to be shown: each change, and whether the file goes altogether. From a text
        that was changed since, only our part goes.
        """
        out = []
        notes = self.notes(tool) or {"files": {}, "told": {}}
        for name, note in notes["files"].items():
            path = Path(name)
            data = self._files.read(path)
            if data is None:
                continue
            now, old = text_of(data), None
            untouched = _digest(data) == note["digest"]
            if untouched and not note["existed"]:
                out.append((Change(path, now, ""), True))
                continue
            if untouched:
                old = self._files.read(_backup(path, note))
            after = _without_ours(tool, now, notes) if old is None else text_of(old)
            out.append((Change(path, now, after, exact=old), False))
        return out

    def undo(self, tool: str, changes: list[tuple[Change, bool]]) -> None:
        """Raises SettingWrong."""
        files = (self.notes(tool) or {"files": {}})["files"]
        try:
            for change, gone in changes:
                path = change.path.resolve()
                data = self._files.read(path)
                if data is None or text_of(data) != change.before:
                    raise file_changed(path)
                if gone:
                    self._files.remove(path)
                elif change.needed:
                    exact = bytes_of(change.after, data) if change.exact is None else change.exact
                    self._files.write_over(path, data, exact)
            for name, note in files.items():
                if note["existed"]:
                    self._files.remove(_backup(Path(name), note))
        except OSError as error:
            raise SettingWrong(f"{error.filename} cannot be written: {error.strerror}") from None
        self._note(tool, None)

    def _text(self, path: Path) -> str | None:
        data = self._files.read(path)
        return None if data is None else text_of(data)

    def _all(self) -> dict[str, Any]:
        try:
            body = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise SettingWrong(
                f"{self._file} is damaged", remedy="Remove it; backups end in " + BACKUP_SUFFIX
            ) from None
        return dict(body)

    def _note(self, tool: str, note: dict[str, Any] | None) -> None:
        body = {**self._all(), tool: note}
        kept = {name: value for name, value in body.items() if value is not None}
        write_private(self._file, json.dumps(kept, indent=2).encode())


def _without_ours(tool: str, text: str, notes: Mapping[str, Any]) -> str:
    setup = SETUPS[tool]
    undo = setup.gateway.undo if setup.gateway is not None and _is_through_gateway(notes) else setup.undo
    return edits.without_block(text, tool) if undo is None else undo(text, notes["told"])


def _is_through_gateway(notes: Mapping[str, Any]) -> bool:
    return bool((notes.get("asked") or {}).get("gateway"))


def _refuse_readable(change: Change) -> None:
    """Raises SettingWrong if others could read the key in the file."""
    path = change.path
    if change.private and os.name != "nt" and path.exists() and path.stat().st_mode & 0o077:
        raise SettingWrong(
            f"Other users can read {path}, and it would hold a key",
            remedy=f"Run: chmod 600 {shlex.quote(str(path))}",
        )


def _backup(path: Path, note: dict[str, Any]) -> Path:
    return path.with_name(note.get("backup") or path.name + BACKUP_SUFFIX)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
