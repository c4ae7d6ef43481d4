"""The keys that sign ID tokens (RFC 7517): which of a server's keys are usable, and which have been fetched.

Called by `id_token`, which fetches a key set and judges tokens by it.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from keyfob.core.errors import PeerFault
from keyfob.core.http import Response
from keyfob.protocol.http.responses import NotStrict, read_json

REFETCH = timedelta(seconds=30)
KEYS_MOST = 64  # of one set
SETS_MOST = 128  # servers; one person's accounts have a few dozen
RSA_BITS_LEAST = 2048  # RFC 7518 §3.3

_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
ALGORITHMS = frozenset(_RSA | _CURVES.keys())  # asymmetric ones alone
_PUBLIC = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class Keys:
    """The public signing keys of each server, by `jwks_uri`. One a process, shared by its threads; holds no secret.

    A key set is replaced by a newer one only, never dropped because a fetch failed. Beyond SETS_MOST the set used
    longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sets: OrderedDict[str, tuple[Mapping[str, Any], ...]] = OrderedDict()
        self._asked_at: dict[str, datetime] = {}

    def cached(self, jwks_uri: str) -> tuple[Mapping[str, Any], ...]:
        """The keys known, none if nothing was fetched yet."""
        with self._lock:
            found = self._sets.get(jwks_uri)
            if found is None:
                return ()
            self._sets.move_to_end(jwks_uri)
            return found

    def may_fetch(self, jwks_uri: str, at: datetime) -> bool:
        """Whether to fetch now: always if nothing is known; else once in REFETCH, which is noted, so that tokens
        with invented key ids cannot make us hammer a server. The first fetch does not count as a second one: a key that changes
        right after it is found."""
        with self._lock:
            if jwks_uri not in self._sets:
                return True
            last = self._asked_at.get(jwks_uri)
            if last is not None and abs(at - last) < REFETCH:
                return False
            self._asked_at[jwks_uri] = at
            return True

    def store(self, jwks_uri: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Take a fetched set. An empty one is a mistake of the server's and replaces nothing."""
        with self._lock:
            if not keys:
                return
            self._sets[jwks_uri] = tuple(keys)
            self._sets.move_to_end(jwks_uri)
            while len(self._sets) > SETS_MOST:
                forgotten, _ = self._sets.popitem(last=False)
                self._asked_at.pop(forgotten, None)


def read_keys(response: Response, what: str) -> tuple[Mapping[str, Any], ...]:
    """The public signing keys of a JWKS answer (RFC 7517 §5). Keys of unknown kinds, for encryption, or too weak are
    passed over. Raises as `responses.read_json`, and PeerFault `metadata_invalid` if it is not a key set."""
    found = read_json(response, what).get("keys")
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
    except NotStrict:
        return 0


def fits(key: Mapping[str, Any], alg: str) -> bool:
    """Whether a key may verify under `alg`: its own word if it has one, else its type and curve (RFC 8725 §3.1)."""
    if key.get("alg", alg) != alg:
        return False
    if alg in _RSA:
        return bool(key["kty"] == "RSA")
    kind = "OKP" if alg == "EdDSA" else "EC"
    return bool(key["kty"] == kind and key.get("crv") == _CURVES[alg])


def decode_base64url(part: str) -> bytes:
    """One part of a compact JWT (RFC 7515 §3.1). Raises NotStrict."""
    if not _BASE64URL.fullmatch(part):
        raise NotStrict("it is not base64url")
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise NotStrict("it is not base64url") from None
