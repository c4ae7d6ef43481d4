"""The limits of a preset's values beyond their types, as marks on the fields of `core.provider`.

Python and mypy ignore the marks. `providers.schema_check` checks files against them, and `providers.schema`
writes them into the JSON Schema for editors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, both included: of a whole number, of the characters of a text, or of the entries of a list."""

    least: int | None = None
    most: int | None = None
    pattern: str | None = None  # a regular expression that a whole text matches, without ^ and $


@dataclass(frozen=True, slots=True)
class Meaning:
    """A few words for who writes a preset: a fault shows them, and so does an editor."""

    text: str


PATTERN_MOST = 256  # characters of a regular expression in a preset
# No control characters, line separators, bidi marks and invisible ones:
# a title must not pretend to be another.
_SHOWN = r"[^\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*"

Id = Annotated[
    str,
    Limits(most=40, pattern=r"[a-z0-9]+(-[a-z0-9]+)*"),
    Meaning("lower-case letters, digits and single hyphens; the file's name without .toml"),
]
AccessId = Annotated[
    str, Limits(most=40, pattern=r"[a-z0-9]+(-[a-z0-9]+)*"), Meaning("lower-case letters, digits and hyphens")
]
Title = Annotated[str, Limits(1, 60, _SHOWN)]
Name = Annotated[str, Limits(1, 80, _SHOWN)]
Line = Annotated[str, Limits(1, 600, _SHOWN)]
Words = Annotated[str, Limits(most=600, pattern=_SHOWN)]  # may be empty
Url = Annotated[str, Limits(1, 600), Meaning("https, or http on loopback; {name} stands for an input")]
Resource = Annotated[str, Limits(1, 600)]
Pattern = Annotated[str, Limits(most=PATTERN_MOST)]
Icon = Annotated[str, Limits(pattern=r"[a-z0-9-]+")]
Color = Annotated[str, Limits(pattern=r"#[0-9a-fA-F]{6}"), Meaning("#rrggbb, of the letter tile")]
InputName = Annotated[str, Limits(pattern=r"[a-z][a-z0-9_]{0,30}")]
Day = Annotated[
    str,
    Limits(pattern=r"20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    Meaning("a date as YYYY-MM-DD"),
]
Port = Annotated[int, Limits(1024, 65535)]
Seconds = Annotated[int, Limits(1, 10_000_000_000)]
