"""An authorization server's signing keys for tests: key sets to publish
and ID tokens to give, right or wrong.

Keys are made once per run, since RSA keys take a while.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from support.playbook import AT

_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@dataclass(frozen=True)
class Signer:
    """One private key and what its server says of it."""

    alg: str
    kid: str | None
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as a key set lists it."""
        algorithm = jwt.get_algorithm_by_name(self.alg)
        found: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        found.pop("key_ops", None)
        named = {"kid": self.kid} if self.kid is not None else {}
        return {**found, "use": "sig", "alg": self.alg, **named}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token over exactly these claims. A header of None leaves that header out."""
        headers = {"kid": self.kid, **header}
        return compact(
            {k: v for k, v in {"alg": self.alg, "typ": "JWT", **headers}.items() if v is not None},
            claims,
            self.signature,
        )

    def signature(self, signed: bytes) -> bytes:
        algorithm = jwt.get_algorithm_by_name(self.alg)
        return algorithm.sign(signed, self.private)


@functools.cache
def _private(alg: str, number: int, bits: int) -> Any:
    if alg in _CURVES:
        return ec.generate_private_key(_CURVES[alg])
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, bits)


def signer(alg: str = "RS256", kid: str | None = "k1", number: int = 1, bits: int = 2048) -> Signer:
    """A signer; `number` tells apart keys of one algorithm."""
    family = "RSA" if alg[0] in "RP" else alg
    return Signer(alg, kid, _private(family, number, bits))


def compact(header: dict[str, Any], claims: Any, sign: Any) -> str:
    """A compact JWS with whatever in it. `sign` makes the signature's bytes."""
    signed = (
        f"{encoded(json.dumps(header))}.{encoded(claims if isinstance(claims, str) else json.dumps(claims))}"
    )
    return f"{signed}.{encoded(sign(signed.encode()))}"


def encoded(data: str | bytes) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def half_hash(value: str, bits: int = 256) -> str:
    """`at_hash` or `c_hash` of a value (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.new(f"sha{bits}", value.encode()).digest()
    return encoded(digest[: len(digest) // 2])


def claims_for(issuer: str, client_id: str, **changes: Any) -> dict[str, Any]:
    """Claims that hold at the scripts' time; a change of None leaves that claim out."""
    now = int(AT.timestamp())
    claims = {"iss": issuer, "aud": client_id, "sub": "sub-1", "iat": now, "exp": now + 300, **changes}
    return {name: value for name, value in claims.items() if value is not None}
