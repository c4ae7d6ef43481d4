"""Requests, responses and callbacks as values. Headers may contain secrets, so `repr` never shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from keyfob.core.provider import EMPTY
from keyfob.core.words import Purpose


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `headers` and `body` may hold secrets. `purpose` is a word for logs and deadlines.
    `method` may be any (RFC 9110 §9.1): a user's own calls pass through. `more` are further lines of names
    that `headers` has, each sent as a line of its own (§5.3).
    """

    method: str
    url: str
    purpose: Purpose
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    body: bytes | None = None
    more: tuple[tuple[str, str], ...] = ()
    plain_host: str | None = None  # the host (and port) that the user allowed to be asked without TLS

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        return f"Request({self.method} {parts.scheme}://{parts.hostname}…, {self.purpose})"


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer. Header names are lower case; `at` is our wall clock (UTC) when it was complete."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    url: str = ""

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Callback:
    """The parameters of an authorization response that passed the state and issuer checks."""

    params: Mapping[str, str] = field(repr=False)
    at: datetime
    state_checked: bool = True  # False for a bare pasted code: it brings no state to check


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sign-in ended, for the browser's last page: fixed words and the account's name, no peer text."""

    ok: bool
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose body is still coming. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Iterator[bytes] = field(repr=False)
