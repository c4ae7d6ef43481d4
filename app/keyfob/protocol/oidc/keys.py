"""The keys that sign ID tokens (RFC 7517): which of a server's keys are usable, and for what.

Called by `id_token`, which fetches key sets, keeps them in `FlowEnv.keys`, and checks tokens by them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from keyfob.core.errors import PeerFault
from keyfob.core.http import Response
from keyfob.protocol.http.responses import NotStrictError, read_json

KEYS_MOST = 64  # of one set
RSA_BITS_LEAST = 2048  # RFC 7518 §3.3

_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
ALGORITHMS = frozenset(_RSA | _CURVES.keys())  # asymmetric ones alone
_PUBLIC = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


def read_keys(response: Response, what: str) -> tuple[Mapping[str, Any], ...]:
    """The public signing keys of a JWKS answer (RFC 7517 §5). Keys of unknown kinds, for encryption, or too
    weak are passed over. Raises as `responses.read_json`, and PeerFault `metadata_invalid` if it is not a key
    set.
    """
    return usable_keys(read_json(response, what), what)


def usable_keys(document: Mapping[str, Any], what: str) -> tuple[Mapping[str, Any], ...]:
    """The same for a key set that is read already."""
    found = document.get("keys")
    if not isinstance(found, list):
        raise PeerFault(f"{what} sent no keys", code="metadata_invalid")
    usable = []
    for key in found[:KEYS_MOST]:
        if isinstance(key, dict) and _is_signing_key(key):
            usable.append({name: key[name] for name in _PUBLIC if name in key})
    return tuple(usable)


def _is_signing_key(key: Mapping[str, Any]) -> bool:
    if key.get("use", "sig") != "sig":
        return False
    operations = key.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return False
    if not isinstance(key.get("kid", ""), str) or not isinstance(key.get("alg", ""), str):
        return False
    match key.get("kty"):
        case "RSA":
            modulus = key.get("n")
            return isinstance(modulus, str) and _bits(modulus) >= RSA_BITS_LEAST
        case "EC" | "OKP":
            return key.get("crv") in _CURVES.values()
    return False


def _bits(modulus: str) -> int:
    try:
        return int.from_bytes(decode_base64url(modulus), "big").bit_length()
    except NotStrictError:
        return 0


def fits(key: Mapping[str, Any], alg: str) -> bool:
    """Whether a key may verify under `alg`: its own word if it has one,
    else its type and curve (RFC 8725 §3.1).
    """
    if key.get("alg", alg) != alg:
        return False
    if alg in _RSA:
        return bool(key["kty"] == "RSA")
    kind = "OKP" if alg == "EdDSA" else "EC"
    return bool(key["kty"] == kind and key.get("crv") == _CURVES[alg])


def decode_base64url(part: str) -> bytes:
    """One part of a compact JWT (RFC 7515 §3.1). Raises NotStrictError."""
    if not _BASE64URL.fullmatch(part):
        raise NotStrictError("it is not base64url")
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise NotStrictError("it is not base64url") from None
