"""Passwords of people: hashed with argon2id, and checked against argon2 and bcrypt hashes."""

from __future__ import annotations

import re

from keyfob.gateway.auth.result import AuthSettingError

LEAST, MOST = 8, 1024  # characters
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_ARGON2 = re.compile(r"\$argon2(id|i|d)\$.{20,250}")
# Nobody's: an unknown user costs the same work as a wrong password.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$FT1cKGDqMeOvORKR2GFthQ$6XwZaqklaqYx+zipECEEtrpa7dPmbFVmG2lRgmu61Nc"


def hash_password(password: str) -> str:
    """An argon2id hash (RFC 9106) with a salt of its own. Takes about 50 ms. Raises AuthSettingError."""
    if not LEAST <= len(password) <= MOST:
        raise AuthSettingError(f"A password needs {LEAST} to {MOST} characters")
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)


def is_hash(text: str) -> bool:
    """Whether `matches` can check a password against this."""
    return bool(_BCRYPT.fullmatch(text) or _ARGON2.fullmatch(text))


def matches(password: str, stored: str) -> bool:
    """Whether this is the password. Never raises: a hash that cannot be read matches nothing."""
    if len(password) > MOST:
        return False
    if _BCRYPT.fullmatch(stored):
        import bcrypt

        body = password.encode("utf-8", "surrogatepass")
        # bcrypt reads 72 bytes. A longer password is none that such a hash was made for.
        return len(body) <= 72 and b"\0" not in body and bcrypt.checkpw(body, stored.encode())
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return PasswordHasher().verify(stored, password)
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False
