"""The packages that Keyfob needs, as they are installed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata, requires

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)")


def installed_packages(extras: Sequence[str]) -> list[PackageMetadata]:
    """By name. Without those that this system or a missing extra does not need. Reads files."""
    found = []
    for name in _required(extras):
        try:
            found.append(metadata(name))
        except PackageNotFoundError:
            continue
    return found


def _required(extras: Sequence[str]) -> list[str]:
    try:
        lines = requires("keyfob") or []
    except PackageNotFoundError:
        return []
    names = []
    for line in lines:
        extra, name = _EXTRA.search(line), _NAME.match(line)
        if name is not None and (extra is None or extra[1] in extras):
            names.append(name[0])
    return sorted(dict.fromkeys(names), key=str.lower)
