"""Finds values in text: lines, words as a shell reads them, and the strings of a JSON text. Pure.

Called by the importer, which replaces only a secret's own characters. `yaml_places` does the same for YAML.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

# A word as a shell reads it: bare, escaped and quoted parts in any order.
WORD = re.compile(r"""(?:[^ \t\r\n"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with the place where it begins; its end of line is cut off."""
    at = 0
    for line in text.split("\n"):
        yield at, line.removesuffix("\r")
        at += len(line) + 1


def inside(start: int, end: int, text: str) -> tuple[int, int]:
    """The place of a value without the quotes around it."""
    quoted = end - start > 1 and text[start] == text[end - 1] and text[start] in "\"'"
    return (start + 1, end - 1) if quoted else (start, end)


def shell_words(line: str) -> list[tuple[str, int, int]]:
    """A line's words as a shell reads them, each with its place inside its quotes; with an open quote, as
    they are.
    """
    try:
        words = shlex.split(line, posix=True)
        places = [inside(*each.span(), line) for each in WORD.finditer(line)]
        if len(words) == len(places):
            return [(word, *place) for word, place in zip(words, places, strict=True)]
    except ValueError:
        pass
    return [(each[0], *each.span()) for each in re.finditer(r"\S+", line)]


def json_object(text: str) -> dict[str, Any]:
    """An empty one if the text is not a JSON object."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def json_strings(text: str) -> Iterator[tuple[tuple[str, ...], str, int, int]]:
    """The strings that are values in a JSON text: names above each, the string, and its place inside the
    quotes. The text is known to be JSON.
    """
    above: list[
        tuple[str, bool]
    ] = []  # of each open bracket: the name before it, and whether it is an object's
    name, is_name = "", False
    for token in _JSON_TOKEN.finditer(text):
        match token[0][0]:
            case "{" | "[" as opening:
                above.append((name, opening == "{"))
                name, is_name = "", opening == "{"
            case "}" | "]":
                above.pop()
                is_name = False
            case ",":
                is_name = above[-1][1]
            case ":":
                is_name = False
            case '"' if is_name:
                name = json.loads(token[0])
            case '"':
                path = [each for each, _ in above[1:]]
                names = (*path, name) if above[-1][1] else tuple(path)
                yield names, json.loads(token[0]), token.start() + 1, token.end() - 1
