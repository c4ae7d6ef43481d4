"""The private keys of this server as a client (private_key_jwt, RFC 7523), and their public half for others.

The newest key signs for new sign-ins. A session is bound to the key that it began with (atproto), so
older keys stay in the set, and published, until no session needs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from keyfob.core.errors import Fault, SettingWrong
from keyfob.core.grant import SigningKey
from keyfob.core.secret import Secret
from keyfob.core.words import Algorithm
from keyfob.protocol.jws import public_jwk, published_jwk, sign

_BY_KIND: dict[tuple[str, str | None], Algorithm] = {
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
    ("OKP", "Ed25519"): "EdDSA",
}


PUBLISHED_FIRST = timedelta(minutes=15)  # longer than servers keep a key set


class ClientKeySet:
    """Immutable and thread-safe. Empty: the server is a public client."""

    def __init__(
        self, keys: Sequence[SigningKey] = (), made: Mapping[str, datetime] = MappingProxyType({})
    ) -> None:
        """`keys`: newest first. `made`: by `kid`, when a key was added to the set, if that is known."""
        self.keys, self._made = tuple(keys), made

    def newest(self, now: datetime, alg: Algorithm | None = None) -> SigningKey | None:
        """The key for new sign-ins, of one algorithm if the server asks for it: the newest of those that
        servers know by now; if they know none, the oldest.
        """
        fit = [key for key in self.keys if alg in (None, key.alg)]
        known = (key for key in fit if key.kid not in self._made or self._known(key.kid, now))
        return next(known, fit[-1] if fit else None)

    def _known(self, kid: str, now: datetime) -> bool:
        return self._made[kid] + PUBLISHED_FIRST <= now

    def get(self, kid: str) -> SigningKey | None:
        """The key of this id."""
        return next((key for key in self.keys if key.kid == kid), None)

    def published(self) -> dict[str, list[dict[str, str]]]:
        """The JWKS (RFC 7517 §5), without a private member."""
        return {"keys": [published_jwk(key) for key in self.keys]}


def read_keys(text: Secret) -> ClientKeySet:
    """A private JWK, or a JWK Set whose first key is the newest, as JSON. Each key needs a `kid`; `alg`
    may be left out. Raises SettingWrong without any part of a key.
    """
    try:
        found = json.loads(text.reveal())
    except ValueError:
        raise _unfit("is not JSON") from None
    listed = found.get("keys") if isinstance(found, dict) and "keys" in found else [found]
    if not isinstance(listed, list):
        raise _unfit("is not a JWK or a JWK Set")
    keys = [_key(each) for each in listed]
    if len({key.kid for key in keys}) != len(keys):
        raise _unfit("has two keys with the same kid")
    made = {each["kid"]: each["iat"] for each in listed if type(each.get("iat")) is int}
    try:
        return ClientKeySet(keys, {kid: datetime.fromtimestamp(at, UTC) for kid, at in made.items()})
    except (ValueError, OverflowError, OSError):
        raise _unfit("has a key with an iat that is not a time") from None


def _key(jwk: object) -> SigningKey:
    if not isinstance(jwk, dict) or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        raise _unfit("has a key without kid")
    kind = jwk.get("kty")
    alg = _BY_KIND.get((kind if isinstance(kind, str) else "", jwk.get("crv")))
    if alg is None or jwk.get("alg", alg) != alg:
        raise _unfit("has a key that is not ES256, RS256 or EdDSA")
    if not isinstance(jwk.get("d"), str):
        raise _unfit("has a key without its private half")
    members = {name: value for name, value in jwk.items() if isinstance(value, str)}
    private = json.dumps(
        {name: value for name, value in members.items() if name not in ("use", "kid", "alg")}
    )
    key = SigningKey(jwk["kid"], alg, Secret(private), members)
    try:
        key = SigningKey(key.kid, alg, key.private_jwk, public_jwk(key))
        sign(key, {}, {})
    except Fault:
        raise _unfit("has a key that cannot sign") from None
    return key


def _unfit(why: str) -> SettingWrong:
    return SettingWrong(f"The setting of the client's private keys {why}")
