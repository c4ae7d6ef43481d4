"""Writes down what a provider without a database refused: one key, a file of keys, an issuer's tokens."""

from __future__ import annotations

from keyfob.gateway.auth.result import AuthProvider, AuthResult
from keyfob.gateway.auth.uses import Uses


class RecordedRefusals(AuthProvider):
    """`provider`, and its refusals in the audit trail."""

    def __init__(self, provider: AuthProvider, uses: Uses) -> None:
        self._provider = provider
        self._uses = uses

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        found = await self._provider.authenticate(token)
        if not found.authenticated:
            self._uses.refused("not_accepted")
        return found

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        right = await self._provider.validate_token(token)
        if not right:
            self._uses.refused("not_accepted")
        return right

    def close(self) -> None:
        """As `AuthProvider` says."""
        self._provider.close()
        self._uses.close()
