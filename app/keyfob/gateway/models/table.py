"""The model table: which account a model's name stands for. A YAML file that the user writes.

    gpt-5.5:
      account: openai-api/work
    claude-*:
      account: openai-codex/me
      model: gpt-5.5
      format: openai_responses

Names are looked up first, then patterns in the order of the file. `*` stands for any text; in `model` it
stands for what it was in the name. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast, get_args

from keyfob.core.errors import SettingWrong
from keyfob.core.text import plain
from keyfob.gateway.llm.formats import Format

FORMATS: tuple[Format, ...] = get_args(Format)
SIZE_MOST = 1 << 20  # characters
_KEYS = ("account", "model", "format")
_ACCOUNT = re.compile(r"[a-z0-9-]+/\S+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name or pattern. `line` and `end` are its first and its last line in the file, counted from 1."""

    name: str
    account: str  # provider/label
    model: str | None  # the upstream's name; None: the caller's
    format: Format | None  # None: the caller's, if the account speaks it
    line: int
    end: int

    def upstream(self, name: str) -> str | None:
        """The upstream's name of the model that a caller calls `name`; None if this entry is for another."""
        parts = map(re.escape, self.name.split("*"))
        found = re.fullmatch("(.*)".join(parts), name, re.DOTALL)
        if found is None:
            return None
        if self.model is None:
            return name
        return self.model.replace("*", found[1], 1) if found.groups() else self.model


class ModelTable:
    """Immutable."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries
        self._exact = {one.name: one for one in entries}
        self._patterns = [one for one in entries if "*" in one.name]

    @property
    def names(self) -> list[str]:
        """The models, without patterns."""
        return [one.name for one in self.entries if "*" not in one.name]

    def find(self, name: str) -> tuple[Entry, str] | None:
        """The entry for a caller's model, and the upstream's name of it."""
        exact = self._exact.get(name)
        for entry in [exact] if exact is not None else self._patterns:
            model = entry.upstream(name)
            if model is not None:
                return entry, model
        return None


def read(text: str, file: str) -> ModelTable:
    """The table of a file's text. `file` is its name, for errors. Raises SettingWrong, with the line."""
    import yaml

    if len(text) > SIZE_MOST:
        raise SettingWrong(f"{file} is longer than {SIZE_MOST >> 20} MB")
    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise _wrong(file, line, f"this is not YAML ({plain(error.problem or 'unreadable', 80)})") from None
    except (yaml.YAMLError, RecursionError):
        raise SettingWrong(f"{file} is not YAML") from None
    if root is None:
        return ModelTable()
    if root.id != "mapping":
        raise _wrong(
            file, root.start_mark.line + 1, "a model table has names of models, each with an account"
        )
    entries: dict[str, Entry] = {}
    for key, value in root.value:
        entry = _entry(key, value, file)
        if entry.name in entries:
            raise _wrong(file, entry.line, f"{entry.name} is here twice")
        entries[entry.name] = entry
    return ModelTable(tuple(entries.values()))


def _entry(key: Any, value: Any, file: str) -> Entry:  # noqa: ANN401  # PyYAML's nodes have no types
    line = key.start_mark.line + 1
    if key.id != "scalar" or not key.value:
        raise _wrong(file, line, "this is not a model's name")
    name = plain(key.value, 200)
    if value.id != "mapping":
        raise _wrong(file, line, f"{name} needs an account, such as account: openai-api/work")
    given: dict[str, str] = {}
    for inner, text in value.value:
        at = inner.start_mark.line + 1
        if inner.id != "scalar" or inner.value not in _KEYS:
            raise _wrong(file, at, f"{name} has a key that does not exist; the keys are {', '.join(_KEYS)}")
        if text.id != "scalar" or not text.value or inner.value in given:
            raise _wrong(file, at, f"{inner.value} of {name} must be one text")
        given[inner.value] = text.value
    if not _ACCOUNT.fullmatch(given.get("account", "")):
        raise _wrong(file, line, f"{name} needs an account, such as account: openai-api/work")
    if given.get("format", FORMATS[0]) not in FORMATS:
        raise _wrong(file, line, f"the format of {name} must be one of {', '.join(FORMATS)}")
    if "*" in given.get("model", "") and "*" not in key.value:
        raise _wrong(file, line, f"model of {name} has a * and the name has none")
    # A block's own end is where the next one begins, behind comments.
    last = value if value.flow_style else value.value[-1][1]
    found = cast("Format | None", given.get("format"))
    return Entry(key.value, given["account"], given.get("model"), found, line, last.end_mark.line + 1)


def _wrong(file: str, line: int, problem: str) -> SettingWrong:
    return SettingWrong(f"{file}, line {line}: {problem}")
