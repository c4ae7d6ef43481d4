"""Creates signing keys: DPoP keys (RFC 9449) and the keys of confidential clients (RFC 7523).

The only source of private keys. It keeps none. The caller stores the key in the keychain before it is used,
and shows only the public key.
"""

from __future__ import annotations

import json
from typing import Any, assert_never

from keyfob.core.encoding import sha256_base64url
from keyfob.core.grant import SigningKey
from keyfob.core.secret import Secret
from keyfob.core.words import MadeAlgorithm

RSA_BITS = 2048  # RFC 7518 §3.3's least, and what every server takes
_THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


def new_key(alg: MadeAlgorithm = "ES256") -> SigningKey:
    """A fresh key for ES256 (P-256), RS256 or EdDSA (Ed25519); its `kid` is the RFC 7638 thumbprint, and
    never begins with a dash, which a command line takes for an option. Blocks for as long as RSA takes (about
    100 ms). Thread-safe.
    """
    while True:
        key = _made(alg)
        if not key.kid.startswith("-"):
            return key


def _made(alg: MadeAlgorithm) -> SigningKey:
    # Here: 10 MB and a tenth of the engine's start, for what is done once an account and by few.
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    private: dict[str, Any]
    match alg:
        case "ES256":
            private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
        case "RS256":
            private = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, RSA_BITS), as_dict=True)
        case "EdDSA":
            private = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
        case _:
            assert_never(alg)
    private.pop("key_ops", None)
    public = {name: private[name] for name in _THUMBPRINT_MEMBERS[private["kty"]]}
    return SigningKey(thumbprint(public), alg, Secret(json.dumps(private, separators=(",", ":"))), public)


def thumbprint(public: dict[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members in order, base64url."""
    members = {name: public[name] for name in _THUMBPRINT_MEMBERS[public["kty"]]}
    return sha256_base64url(json.dumps(members, separators=(",", ":"), sort_keys=True))
