"""What a provider issued: the tokens, their times and scopes, and the key that they are bound to.

A grant is immutable. A renewal creates a new one with the next generation. The keychain stores it as one line
of ASCII JSON with a checksum (`seal`, `unseal`), so that Keyfob detects an entry that is torn or cut off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.words import ALGORITHMS, Algorithm, known


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key (DPoP, RFC 9449; or private_key_jwt, RFC 7523). `private_jwk` is the JWK as JSON."""

    kid: str
    alg: Algorithm
    private_jwk: Secret
    public_jwk: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens of one account. `expires_at` None: lifetime unknown (used until an API refuses it)."""

    access: Secret
    obtained_at: datetime
    refresh: Secret | None = None
    id_token: Secret | None = None  # the sign-in's
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    token_type: str = "Bearer"  # noqa: S105  (a scheme's name); or DPoP, or what the preset's placement calls for
    key: SigningKey | None = None
    generation: int = 0
    by_client: bool = False  # the client asks for the next one itself (RFC 6749 §4.4)
    new_id_token: Secret | None = None  # a later renewal's; the sign-in's stays, to compare the next with

    @property
    def renewable(self) -> bool:
        """Whether there is something to renew it with."""
        return self.refresh is not None or self.by_client

    def fresh(self, at: datetime, margin: timedelta) -> bool:
        """True while more than `margin` of life is left at `at`; always True if the lifetime is unknown."""
        return self.expires_at is None or self.expires_at - at > margin

    def expired(self, at: datetime) -> bool:
        """True from the second of expiry on. An expired access token is never returned."""
        return self.expires_at is not None and at >= self.expires_at

    @property
    def lifetime(self) -> timedelta | None:
        """From when it was obtained to its expiry; None if the provider did not say when it expires."""
        return None if self.expires_at is None else self.expires_at - self.obtained_at


def seal(grant: Grant) -> Secret:
    """The keychain entry: one line of ASCII. Only the vault may hold it."""
    body: dict[str, Any] = {
        "v": 1,
        "generation": grant.generation,
        "access": grant.access.reveal(),
        "refresh": grant.refresh.reveal() if grant.refresh else None,
        "id_token": grant.id_token.reveal() if grant.id_token else None,
        "obtained_at": to_rfc3339(grant.obtained_at),
        "expires_at": to_rfc3339(grant.expires_at),
        "scopes": list(grant.scopes),
        "token_type": grant.token_type,
        "key": _key_out(grant.key),
    }
    if grant.by_client:
        body["by_client"] = True
    if grant.new_id_token:
        body["new_id_token"] = grant.new_id_token.reveal()
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=True)
    return Secret(f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.{text}")


def unseal(entry: Secret) -> Grant:
    """The grant of a keychain entry. Raises KeychainError `entry_damaged` if the checksum does not hold."""
    checksum, _, text = entry.reveal().partition(".")
    if hashlib.sha256(text.encode()).hexdigest()[:32] != checksum:
        raise KeychainError("A keychain entry is damaged", code="entry_damaged")
    body = json.loads(text)
    obtained_at = from_rfc3339(body["obtained_at"])
    assert obtained_at is not None
    return Grant(
        access=Secret(body["access"]),
        refresh=Secret(body["refresh"]) if body["refresh"] else None,
        id_token=Secret(body["id_token"]) if body["id_token"] else None,
        obtained_at=obtained_at,
        expires_at=from_rfc3339(body["expires_at"]),
        scopes=tuple(body["scopes"]),
        token_type=body["token_type"],
        key=_key_in(body["key"]),
        generation=body["generation"],
        by_client=body.get("by_client", False),
        new_id_token=Secret(body["new_id_token"]) if body.get("new_id_token") else None,
    )


def _key_out(key: SigningKey | None) -> dict[str, Any] | None:
    if key is None:
        return None
    return {
        "kid": key.kid,
        "alg": key.alg,
        "private": key.private_jwk.reveal(),
        "public": dict(key.public_jwk),
    }


def _key_in(data: dict[str, Any] | None) -> SigningKey | None:
    if data is None:
        return None
    return SigningKey(data["kid"], _algorithm(data["alg"]), Secret(data["private"]), data["public"])


def seal_key(key: SigningKey) -> Secret:
    """A signing key as a keychain entry, for keys that outlive or precede a grant."""
    return Secret(json.dumps(_key_out(key), separators=(",", ":"), ensure_ascii=True))


def unseal_key(entry: Secret) -> SigningKey:
    """The signing key in a vault entry. Raises ValueError or KeyError for text that is not one."""
    key = _key_in(json.loads(entry.reveal()))
    assert key is not None
    return key


def _algorithm(text: object) -> Algorithm:
    found = known(ALGORITHMS, text)
    if found is None:
        raise ValueError("an unknown algorithm")
    return found
