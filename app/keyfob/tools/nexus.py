"""Mod tools: the Nexus Mods key in a JSON file of their settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.entries import KEY, Entry, Format
from keyfob.tools.text_places import json_object, json_strings
from keyfob.tools.tool import Tool

DEPTH = 6  # of a JSON settings file
_NEXUS_KEY = re.compile(r"(nexus[\w.-]*)?(api[_-]?key|apikey|personal[_-]?key)", re.IGNORECASE)


def nexus(text: str) -> Iterator[Entry]:
    """A JSON settings file with a Nexus Mods key in it, at any of the names that mod tools give it."""
    if not json_object(text):
        return
    for path, value, start, end in json_strings(text):
        if value and len(path) <= DEPTH and _NEXUS_KEY.fullmatch(path[-1].rpartition(".")[2]):
            yield Entry(
                KEY,
                provider="nexusmods",
                secret=Secret(value),
                spans=(Span(start, end),),
                variable=".".join(filter(None, path)),
            )


# Any JSON file that is none of the other tools'. Its keys decide.
TOOL = Tool(
    "nexus", formats=(Format("nexus", "a mod tool's settings", nexus, lambda _, body: body is not None),)
)
