"""The preset file format, as `core.provider` declares it: the keys of
each table, and the JSON Schema for editors.

Called by `schema_check`, and by the build script that writes `docs/preset.schema.json`.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from keyfob.core.limits import Limits, Meaning
from keyfob.core.provider import Provider

NOT_IN_FILES = frozenset({"origin", "plain_host", "publisher"})  # from elsewhere: the file's place, the user


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: its type with all marks, and whether the table cannot be without it."""

    name: str
    kind: object
    required: bool


_KEYS: dict[type[Any], dict[str, Key]] = {}  # by table: looking up the types takes a millisecond


def keys_of(table: type[Any]) -> dict[str, Key]:
    """The keys of a table, in the order of its class. Thread-safe."""
    if table not in _KEYS:
        _KEYS[table] = _keys(table)
    return _KEYS[table]


def _keys(table: type[Any]) -> dict[str, Key]:
    hints = get_type_hints(table, include_extras=True)
    return {
        field.name: Key(
            field.name, hints[field.name], field.default is MISSING and field.default_factory is MISSING
        )
        for field in fields(table)
        if field.name not in NOT_IN_FILES
    }


@cache
def bare(kind: object) -> object:
    """The type without marks and without `| None`."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return bare(next(arm for arm in get_args(kind) if arm is not type(None)))
    return kind


@cache
def limits(kind: object) -> tuple[Limits, ...]:
    """The bounds on a type, outermost first."""
    return tuple(mark for mark in _marks(kind) if isinstance(mark, Limits))


def meanings(kind: object) -> list[str]:
    """What a type's marks say that it is for, outermost first."""
    return [mark.text for mark in _marks(kind) if isinstance(mark, Meaning)]


def _marks(kind: object) -> list[object]:
    if get_origin(kind) is Annotated:
        return [*get_args(kind)[1:], *_marks(get_args(kind)[0])]
    if get_origin(kind) in (Union, types.UnionType):
        return [mark for arm in get_args(kind) for mark in _marks(arm)]
    return []


def table_of(kind: object) -> type[Any] | None:
    """The class of a type that is a table with its own keys."""
    found = bare(kind)
    return found if isinstance(found, type) and is_dataclass(found) else None


# --- for editors --------------------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a preset file. `extends` and `drop` are only in files."""
    definitions: dict[str, Any] = {}
    reference = _reference(Provider, definitions)
    preset = definitions[Provider.__name__]
    preset["properties"] = {
        "extends": {
            "type": "string",
            "description": "the id of a preset to extend; values in this file replace its values",
        },
        "drop": {
            "type": "array",
            "items": {"type": "string"},
            "description": "tables and keys of the preset to extend that this one does not have",
        },
        **preset["properties"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Keyfob provider preset",
        **reference,
        "$defs": definitions,
    }


def _reference(table: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A reference to the table's definition, which is added with those it needs."""
    if table.__name__ not in definitions:
        definition: dict[str, Any] = {"title": table.__name__, "description": table.__doc__, "type": "object"}
        definitions[table.__name__] = definition
        keys = keys_of(table)
        example = table(**{key.name: "" for key in keys.values() if key.required})
        definition["properties"] = {
            name: _property(key.kind, definitions)
            | ({} if key.required else _default(getattr(example, name)))
            for name, key in keys.items()
        }
        definition["required"] = [name for name, key in keys.items() if key.required]
        definition["additionalProperties"] = False
    return {"$ref": f"#/$defs/{table.__name__}"}


def _property(kind: object, definitions: dict[str, Any]) -> dict[str, Any]:
    said = meanings(kind)
    out: dict[str, Any] = {"description": "; ".join(said)} if said else {}
    plain = bare(kind)
    table = table_of(kind)
    if table is not None:
        return out | _reference(table, definitions)
    if get_origin(plain) is Literal:
        return out | {"enum": list(get_args(plain))}
    if get_origin(plain) is tuple:
        out |= {"type": "array", "items": _property(get_args(plain)[0], definitions)}
        names = ("minItems", "maxItems")
    elif plain is str:
        out["type"] = "string"
        names = ("minLength", "maxLength")
    elif plain is int:
        out["type"] = "integer"
        names = ("minimum", "maximum")
    elif plain is bool:
        return out | {"type": "boolean"}
    else:
        return out | {"type": "object", "additionalProperties": {"type": "string"}}
    for limit in limits(kind):
        bounds = zip(names, (limit.least, limit.most), strict=True)
        out |= {name: bound for name, bound in bounds if bound is not None}
        if limit.pattern is not None:
            out["pattern"] = f"^{limit.pattern}$"
    return out


def _default(value: object) -> dict[str, Any]:
    """What an absent key means, if a file can say it."""
    if isinstance(value, (str, int)):
        return {"default": value}
    if isinstance(value, tuple) and value:
        return {"default": list(value)}
    return {}
