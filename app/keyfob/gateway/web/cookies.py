"""The two cookies: who is signed in, and which browser a sign-in began in.

Each holds one random id, encrypted and authenticated. `__Host-` and `Secure` keep other hosts and plain
http from setting one, `HttpOnly` keeps scripts from reading it, and `SameSite=Lax` keeps other sites from
using it in forms.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from keyfob.core.secret import Secret
from keyfob.gateway.web.sealing import SealedError, Sealer

SESSION = "__Host-keyfob-session"
BROWSER = "__Host-keyfob-browser"
_ID_BYTES = 32
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,400}")


@dataclass(frozen=True, slots=True)
class Found:
    """A cookie's id. `old`: an older key sealed it, so it should be set again."""

    id: str = field(repr=False)
    old: bool


class Cookies:
    """Immutable and thread-safe."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._sealer = Sealer(keys, "cookie")

    def read(self, header: str | None, name: str) -> Found | None:
        """The id in a request's `Cookie` header. None if there is none, if it is not ours, and if there are
        two: somebody else set one of them.
        """
        values = [value for given, value in _pairs(header) if given == name]
        if len(values) != 1 or not _VALUE.fullmatch(values[0]):
            return None
        try:
            sealed = base64.urlsafe_b64decode(values[0] + "=" * (-len(values[0]) % 4))
            found = self._sealer.open(sealed, name).decode()
        except (SealedError, binascii.Error, ValueError):
            return None
        return Found(found, not self._sealer.by_newest(sealed))

    def setting(self, name: str, value: str, max_age: int) -> str:
        """A `Set-Cookie` header's value; `max_age` in seconds."""
        sealed = base64.urlsafe_b64encode(self._sealer.seal(value.encode(), name)).rstrip(b"=").decode()
        return _cookie(name, sealed, max_age)


def clearing(name: str) -> str:
    """A `Set-Cookie` header's value that removes the cookie."""
    return _cookie(name, "", 0)


def new_id() -> str:
    """A fresh random id, of 256 bits."""
    return secrets.token_urlsafe(_ID_BYTES)


def _cookie(name: str, value: str, max_age: int) -> str:
    return f"{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax"


def _pairs(header: str | None) -> list[tuple[str, str]]:
    pairs = []
    for piece in (header or "").split(";"):
        name, _, value = piece.strip().partition("=")
        pairs.append((name, value))
    return pairs
