"""One key for everybody: no identity, no database."""

from __future__ import annotations

import hashlib

from keyfob.gateway.auth.key_format import same
from keyfob.gateway.auth.result import REFUSED, AuthProvider, AuthResult, AuthSettingError

LEAST = 16  # characters


class OneKeyAuth(AuthProvider):
    """Lets in whoever sends this key."""

    def __init__(self, key: str) -> None:
        """Raises AuthSettingError if the key is shorter than 16 characters."""
        if len(key) < LEAST:
            raise AuthSettingError(f"The key is too short: it needs at least {LEAST} characters")
        self._digest = _digest(key)

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        return AuthResult(authenticated=True) if await self.validate_token(token) else REFUSED

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        # The digests are of one length, so the comparison does not show how long the key is.
        return same(_digest(token), self._digest)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
