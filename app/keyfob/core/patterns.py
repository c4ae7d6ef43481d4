"""A preset's regular expressions: which ones are accepted, and how a text is matched.

A preset may come from a stranger, and Python's matcher backtracks: `(a+)+$` takes years on a text of 50
characters. So a pattern is accepted only if the number of ways in which it can split a text of `TEXT_MOST`
characters is small. Called by the checks, by `substitute`, by the reader of answers and by the window's form.
Pure and thread-safe.
"""

from __future__ import annotations

import re
import re._constants as code  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from keyfob.core.limits import PATTERN_MOST
from keyfob.core.untyped import Json

TEXT_MOST = 256  # characters of a text that is matched
WAYS_MOST = TEXT_MOST**2 * 32  # about 0.1 s on a slow computer: two open repeats, and something more
_ONE = frozenset({code.LITERAL, code.NOT_LITERAL, code.ANY, code.IN})
_REPEATS = frozenset({code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT})
_LOOKS = frozenset({code.ASSERT, code.ASSERT_NOT})


class _RefusedError(Exception):
    """What a pattern should be and is not."""


def fault(pattern: str) -> str | None:
    """What the pattern should be, if it is not taken; else None. Never raises, never takes long."""
    return _judged(pattern[: PATTERN_MOST + 1])


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches. A pattern that is not taken and a text that is too long match
    nothing.
    """
    if len(text) > TEXT_MOST or len(pattern) > PATTERN_MOST or fault(pattern) is not None:
        return False
    return re.fullmatch(pattern, text) is not None


@lru_cache(maxsize=256)
def _judged(pattern: str) -> str | None:
    if len(pattern) > PATTERN_MOST:
        return f"it should be at most {PATTERN_MOST} characters long"
    try:
        parsed = parser.parse(pattern)
        if _ways(parsed) > WAYS_MOST:
            return "it should have fewer repeats and alternatives, so that matching stays fast"
        re.compile(pattern)
    except _RefusedError as refused:
        return str(refused)
    except (re.error, RecursionError, OverflowError, ValueError):
        return "it should be a regular expression"
    return None


def _ways(nodes: Iterable[Any]) -> int:
    """At most this many paths lead through the nodes, one after the other. Raises _RefusedError."""
    ways = 1
    for kind, value in nodes:
        ways *= _ways_of(kind, value)
        if ways > WAYS_MOST:
            break  # the numbers must not grow without end
    return ways


def _ways_of(kind: object, value: Json) -> int:
    if kind in _ONE or kind is code.AT:
        return 1
    if kind is code.BRANCH:
        return sum(_ways(branch) for branch in value[1])
    if kind is code.SUBPATTERN:
        return _ways(value[-1])
    if kind is code.ATOMIC_GROUP:
        return _ways(value)
    if kind in _LOOKS:
        return _ways(value[1])
    if kind in _REPEATS:
        least, most, body = value
        if len(body) != 1 or body[0][0] not in _ONE:
            raise _RefusedError("it should repeat only single characters, as in [a-z]+, and not a (group)")
        return int(min(most, TEXT_MOST) - min(least, TEXT_MOST)) + 1
    raise _RefusedError("it should not contain back-references")
