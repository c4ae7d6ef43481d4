"""JWTs of one OpenID Connect issuer, or of several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from keyfob.core.errors import PeerFault
from keyfob.core.secret import Secret
from keyfob.gateway.auth.claim_rules import RefusedError, Rules, check, who
from keyfob.gateway.auth.key_sets import KeySet
from keyfob.gateway.auth.result import REFUSED, AuthProvider, AuthResult, AuthSettingError
from keyfob.protocol.oidc.id_token import check_algorithm, parse_token, signed_by_one_of

_log = logging.getLogger("keyfob.gateway.auth")


class OIDCAuth(AuthProvider):
    """Lets in the bearers of one issuer's tokens.

    A token must be signed by a key of the issuer's set under an asymmetric algorithm, and its claims must fit
    `rules` (RFC 9068 §4, OpenID Connect Core §3.1.3.7, RFC 8725). An address or key in a token is never used.
    """

    def __init__(
        self, rules: Rules, *, jwks_uri: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Without `jwks_uri`, the issuer's metadata says it. Raises AuthSettingError."""
        self.rules = rules
        self._keys = KeySet(rules.issuer, jwks_uri)
        self._clock = clock

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        try:
            claims = await self._claims(token)
            return AuthResult(
                authenticated=True,
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
                key_id=claims["jti"] if isinstance(claims.get("jti"), str) else None,
                **who(self.rules, claims),
            )
        except RefusedError as refused:
            _log.info("Refused a token of %s: %s", self.rules.issuer, refused)
            return REFUSED

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        try:
            await self._claims(token)
        except RefusedError:
            return False
        return True

    async def _claims(self, token: str) -> Mapping[str, Any]:
        secret = Secret(token)
        try:
            parsed = parse_token(secret)
            check_algorithm(parsed.header)
        except PeerFault:
            raise RefusedError("not_a_token") from None
        # The claims first: a token that is not for us is worth no request.
        check(self.rules, parsed.header, parsed.claims, self._clock())
        if not signed_by_one_of(await self._keys.known(), secret, parsed.header) and not signed_by_one_of(
            await self._keys.newer(), secret, parsed.header
        ):
            raise RefusedError("signature")
        return parsed.claims


class MultiOIDCAuth(AuthProvider):
    """Lets in the bearers of several issuers' tokens.

    The issuer in a token only chooses among these; the chosen one then checks the whole token. Users of two
    issuers are never the same person: the name of the issuer's entry stands before the user's id.
    """

    def __init__(self, issuers: Iterable[tuple[str, OIDCAuth]]) -> None:
        """Raises AuthSettingError for none, for two entries with one issuer, or two with one name."""
        self._issuers: dict[str, tuple[str, OIDCAuth]] = {}
        names = set()
        for name, issuer in issuers:
            if issuer.rules.issuer in self._issuers or name in names or not name or ":" in name:
                raise AuthSettingError(f"The issuer {name} is there twice, or its name is not one")
            self._issuers[issuer.rules.issuer] = name, issuer
            names.add(name)
        if not self._issuers:
            raise AuthSettingError("There are no issuers")

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        found = self._issuer(token)
        if found is None:
            return REFUSED
        name, issuer = found
        answer = await issuer.authenticate(token)
        return replace(answer, user_id=f"{name}:{answer.user_id}") if answer.authenticated else answer

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        found = self._issuer(token)
        return found is not None and await found[1].validate_token(token)

    def _issuer(self, token: str) -> tuple[str, OIDCAuth] | None:
        try:
            issuer = parse_token(Secret(token)).claims.get("iss")
        except PeerFault:
            issuer = None
        found = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if found is None:
            _log.info("Refused a token: unknown_issuer")
        return found
