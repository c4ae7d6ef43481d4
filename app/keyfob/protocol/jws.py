"""Signed JSON objects that Keyfob creates: DPoP proofs and client assertions.

Called by `dpop` and `client_auth`. It signs only what it is given, with a key that it is given. It never
generates a key, reads a clock, or puts a private member of a JWK into a header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keyfob.core.errors import Fault, KeyfobError
from keyfob.core.grant import SigningKey

ALGORITHMS = ("ES256", "RS256", "EdDSA")
# A whitelist, so that an unknown member cannot carry a private value out (RFC 7518 §6, RFC 8037 §2).
_PUBLIC_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e"), "OKP": ("kty", "crv", "x")}


def public_jwk(key: SigningKey) -> dict[str, str]:
    """The key's public members alone, in RFC 7638's order-free form.
    Raises Fault for a kind of key unknown here.
    """
    members = _PUBLIC_MEMBERS.get(key.public_jwk.get("kty", ""))
    if members is None or any(name not in key.public_jwk for name in members):
        raise Fault("A signing key has an unknown type")
    return {name: key.public_jwk[name] for name in members}


def published_jwk(key: SigningKey) -> dict[str, str]:
    """The public key as a JWKS lists it: with `kid`, `use` and `alg` (RFC 7517 §4)."""
    return {**public_jwk(key), "kid": key.kid, "use": "sig", "alg": key.alg}


def sign(key: SigningKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A compact JWS over `claims`. `header` is added to `alg`. Raises Fault if the key cannot sign."""
    if key.alg not in ALGORITHMS:
        raise Fault(f"A signing key has the unknown algorithm {key.alg[:16]!r}")
    import jwt  # here: 10 MB and a tenth of the engine's start, which most renewals have no use for

    problem: KeyfobError
    try:
        private = jwt.PyJWK(json.loads(key.private_jwk.reveal()), algorithm=key.alg)
        return jwt.encode(dict(claims), private.key, algorithm=key.alg, headers=dict(header))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        problem = Fault("A signing key is damaged")
    # Raised out here: the library's own exception may quote the key, and would hang on as the context.
    raise problem
