"""Writes a preset's table as TOML, for `providers add`: strings, numbers, booleans, lists of them, and tables
one level deep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def to_toml(table: Mapping[str, object], *, comment: str = "") -> str:
    """A file's text; keys without a value (None, empty list, text or table) are left out. Plain values come
    before tables, as TOML needs it. Raises TypeError for what a preset cannot hold.
    """
    lines = [f"# {line}" for line in comment.splitlines()]
    tables: list[tuple[str, Mapping[str, object]]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            tables.append((key, value))
        elif not _empty(value):
            lines.append(f"{key} = {_value(value)}")
    for name, entries in tables:
        values = {key: value for key, value in entries.items() if not _empty(value)}
        if values:
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, str | Sequence | Mapping) and not value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no preset holds a {type(value).__name__}")
