"""Keys for callers: `sk-<identifier>-<32 hex digits>`.

The identifier is public: it names the key in lists and logs. The 128 bits after it are the secret. They are
random, so one HMAC with a salt protects what is stored: nobody can try 2^128 keys, and a slow hash would only
make a flood of wrong keys cheap.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

IDENTIFIER_LENGTH = 12
SECRET_BYTES = 16
SALT_BYTES = 16
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_KEY = re.compile(r"sk-([A-Za-z0-9_]{1,64})-([0-9a-f]{32})")


class NewKey(NamedTuple):
    """A key that was just made. `raw` is shown to the person once and kept nowhere."""

    key_id: str
    raw: str
    salt: bytes
    digest: bytes


def new_key() -> NewKey:
    """A key with an identifier that says nothing about its owner."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(IDENTIFIER_LENGTH))
    raw = f"sk-{key_id}-{secrets.token_hex(SECRET_BYTES)}"
    salt = secrets.token_bytes(SALT_BYTES)
    return NewKey(key_id, raw, salt, digest_of(raw, salt))


def identifier_of(raw: str) -> str | None:
    """The public part of a key, None if this is not a key of this form."""
    found = _KEY.fullmatch(raw)
    return found[1] if found else None


def digest_of(raw: str, salt: bytes) -> bytes:
    """What is stored in place of a key: HMAC-SHA256 (RFC 2104) under the key's own salt."""
    return hmac.digest(salt, raw.encode("utf-8", "surrogatepass"), hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(one, other)
