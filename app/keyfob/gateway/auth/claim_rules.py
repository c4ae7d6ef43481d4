"""What a token of an issuer must say, and who its bearer is then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from keyfob.gateway.auth.result import SUBJECT_TYPES, AuthSettingError

TokenKind = Literal["access", "jwt", "id"]
TOKEN_KINDS: Final[tuple[TokenKind, ...]] = get_args(TokenKind)
LEEWAY = 60.0  # seconds that two honest clocks may differ
_ACCESS = ("at+jwt", "application/at+jwt")
_PLAIN = ("jwt", "application/jwt", "")
# An ID token says who signed in, and a client that got one for itself must not be able to call with it.
_MARKS_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash", "s_hash")
_ACCESS_CLAIMS = ("client_id", "iat", "jti")  # RFC 9068 §2.2, beside those of every kind


class RefusedError(Exception):
    """The token is not right. The text is a fixed reason for the log."""


@dataclass(frozen=True)
class Rules:
    """What is asked of one issuer's tokens.

    `kind`: `access` wants a token of type at+jwt (RFC 9068 §4). `jwt` takes access tokens that are plain
    JWTs, as several issuers send them, and refuses what looks like an ID token. `id` takes ID tokens. `user`,
    `tenant`, `admin` and `scopes` name claims; `admin` is `claim` or `claim=value`. `required` maps claims to
    patterns.
    """

    issuer: str
    audience: tuple[str, ...]
    kind: TokenKind = "access"
    user: str = "sub"
    tenant: str | None = None
    admin: str | None = None
    scopes: str = "scope"
    subject_type: str = "user"
    required: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience or not all(self.audience):
            raise AuthSettingError("An issuer needs issuer and audience")
        if self.kind not in TOKEN_KINDS:
            raise AuthSettingError(f"{self.issuer}: tokens is not one of {', '.join(TOKEN_KINDS)}")
        if self.subject_type not in SUBJECT_TYPES:
            raise AuthSettingError(f"{self.issuer}: subject_type is not one of {', '.join(SUBJECT_TYPES)}")


def check(rules: Rules, header: Mapping[str, Any], claims: Mapping[str, Any], now: float) -> None:
    """Raises RefusedError unless the claims are right at `now` (epoch seconds). Checks no signature."""
    kind = str(header.get("typ", "")).lower()
    if kind not in (_ACCESS if rules.kind == "access" else _PLAIN):
        raise RefusedError("token_type")
    if claims.get("iss") != rules.issuer:
        raise RefusedError("issuer")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise RefusedError("subject")
    _check_audience(rules, claims)
    _check_times(claims, now)
    if rules.kind == "access" and not all(claims.get(name) is not None for name in _ACCESS_CLAIMS):
        raise RefusedError("claim_missing")
    if rules.kind == "jwt" and any(name in claims for name in _MARKS_OF_ID_TOKENS):
        raise RefusedError("id_token")
    for name, pattern in rules.required.items():
        if not _fits(claims.get(name), pattern):
            raise RefusedError("claim_not_allowed")


def _check_audience(rules: Rules, claims: Mapping[str, Any]) -> None:
    audience = claims.get("aud")
    found = [audience] if isinstance(audience, str) else audience
    if not isinstance(found, list) or not any(one in rules.audience for one in found):
        raise RefusedError("audience")
    party = claims.get("azp")
    # OpenID Connect Core §3.1.3.7, 4 and 5: of several audiences, the token is for its authorized party.
    if rules.kind == "id" and (len(found) > 1 or party is not None) and party not in rules.audience:
        raise RefusedError("authorized_party")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is None and name != "exp":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
            raise RefusedError("time")
        if name == "exp" and now >= value + LEEWAY:
            raise RefusedError("expired")
        if name != "exp" and now < value - LEEWAY:
            raise RefusedError("not_yet_valid")


def _fits(value: object, pattern: str) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(
        re.fullmatch(_expression(pattern), str(one).lower() if isinstance(one, bool) else str(one))
        is not None
        for one in values
        if isinstance(one, (str, int, bool))
    )


def _expression(pattern: str) -> str:
    """`*` stands for any text without `/` and `:`, `**` for any text; everything else for itself."""
    parts = re.split(r"(\*\*|\*)", pattern)
    return "".join({"*": "[^/:]*", "**": ".*"}.get(part) or re.escape(part) for part in parts)


def who(rules: Rules, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an AuthResult. Raises RefusedError if the claim that names the user is missing."""
    user = claims.get(rules.user)
    tenant = claims.get(rules.tenant) if rules.tenant else None
    if not isinstance(user, (str, int)) or isinstance(user, bool) or user == "":
        raise RefusedError("claim_missing")
    if rules.tenant and not isinstance(tenant, str):
        raise RefusedError("claim_missing")  # without its tenant, a caller would stand outside every wall
    return {
        "user_id": str(user),
        "tenant_id": tenant,
        "is_admin": _is_admin(rules.admin, claims),
        "scopes": _scopes(claims.get(rules.scopes)),
        "subject_type": rules.subject_type,
        "subject_id": claims["sub"],
        "metadata": {"iss": rules.issuer},
    }


def _is_admin(rule: str | None, claims: Mapping[str, Any]) -> bool:
    if rule is None:
        return False
    name, wants, value = rule.partition("=")
    found = claims.get(name)
    if not wants:
        return found is True
    return value in found if isinstance(found, list) else found == value


def _scopes(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
