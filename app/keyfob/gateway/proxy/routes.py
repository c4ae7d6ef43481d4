"""Which account a request is for, read from its raw target. Pure.

`/{provider}/{label}/path?query` is for the account `provider/label`. The target is read as it was sent,
and what two programs could read in two ways is refused: an encoded slash or dot, a dot segment, two
slashes, a backslash. So what is compared with a grant is what the provider receives.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

TARGET_MOST = 8000  # characters
# RFC 3986 §3.3 and §3.4: what a path and a query may contain.
_TARGET = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*(\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]{}|^`\"<>]*)?")
_AMBIGUOUS = re.compile(r"//|%2[fe]|%5c|%00|%25(2[fe]|5c)|(^|/)\.{1,2}(/|$)", re.IGNORECASE)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Route(NamedTuple):
    """An account, and the path of its API, both as they were sent."""

    account: str  # provider/label
    path: str  # begins with a slash; without the query
    query: str  # without the question mark


class NotRoutableError(Exception):
    """The target is refused. The text says why, for the caller."""


def route_of(target: str) -> Route:
    """Raises NotRoutableError."""
    if len(target) > TARGET_MOST:
        raise NotRoutableError("The address is too long")
    if not _TARGET.fullmatch(target) or _ESCAPE.search(target):
        raise NotRoutableError("The address has characters that an address must not have")
    path, _, query = target.partition("?")
    if _AMBIGUOUS.search(path):
        raise NotRoutableError("The address can be read in two ways, so it is refused")
    parts = path.split("/", 3)
    if len(parts) < 3 or not parts[1] or not parts[2]:
        raise NotRoutableError("The address does not begin with /provider/label/")
    provider, label = unquote(parts[1]), unquote(parts[2])
    if "/" in provider or "/" in label:
        raise NotRoutableError("The address can be read in two ways, so it is refused")
    return Route(f"{provider}/{label}", "/" + (parts[3] if len(parts) == 4 else ""), query)
