"""Version numbers as programs print them and as releases are tagged.

`normalised` finds the number in a text, `newer` compares two. Numbers that PEP 440 can read are compared by
PEP 440, others by Semantic Versioning 2.0.0 §11. What neither can read has no order. Thread-safe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import Version as Pep440

MOST = 400  # characters of a text that are looked at: the number is in a program's first line

# A number at the start of a word, or after a `v` that starts one. Letters and digits that touch it belong to
# it: 1.1.1k is not 1.1.1.
_CANDIDATE = re.compile(
    r"(?<![0-9A-Za-z.])[vV]?(?P<number>(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*[0-9A-Za-z.\-]*)(?P<build>\+[0-9A-Za-z.\-~]+)?"
)
# As in `go version go1.22.1`: only if there is nothing better.
_ATTACHED = re.compile(r"[A-Za-z](?P<number>[0-9]+(?:\.[0-9]+)+[0-9A-Za-z.\-]*)")
_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})\Z")
# The system that a file is for, in names such as 1.2.0-linux-x86_64.
_PLATFORM = re.compile(
    r"[.\-](?:linux|windows|win(?:32|64)?|macos|darwin|osx|x86|x64|i[3-6]86|amd64|arm(?:v[0-9]|64)?|aarch64|riscv64|"
    r"musl|gnu|glibc|deb|rpm|apk|exe|msi|dmg|zip|tar|tgz|gz|xz|appimage)(?![a-z]).*\Z",
    re.IGNORECASE,
)
_SEMVER = re.compile(r"(?P<release>[0-9]+(?:\.[0-9]+)*)(?:-(?P<pre>[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?\Z")


@dataclass(frozen=True)
class Version:
    """A version number that can be compared. `text` is the number as it was written, without a `v`."""

    text: str
    prerelease: bool
    _pep440: Pep440 | None = field(repr=False, compare=False)

    @cached_property
    def _semver(self) -> tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]] | None:
        match = _SEMVER.match(self.text)
        if match is None:
            return None
        return _release(match["release"]), _identifiers(match["pre"])


def normalised(text: str) -> str:
    """The version number in a program's output or in the name of a release: 0.9.1 of `me3 0.9.1`, 0.145.0 of
    `rust-v0.145.0`. What comes after a `+` is about the package, not the version, and is left out. A text
    without a number comes back as it is, without the space around it.
    """
    text = text.strip()
    start = text[:MOST]
    found = [_number(match["number"]) for match in _CANDIDATE.finditer(start)]
    if not found:
        attached = _ATTACHED.search(start)
        return text if attached is None else _number(attached["number"])
    # In `7-zip 23.01` the first number is part of a name.
    return next((number for number in found if "." in number), found[0])


def parsed(text: str) -> Version | None:
    """The version in `text` (see `normalised`), or None if it has no order."""
    from packaging.version import InvalidVersion
    from packaging.version import Version as Pep440

    number = normalised(text)
    if len(number) > MOST:
        return None
    try:
        read = Pep440(number)
    except InvalidVersion:
        match = _SEMVER.match(number)
        return None if match is None else Version(number, match["pre"] is not None, None)
    return Version(number, read.is_prerelease, read)


def newer(candidate: str | Version, installed: str | Version) -> bool | None:
    """Whether `candidate` is newer than `installed`. None: they cannot be compared."""
    first = candidate if isinstance(candidate, Version) else parsed(candidate)
    second = installed if isinstance(installed, Version) else parsed(installed)
    if first is None or second is None:
        return None
    return _newer(first, second)


def _newer(first: Version, second: Version) -> bool | None:
    one, other = first._pep440, second._pep440  # noqa: SLF001  (this module's own class)
    if one is not None and other is not None:
        return one > other
    here, there = first._semver, second._semver  # noqa: SLF001
    if here is None or there is None:
        return None
    if here[0] != there[0]:
        return here[0] > there[0]
    return _rank(here[1]) > _rank(there[1])


def _rank(pre: tuple[tuple[int, int, str], ...]) -> tuple[bool, tuple[tuple[int, int, str], ...]]:
    # A version without identifiers is the release itself, which comes after its pre-releases.
    return not pre, pre


def _release(text: str) -> tuple[int, ...]:
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()  # 1.0 is 1.0.0
    return tuple(parts)


def _identifiers(text: str | None) -> tuple[tuple[int, int, str], ...]:
    """Numbers come before words (Semantic Versioning §11.4.3)."""
    if text is None:
        return ()
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


def _number(text: str) -> str:
    date = _DATE.match(text)
    if date is not None:
        return f"{date['year']}.{date['month']}.{date['day']}"
    return _PLATFORM.sub("", text).rstrip(".-")
