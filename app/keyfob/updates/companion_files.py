"""Reads the files of companion tools: those that come with Keyfob, and the user's own.

A user's file replaces one of Keyfob's with the same id. All faults of a file are reported at once, and a file
with faults affects no other tool. Thread-safe. Never writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keyfob.core import patterns
from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.resources import resources
from keyfob.core.text import plain
from keyfob.providers.catalogue import ID, ID_MOST, SUFFIX, read_bounded
from keyfob.providers.inheritance import FaultyPresetError, parse
from keyfob.providers.schema_check import PresetFault, read_table
from keyfob.providers.values import url_fault
from keyfob.updates.companions import VERSION, Companion, VersionSource

FOLDER = "companions"
NOUN = "a companion tool"
_FILLED = re.compile(r"\{[^{}]*\}")
_KNOWN = frozenset({"{version}", "{tag}"})


class CompanionFiles:
    """`own`: the folder that comes with Keyfob; `user`: the user's, which need not exist."""

    def __init__(self, own: Path, user: Path) -> None:
        self._own, self.user = own, user

    def all(self) -> list[Companion]:
        """Every tool whose file has no faults, by title."""
        found = [tool for tool, _ in self._read().values() if tool is not None]
        return sorted(found, key=lambda tool: (tool.title.casefold(), tool.id))

    def get(self, tool_id: str) -> Companion:
        """The tool. Raises NotFound `tool_not_found`, SettingWrong `tool_file_faulty`."""
        found = self._read().get(tool_id)
        if found is None:
            raise NotFound(
                f"Keyfob knows no tool called {plain(tool_id, 60)}",
                code="tool_not_found",
                facts={"path": str(self.user)},
            )
        tool, faults = found
        if tool is None:
            raise SettingWrong(
                f"The file of a tool has an error: {faults[0].sentence()}",
                code="tool_file_faulty",
                facts={"path": str(self.user / f"{tool_id}{SUFFIX}")},
            )
        return tool

    def faults(self) -> list[PresetFault]:
        """The faults of all files, each naming its file."""
        return [fault for _, faults in self._read().values() for fault in faults]

    def _read(self) -> dict[str, tuple[Companion | None, tuple[PresetFault, ...]]]:
        found: dict[str, tuple[Companion | None, tuple[PresetFault, ...]]] = {}
        for folder in (self._own, self.user):
            for path in _files(folder):
                found[path.stem] = read_file(path)
        return found


def standard(config: Path) -> CompanionFiles:
    """The tools that come with Keyfob and those in `companions/` of a home's `config` folder."""
    return CompanionFiles(resources() / FOLDER, config / FOLDER)


def read_file(path: Path) -> tuple[Companion | None, tuple[PresetFault, ...]]:
    """The tool of a file, or None, and the faults. Each fault names the file."""
    try:
        data = read_bounded(path)
    except OSError as error:
        fault = PresetFault("", f"cannot be read ({error.strerror})", "correct its permissions")
        return None, (fault.within(path.name),)
    tool, faults = read(data)
    if tool is not None and tool.id != path.stem:
        faults = (PresetFault("id", f'is "{tool.id}"', f'it must be "{path.stem}", like the file name'),)
    return (None if faults else tool), tuple(fault.within(path.name) for fault in faults)


def read(data: bytes) -> tuple[Companion | None, tuple[PresetFault, ...]]:
    """The tool that these bytes describe, or None, and all faults."""
    try:
        table = parse(data)
        values, faults = read_table(table, Companion, NOUN)
    except FaultyPresetError as found:
        return None, found.faults
    except RecursionError:
        return None, (PresetFault("", "is nested too deeply", "it has at most two levels of tables"),)
    filled: dict[str, Any] = {
        "id": "x", "title": "X", "description": "X", "program": "x",
        "version": VersionSource(pattern="(?P<version>.+)"),
    } | values  # fmt: skip
    tool = Companion(**filled)
    faults += [fault for rule in RULES for fault in rule(tool)]
    return (None if faults else tool), tuple(faults)


# --- rules --------------------------------------------------------------------------------------------------


def _pattern_faults(tool: Companion) -> Iterator[PresetFault]:
    for key, pattern in (("version.pattern", tool.version.pattern), ("releases.tag", tool.releases.tag)):
        should = patterns.fault(pattern)
        if should is not None:
            yield PresetFault(key, "is not accepted", should)
        elif VERSION not in re.compile(pattern).groupindex:
            yield PresetFault(key, "has no group called version", "write (?P<version>…) around the version")


def _release_faults(tool: Companion) -> Iterator[PresetFault]:
    source = tool.releases
    if (source.github is None) == (source.url is None):
        yield PresetFault("releases", "needs one source", "give either github or url")
    if source.url is not None:
        should = url_fault(source.url)
        if should is not None:
            yield PresetFault("releases.url", "is not an address that Keyfob uses", should)
    if source.format == "json" and source.field is None:
        yield PresetFault("releases.field", "is missing", "name the field that has the tag")
    if source.only is not None and source.format != "json":
        yield PresetFault("releases.only", "needs JSON", 'set format to "json"')


def _download_faults(tool: Companion) -> Iterator[PresetFault]:
    if tool.install.how != "notice" and not tool.downloads:
        yield PresetFault("downloads", "is missing", 'add [[downloads]], or set install.how to "notice"')
    seen = set()
    for number, each in enumerate(tool.downloads):
        at = f"downloads.{number}"
        if (each.system, each.machine) in seen:
            yield PresetFault(at, f"repeats {each.system} on {each.machine}", "give each of them once")
        seen.add((each.system, each.machine))
        if (each.name is None) == (each.url is None):
            yield PresetFault(at, "needs one source", "give either name or url")
        if each.name is not None and tool.releases.github is None:
            yield PresetFault(f"{at}.name", "needs a release on GitHub", "give url instead")
        if tool.install.how == "folder" and each.program is None:
            yield PresetFault(f"{at}.program", "is missing", "give the path of the program in the archive")
        if each.program is not None and (each.program.startswith("/") or ".." in each.program.split("/")):
            yield PresetFault(f"{at}.program", "leads out of the archive", "it should be a relative path")


def _template_faults(tool: Companion) -> Iterator[PresetFault]:
    texts = [("releases.page", tool.releases.page)]
    for number, each in enumerate(tool.downloads):
        at = f"downloads.{number}"
        for name in ("name", "url", "program", "checksums"):
            texts.append((f"{at}.{name}", getattr(each, name)))
    for key, text in texts:
        unknown = sorted(set(_FILLED.findall(text or "")) - _KNOWN)
        if unknown:
            yield PresetFault(key, f"has {unknown[0]}", "only {version} and {tag} can stand in it")
        elif text is not None and ("://" in text or key.endswith((".url", ".page"))):
            should = url_fault(text)
            if should is not None:
                yield PresetFault(key, "is not an address that Keyfob uses", should)


RULES = (_pattern_faults, _release_faults, _download_faults, _template_faults)


def _files(folder: Path) -> Sequence[Path]:
    """The files of a folder, by name; none if it does not exist."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return ()
    return [
        path
        for path in found
        if path.suffix == SUFFIX and path.is_file() and len(path.stem) <= ID_MOST and ID.fullmatch(path.stem)
    ]
