"""The file of the model table: read again when it changes, and edited without touching what else is in it."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path

from keyfob.core.errors import KeyfobError, NotFound, SettingWrong, Usage
from keyfob.core.text import plain
from keyfob.gateway.llm.formats import Format
from keyfob.gateway.models.table import Entry, ModelTable, read
from keyfob.process.home import write_private

log = logging.getLogger("keyfob.gateway")
FILE = "models.yaml"  # in Keyfob's config folder
LOOK_EVERY = 1.0  # seconds
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]*(\*[A-Za-z0-9._/@-]*)?")


def load(path: Path) -> ModelTable:
    """The table; empty if there is no such file. Raises SettingWrong."""
    return read(_text(path), path.name)


class WatchedTable:
    """The table as the file has it, looked at once a second at most. For one event loop."""

    def __init__(self, path: Path, *, strict: bool = True) -> None:
        """Raises SettingWrong if it is `strict` and the file is faulty now. Other faults are logged, and the
        table stays as it was.
        """
        self.path = path
        self._stamp = self._stamp_now()
        self._table = ModelTable()
        if strict:
            self._table = load(path)
        else:
            self._read()
        self._looked = time.monotonic()

    def now(self) -> ModelTable:
        """Reads a small file at most."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return self._table
        self._looked = time.monotonic()
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        return self._table

    def _read(self) -> None:
        try:
            self._table = load(self.path)
        except KeyfobError as error:
            log.warning("The model table stays as it was: %s", error.message)

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def add(path: Path, name: str, account: str, model: str | None, format: Format | None) -> Entry:
    """Writes an entry to the end of the file. Raises Usage if the name is there, SettingWrong."""
    text = _text(path)
    if name in {one.name for one in read(text, path.name).entries}:
        raise Usage(f"{name} is already in {path.name}", remedy=f"Run: keyfob models remove {name}")
    lines = [f"{_word(name)}:", f"  account: {_word(account)}"]
    lines += [f"  model: {_word(model)}"] if model is not None else []
    lines += [f"  format: {format}"] if format is not None else []
    text += ("" if not text or text.endswith("\n") else "\n") + "\n".join(lines) + "\n"
    entry = next((one for one in read(text, path.name).entries if one.name == name), None)
    if entry is None:
        raise Usage(f"{plain(name, 80)!r} is not a model's name")
    _write(path, text)
    return entry


def remove(path: Path, name: str) -> Entry:
    """Takes an entry out. Comments and other entries stay. Raises NotFound, SettingWrong."""
    text = _text(path)
    found = next((one for one in read(text, path.name).entries if one.name == name), None)
    if found is None:
        raise NotFound(f"{name} is not in {path.name}", remedy="To see the table, run: keyfob models list")
    lines = text.splitlines(keepends=True)
    rest = "".join(lines[: found.line - 1] + lines[found.end :])
    read(rest, path.name)
    _write(path, rest)
    return found


def _word(text: str) -> str:
    """A YAML scalar: plain if that is safe, else quoted as JSON, which YAML contains."""
    return text if _PLAIN.fullmatch(text) and not _is_special(text) else json.dumps(text, ensure_ascii=False)


def _is_special(text: str) -> bool:
    import yaml

    return not isinstance(yaml.safe_load(text), str)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise SettingWrong(f"{path} cannot be read") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text.encode())
    except OSError as error:
        raise SettingWrong(f"{path} cannot be written: {error.strerror}") from None
