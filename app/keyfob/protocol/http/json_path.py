"""A small notation for a place in an answer, so that a preset needs no code.

Used by `identity` and `token`. It only reads.

    email                       the value of a key
    name.display_name           a key within an object
    data.0.id                   an item of a list
    a.b|c|=none                 the first of these that exists; `=text` is the text itself
    roles~owner,member          the first of these words that is in the list (or is the value) at the path
    is_premium?premium          the word, if the value is true
    https://cdn/{id}/{icon}     a text with values filled in (percent-encoded in an address);
                                nothing if one is missing

A key may contain dots (`https://api.openai.com/auth.chatgpt_plan_type`):
the longest key that matches is tried first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from keyfob.core.untyped import Json

_SLOT = re.compile(r"\{([^{}]*)\}")
_ALTERNATIVE = re.compile(r"\|(?![^{}]*\})")  # a bar outside braces


def read_path(data: object, path: str) -> Json:
    """The value at `path`, None if nothing does. JSON null and the empty text count as nothing."""
    for alternative in _ALTERNATIVE.split(path):
        found = _read_one(data, alternative.strip())
        if found is not None and found != "":
            return found
    return None


def _read_one(data: object, path: str) -> Json:
    if path.startswith("="):
        return path[1:]
    if _SLOT.search(path):
        return _fill(data, path)
    if "~" in path:
        where, _, words = path.partition("~")
        value = _walk(data, where)
        there = value if isinstance(value, list) else [value]
        return next((word for word in words.split(",") if word in there), None)
    where, question, word = path.partition("?")
    value = _walk(data, where)
    if question:
        return word if value is True else None
    return value


def _walk(data: object, path: str) -> Json:
    if not path:
        return data
    parts = path.split(".")
    if isinstance(data, list):
        index = parts[0]
        if not (index.isascii() and index.isdecimal() and len(index) < 6 and int(index) < len(data)):
            return None
        return _walk(data[int(index)], ".".join(parts[1:]))
    if not isinstance(data, Mapping):
        return None
    for count in range(len(parts), 0, -1):
        key = ".".join(parts[:count])
        if key in data:
            found = _walk(data[key], ".".join(parts[count:]))
            if found is not None:
                return found
    return None


def _fill(data: object, template: str) -> str | None:
    in_address = template.startswith("https://")
    missing = False

    def put_in(slot: re.Match[str]) -> str:
        nonlocal missing
        found = read_path(data, slot[1])
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            missing = True
            return ""
        text = str(found)
        return quote(text.encode("utf-8", "replace"), safe="") if in_address else text

    filled = _SLOT.sub(put_in, template)
    return None if missing else filled
