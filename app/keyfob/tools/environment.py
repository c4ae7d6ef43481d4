"""Environment files: the keys in `NAME=value` lines whose name is a provider's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.entries import KEY, Entry, Format
from keyfob.tools.text_places import WORD, inside, lines

_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
_ENV_VALUE = re.compile(rf"\s*({WORD.pattern})(?:\s+#.*|\s*)", re.DOTALL)


def environment(text: str, variables: Mapping[str, str]) -> Iterator[Entry]:
    """`NAME=value` lines; `variables` says which name is whose key."""
    for at, line in lines(text):
        found = _ENV_LINE.fullmatch(line)
        if found is None or found[1] not in variables:
            continue
        word = _ENV_VALUE.fullmatch(found[2])
        if word is None or word[1].startswith("#"):
            continue
        value = "".join(shlex.split(word[1]))
        if value and "$" not in value:
            start, end = inside(*word.span(1), found[2])
            shift = at + found.start(2)
            yield Entry(
                KEY,
                provider=variables[found[1]],
                secret=Secret(value),
                spans=(Span(shift + start, shift + end),),
                variable=found[1],
            )


def format_of(variables: Mapping[str, str]) -> Format:
    """`variables`: name → the provider whose key it holds."""

    def parse(text: str) -> Iterator[Entry]:
        return environment(text, variables)

    return Format("env", "an environment file", parse, _recognized, named=_named)


def _named(name: str, _: str) -> bool:
    return name == ".env" or name.startswith(".env.") or name.endswith(".env")


def _recognized(text: str, body: Mapping[str, Any] | None) -> bool:
    return body is None and any(_ENV_LINE.fullmatch(line) for line in text.splitlines())
