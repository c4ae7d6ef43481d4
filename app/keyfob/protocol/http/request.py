"""Reads the head of an HTTP/1.1 request, strictly (RFC 9112 §2 to §5): bytes in, a head out. Pure.

Both local servers use it: the agent, and the listener for the answer to a sign-in. Neither is a public web
server, so everything that two readers could understand differently is refused: bare newlines, folded lines,
spaces before a colon, control characters, targets that are not a path. The caller decides about the body.

We wrote it because h11 accepts bare newlines and folded lines, as a public server must.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_LINE = 8 * 1024  # bytes of request line: room for every code seen in the wild, several times over
MAX_HEADERS = 16 * 1024  # bytes of header section: cookies of other local servers come along too

_LINE = re.compile(r"([A-Z]{1,32}) (/[!\x22\x24-~]*) (HTTP/1\.[01])")  # RFC 9112 §3; a target has no fragment
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # all but the tab (RFC 9110 §5.5)


class MalformedError(ValueError):
    """The bytes are not the beginning of a request that is taken here."""


class TooLongError(ValueError):
    """The request line or the header section is longer than MAX_LINE or MAX_HEADERS."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one request. `target` is the path with its query, as sent; both may hold a secret, as may
    `headers`.

    `headers` have lower-case names and all their values, in the order in which they came. `size`: bytes of
    the head with its blank line, so that the body begins there.
    """

    method: str
    target: str = field(repr=False)
    version: str  # HTTP/1.1 or HTTP/1.0
    headers: Mapping[str, list[str]] = field(repr=False)
    size: int


def read_head(data: bytes) -> Head | None:
    """The head that `data` begins with; None while more must come. Raises MalformedError, TooLongError."""
    if data and not data[:1].isupper():
        raise MalformedError(
            "the method is missing"
        )  # a TLS handshake, for one: closing at once lets browsers fall back
    line_end = data.find(b"\r\n")
    if (line_end if line_end >= 0 else len(data)) > MAX_LINE:
        raise TooLongError("the request line")
    end = data.find(b"\r\n\r\n")
    if line_end >= 0 and (end if end >= 0 else len(data)) - line_end > MAX_HEADERS:
        raise TooLongError("the header section")
    # Half of a CRLF may be all that has come.
    head = data.removesuffix(b"\r") if end < 0 else data[:end]
    if _CONTROL.search(head.replace(b"\r\n", b"")):
        raise MalformedError("a control character, or a newline that is not CRLF")
    if end < 0:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(first)
    if found is None:
        raise MalformedError("the request line")
    method, target, version = found.groups()
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise MalformedError("a header")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return Head(method, target, version, headers, end + 4)
