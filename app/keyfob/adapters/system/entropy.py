"""Randomness: the only place that creates unguessable strings (states,
verifiers, nonces, keys of accounts).
"""

from __future__ import annotations

import secrets


def entropy(count: int) -> str:
    """`count` bytes from the system's source, as base64url without padding (RFC 7636 §4.1's alphabet)."""
    if count < 1:
        raise ValueError("no chance was asked for")
    return secrets.token_urlsafe(count)
