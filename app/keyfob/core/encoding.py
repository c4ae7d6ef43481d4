"""How bytes are written as text: base64url without padding (RFC 7515 §2), and the credentials of HTTP Basic
(RFC 7617).
"""

from __future__ import annotations

import base64
import hashlib


def base64url(data: bytes) -> str:
    """URL-safe Base64 without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def sha256_base64url(text: str) -> str:
    """SHA-256 of the text's UTF-8: a code challenge (RFC 7636 §4.2), `ath` (RFC 9449 §4.2), a thumbprint (RFC
    7638).
    """
    return base64url(hashlib.sha256(text.encode()).digest())


def basic(username: str, password: str) -> str:
    """The value of an `Authorization` header. Holds the password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
