"""Envelope encryption of a tenant's secrets.

A secret is sealed with AES-256-GCM under the tenant's data key. What it is bound to (tenant, name, key) is
authenticated with it, so a row that was moved or swapped cannot be opened. A data key is random, and stored
wrapped: sealed in the same way under a master key that is not in the database. So a stolen database has no
secret, and a new master key costs one small row for each data key.

RFC 5116 §5.2; NIST SP 800-38D allows 2^32 random nonces for a key, far more than a tenant's renewals.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"


class NotOpenedError(Exception):
    """The key does not fit, or the row is damaged or another's."""


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, *bound_to: str) -> bytes:
    """Version, nonce and ciphertext with its tag."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plain, _joined(bound_to))


def unseal(key: bytes, sealed: bytes, *bound_to: str) -> bytes:
    """Raises NotOpenedError."""
    if sealed[:1] != VERSION:
        raise NotOpenedError
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, _joined(bound_to))
    except (InvalidTag, ValueError):
        raise NotOpenedError from None


def _joined(parts: tuple[str, ...]) -> bytes:
    """Each part with its length before it, so that no two lists give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4) + part for part in encoded)
