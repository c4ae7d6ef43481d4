"""The part of HTTP/1.1 that the agent speaks: bytes to requests, answers to bytes. Pure; no I/O.

Only what its clients use: GET, POST and DELETE with a Content-Length, keep-alive. Everything else is refused
with a status: chunked bodies, upgrades, folded headers, two lengths.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from keyfob.protocol.http.request import MAX_HEADERS, MAX_LINE, MalformedError, TooLongError, read_head

HEAD_MOST = MAX_LINE + MAX_HEADERS  # bytes of request line and headers
BODY_MOST = 64 * 1024  # bytes: room for a pasted address and for the longest token
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class BadRequestError(Exception):
    """The peer's bytes are not a valid request. `status` is what it is answered before the connection
    closes.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request. `target` is the path with its query as sent; `headers` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool

    @property
    def parts(self) -> list[str]:
        """The path's segments, decoded."""
        path = self.target.partition("?")[0]
        return [unquote(part) for part in path.strip("/").split("/")]

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of one that comes twice, the last value."""
        return {name: values[-1] for name, values in parse_qs(self.target.partition("?")[2]).items()}

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises BadRequestError."""
        try:
            value = json.loads(self.body or b"{}", parse_constant=_no_number)
            # JSON can spell half of a surrogate pair, which no text can hold: nothing behind this could store
            # or hash it.
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise BadRequestError(400, "the body is not valid JSON") from None
        if not isinstance(value, dict):
            raise BadRequestError(400, "the body is not a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` may hold a token: never logged."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, *, keep_alive: bool) -> bytes:
        """The bytes of the whole answer (RFC 9112), which says whether the connection stays."""
        lines = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
        ]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body


def document(value: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value).encode() + b"\n")


def take(buffer: bytes) -> tuple[Incoming, int] | None:
    """The first whole request in `buffer` and how many bytes it took; None while more must come. Raises
    BadRequestError.
    """
    try:
        head = read_head(buffer)
    except MalformedError:
        raise BadRequestError(400, "the agent cannot read this HTTP request") from None
    except TooLongError:
        raise BadRequestError(431, "the headers are too long") from None
    if head is None:
        return None
    if any(len(head.headers.get(name, ())) > 1 for name in _ONCE):
        raise BadRequestError(400, "a header is repeated")
    headers = {name: values[-1] for name, values in head.headers.items()}
    if "transfer-encoding" in headers:
        raise BadRequestError(411, "the length of the body is missing")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise BadRequestError(400, "the length of the body is not a number")
    # Python itself refuses to read a number of thousands of digits.
    size = int(length) if len(length) < 10 else BODY_MOST + 1
    if size > BODY_MOST:
        raise BadRequestError(413, "the body is too long")
    end = head.size + size
    if len(buffer) < end:
        return None
    connection = headers.get("connection", "").lower()
    keep = connection != "close" if head.version == "HTTP/1.1" else connection == "keep-alive"
    return Incoming(head.method, head.target, headers, buffer[head.size : end], keep), end


def _no_number(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


_ONCE = frozenset({"host", "content-length", "authorization", "origin"})
