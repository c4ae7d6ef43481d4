"""Reads a preset's table as a `core.provider.Provider`, and reports all errors of form at once.

Someone who writes a preset wants to see all its errors, so a key with an error is left out and the rest is
read. Called by `checks`, and by the reader of companion tools for its own classes. Knows nothing about the
meaning of a preset. Pure and thread-safe.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

from keyfob.core.limits import Limits
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.core.untyped import Json
from keyfob.providers.schema import bare, keys_of, limits, meanings, table_of

SECRET_KEYS = frozenset(
    {"client_secret", "secret_value", "password", "token", "access_token", "refresh_token", "private_key"}
)


@dataclass(frozen=True, slots=True)
class PresetFault:
    """One fault of one preset, or of the file of a companion tool: the dotted key, what is wrong with it and
    what it should be.
    """

    key: str
    problem: str
    should: str
    file: str = ""

    def sentence(self) -> str:
        """One line, whatever the file holds: a key may be any text."""
        where = f"{self.file}: " if self.file else ""
        return plain(f"{where}{self.key or 'the file'} {self.problem}; {self.should}", 600)

    def within(self, file: str) -> PresetFault:
        """The same fault, with the name of the preset file."""
        return replace(self, file=file)

    def to_json(self) -> dict[str, str]:
        """The object that `keyfob providers check --json` lists."""
        return {"file": self.file, "key": self.key, "problem": self.problem, "should": self.should}


def read(table: Mapping[str, Any]) -> tuple[Provider, list[PresetFault]]:
    """The provider of a merged table, and the faults of its shape. With faults it holds what is right, so
    that the rules can judge the rest: a faulty key has its default, and a faulty entry of a list is gone.
    """
    values, faults = read_table(table, Provider, "a preset")
    return Provider(**{"id": "x", "title": "X", **values}), faults


def read_table(
    table: Mapping[str, Any], shape: type[Any], noun: str
) -> tuple[dict[str, Any], list[PresetFault]]:
    """The right values of a table by the keys of `shape`, a dataclass, and the faults of its form. `noun`:
    what such a table is called in a sentence, as "a preset".
    """
    reader = _Reader(shape, noun)
    return reader.table(table, shape, ""), reader.faults


class _Faulty:
    """Marks a value that cannot be used."""


FAULTY = _Faulty()


class _Reader:
    """One reading of one table. Not thread-safe."""

    def __init__(self, root: type[Any], noun: str) -> None:
        self._root, self._noun = root, noun
        self.faults: list[PresetFault] = []

    def _fault(self, key: str, problem: str, should: str) -> _Faulty:
        self.faults.append(PresetFault(key, problem, should))
        return FAULTY

    def table(self, table: Mapping[str, Any], shape: type[Any], at: str) -> dict[str, Any]:
        """The right values of a table by key."""
        known = keys_of(shape)
        values: dict[str, Any] = {}
        for name, value in table.items():
            here = f"{at}{plain(name, 60)}"
            if name not in known:
                self.faults.append(self._unknown(name, here, tuple(known)))
                continue
            read = self._value(value, known[name].kind, here)
            if not isinstance(read, _Faulty):
                values[name] = read
        for key in known.values():
            if key.required and key.name not in table:
                self._fault(f"{at}{key.name}", "is missing", f"it should be {expected(key.kind)}")
        return values

    def _value(self, value: object, kind: object, here: str) -> object:
        inner = table_of(kind)
        if inner is not None:
            return self._inner(value, inner, here)
        origin = get_origin(bare(kind))
        if origin is tuple:
            return self._list(value, kind, here)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._texts(value, here)
        return value if _fits(value, kind) else self._fault(here, _is(value), _should(value, kind))

    def _inner(self, value: object, shape: type[Any], here: str) -> object:
        if not isinstance(value, Mapping):
            return self._fault(here, _is(value), f"it should be a table, [{here}]")
        values = self.table(value, shape, f"{here}.")
        needed = (key.name for key in keys_of(shape).values() if key.required)
        return shape(**values) if all(name in values for name in needed) else FAULTY

    def _list(self, value: object, kind: object, here: str) -> object:
        item = get_args(bare(kind))[0]
        should = f"it should be a list, each {expected(item)}"
        if not isinstance(value, list):
            return self._fault(here, _is(value), should)
        if not value and any(limit.least for limit in limits(kind)):
            return self._fault(here, "is empty", should)
        read = (self._value(entry, item, f"{here}.{n}") for n, entry in enumerate(value))
        return tuple(entry for entry in read if not isinstance(entry, _Faulty))

    def _texts(self, value: object, here: str) -> object:
        if not isinstance(value, Mapping):
            return self._fault(here, _is(value), f"it should be a table of strings, [{here}]")
        for name, entry in value.items():
            if not isinstance(entry, str):
                self._fault(f"{here}.{plain(name, 60)}", _is(entry), "it should be a string")
        return MappingProxyType({name: entry for name, entry in value.items() if isinstance(entry, str)})

    def _unknown(self, key: str, here: str, known: tuple[str, ...]) -> PresetFault:
        if key in SECRET_KEYS:
            return PresetFault(
                here,
                "is a secret",
                f"{self._noun} must not contain one: Keyfob asks for it and keeps it in the keychain",
            )
        elsewhere = [path for path in _paths(self._root) if path.rpartition(".")[2] == key and path != here]
        if elsewhere:
            return PresetFault(here, "is in the wrong table", f"it should be {' or '.join(elsewhere)}")
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        if near:
            return PresetFault(here, f"is not a key of {self._noun}", f"did you mean {near[0]}?")
        return PresetFault(
            here, f"is not a key of {self._noun}", f"the keys of this table are {', '.join(known)}"
        )


def _should(value: object, kind: object) -> str:
    """What a single value should be, with the word that was probably meant."""
    words = get_args(bare(kind)) if get_origin(bare(kind)) is Literal else ()
    near = difflib.get_close_matches(value, words, n=1, cutoff=0.75) if isinstance(value, str) else []
    return (f'did you mean "{near[0]}"? It' if near else "it") + f" should be {expected(kind)}"


def _fits(value: Json, kind: object) -> bool:
    """Whether a single value has the type, and is within its bounds."""
    wanted = bare(kind)
    if get_origin(wanted) is Literal:
        return isinstance(value, str) and value in get_args(wanted)
    return type(value) is wanted and all(_within(value, limit) for limit in limits(kind))


def _within(value: str | int, limit: Limits) -> bool:
    size = len(value) if isinstance(value, str) else value
    if limit.least is not None and size < limit.least:
        return False
    if limit.most is not None and size > limit.most:
        return False
    return limit.pattern is None or re.fullmatch(limit.pattern, str(value)) is not None


def _paths(root: type[Any]) -> list[str]:
    """The dotted path of every key one table deep."""
    out: list[str] = []
    for key in keys_of(root).values():
        inner = table_of(key.kind)
        out += [key.name] if inner is None else [f"{key.name}.{name}" for name in keys_of(inner)]
    return out


def _is(value: object) -> str:
    """How a wrong value reads in a sentence; a text is quoted only if it cannot be a secret."""
    match value:
        case bool():
            return f"is {str(value).lower()}"
        case int() | float():
            return f"is {plain(value, 40)}"
        case str():
            return f'is "{plain(value, 40)}"' if len(value) <= 40 else "does not match"
        case list():
            return "is a list"
        case Mapping():
            return "is a table"
        case _:
            return f"is a {type(value).__name__}"


def expected(kind: object) -> str:
    """What a key should be, in words."""
    wanted = bare(kind)
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(wanted))
    nouns: dict[object, str] = {str: "a string", int: "a whole number", bool: "true or false"}
    noun = nouns.get(wanted)
    if noun is None:
        noun = "a list" if get_origin(wanted) is tuple else "a table"
    bounds = "".join(_bounds(limit, wanted) for limit in limits(kind))
    described = "; ".join(meanings(kind))
    return noun + bounds + (f" ({described})" if described else "")


def _bounds(limit: Limits, wanted: object) -> str:
    if limit.most is None:
        return ""
    if wanted is int:
        return f" from {limit.least} to {limit.most}"
    return f" of {limit.least or 0} to {limit.most} characters"
