"""Does a preset's table have the shape of the schema? Every fault at once, each with its key and what it should be.

msgspec stops at the first fault; a person who writes a preset wants them all. So the tables are walked here, and
msgspec judges each leaf. Called by `checks`. Knows nothing of what a preset means.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from keyfob.core.text import plain
from keyfob.providers.schema import Preset

SECRET_KEYS = frozenset(
    {"client_secret", "secret_value", "password", "token", "access_token", "refresh_token", "private_key"}
)


@dataclass(frozen=True, slots=True)
class PresetFault:
    """One fault of one preset: the dotted key, what is wrong with it and what it should be."""

    key: str
    problem: str
    should: str
    file: str = ""

    def sentence(self) -> str:
        """One line, whatever the file holds: a key may be any text."""
        where = f"{self.file}: " if self.file else ""
        return plain(f"{where}{self.key or 'the file'} {self.problem}; {self.should}", 600)

    def within(self, file: str) -> PresetFault:
        return replace(self, file=file)

    def to_json(self) -> dict[str, str]:
        return {"file": self.file, "key": self.key, "problem": self.problem, "should": self.should}


def shape_faults(table: Mapping[str, Any]) -> list[PresetFault]:
    """The faults of shape of a preset's merged table. Empty: `msgspec.convert` to `Preset` will succeed."""
    return list(_table(table, Preset, ""))


def without(table: Mapping[str, Any], faults: list[PresetFault]) -> dict[str, Any]:
    """The table with every faulty key left out, so that the rest can be judged too."""
    bad = {fault.key for fault in faults}
    return _prune(table, bad, "")


def _prune(table: Mapping[str, Any], bad: set[str], at: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in table.items():
        here = f"{at}{key}"
        if here in bad:
            continue
        match value:
            case Mapping():
                out[key] = _prune(value, bad, f"{here}.")
            case list():
                out[key] = [
                    _prune(item, bad, f"{here}.{n}.") if isinstance(item, Mapping) else item
                    for n, item in enumerate(value)
                    if f"{here}.{n}" not in bad and not _misses(item, bad, f"{here}.{n}.")
                ]
            case _:
                out[key] = value
    return out


def _misses(item: Any, bad: set[str], at: str) -> bool:
    """Whether a table in a list has lost a key that it cannot be without."""
    return isinstance(item, Mapping) and any(f"{at}{key}" in bad for key in ("name", "title"))


def _table(table: Mapping[str, Any], struct: type[Struct], at: str) -> Iterator[PresetFault]:
    known = {field.name: field for field in fields(struct)}
    for key, value in table.items():
        here = f"{at}{plain(key, 60)}"
        if key not in known:
            yield _unknown(key, here, tuple(known))
        else:
            yield from _value(value, known[key].type, here)
    for field in known.values():
        if field.required and field.name not in table:
            yield PresetFault(f"{at}{field.name}", "is missing", f"it should be {expected(field.type)}")


def _unknown(key: str, here: str, known: tuple[str, ...]) -> PresetFault:
    if key in SECRET_KEYS:
        return PresetFault(
            here, "is a secret", "a preset holds none: Keyfob asks for it and keeps it in the keychain"
        )
    elsewhere = [path for path in _paths() if path.rpartition(".")[2] == key and path != here]
    if elsewhere:
        return PresetFault(here, "stands in the wrong table", f"it should be {' or '.join(elsewhere)}")
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return PresetFault(here, "is not a key of a preset", f"did you mean {near[0]}?")
    return PresetFault(here, "is not a key of a preset", f"the keys here are {', '.join(known)}")


def _paths() -> list[str]:
    """The dotted path of every key one table deep."""
    out: list[str] = []
    for field in fields(Preset):
        inner = _struct_of(field.type)
        if inner is not None:
            out += [f"{field.name}.{name}" for name in inner.__struct_fields__]
        else:
            out.append(field.name)
    return out


def _value(value: Any, kind: Any, here: str) -> Iterator[PresetFault]:
    inner = _struct_of(kind)
    if inner is not None:
        if isinstance(value, Mapping):
            yield from _table(value, inner, f"{here}.")
        else:
            yield PresetFault(here, _is(value), f"it should be a table, [{here}]")
        return
    bare = _bare(kind)
    origin = get_origin(bare)
    if origin is tuple:
        yield from _list(value, kind, get_args(bare)[0], here)
    elif origin is dict:
        yield from _texts(value, here)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            yield PresetFault(here, _is(value), f"it should be {expected(kind)}")


def _list(value: Any, kind: Any, item: Any, here: str) -> Iterator[PresetFault]:
    if not isinstance(value, list):
        yield PresetFault(here, _is(value), f"it should be a list, each {expected(item)}")
        return
    for n, entry in enumerate(value):
        yield from _value(entry, item, f"{here}.{n}")
    if not value and any(meta.min_length for meta in _metas(kind)):
        yield PresetFault(here, "is empty", f"it should be a list, each {expected(item)}")


def _texts(value: Any, here: str) -> Iterator[PresetFault]:
    if not isinstance(value, Mapping):
        yield PresetFault(here, _is(value), f"it should be a table of texts, [{here}]")
        return
    for key, entry in value.items():
        if not isinstance(entry, str):
            yield PresetFault(f"{here}.{plain(key, 60)}", _is(entry), "it should be a text")


def _is(value: Any) -> str:
    """How a wrong value reads in a sentence; a text is quoted only where it cannot be a secret."""
    match value:
        case bool():
            return f"is {str(value).lower()}"
        case int() | float():
            return f"is {plain(value, 40)}"
        case str():
            return f'is "{plain(value, 40)}"' if len(value) <= 40 else "is a text that does not fit"
        case list():
            return "is a list"
        case Mapping():
            return "is a table"
        case _:
            return f"is a {type(value).__name__}"


def expected(kind: Any) -> str:
    """What a key should be, in words."""
    described = [meta.description for meta in _metas(kind) if meta.description]
    bare = _bare(kind)
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(bare))
    limits = "".join(_limit(meta) for meta in _metas(kind))
    noun = {str: "a text", int: "a whole number", bool: "true or false"}.get(bare)
    if noun is None:
        noun = "a list" if get_origin(bare) is tuple else "a table"
    return noun + limits + (f" ({'; '.join(described)})" if described else "")


def _limit(meta: Meta) -> str:
    out = ""
    if meta.ge is not None and meta.le is not None:
        out += f" from {meta.ge} to {meta.le}"
    if meta.max_length is not None:
        out += f" of {meta.min_length or 0} to {meta.max_length} characters"
    return out


def _metas(kind: Any) -> list[Meta]:
    """The constraints of a type, through `| None` and nested annotations, outermost first."""
    if get_origin(kind) is Annotated:
        return [meta for meta in kind.__metadata__ if isinstance(meta, Meta)] + _metas(kind.__origin__)
    if get_origin(kind) in (Union, types.UnionType):
        return [meta for arm in get_args(kind) for meta in _metas(arm)]
    return []


def _bare(kind: Any) -> Any:
    """The type without annotations and `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(kind.__origin__)
    if get_origin(kind) in (Union, types.UnionType):
        return _bare(next(arm for arm in get_args(kind) if arm is not type(None)))
    return kind


def _struct_of(kind: Any) -> type[Struct] | None:
    bare = _bare(kind)
    return bare if isinstance(bare, type) and issubclass(bare, Struct) else None


__all__ = ["PresetFault", "expected", "shape_faults", "without"]
