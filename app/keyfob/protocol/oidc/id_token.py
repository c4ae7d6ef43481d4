"""ID tokens (OpenID Connect Core §3.1.3.7, §3.1.3.8, §12.2; RFC 8725).

`authorize` and `device` call it at sign-in, and `renewal.renew` at renewal. `verify` accepts only a token
that is signed by a key of the pinned server, under an algorithm for this key, with claims of this server,
client and sign-in. It never fetches a key from an address in a token, never uses a shared secret as a key,
and compares all times with the one that it is given.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from keyfob.core.encoding import base64url
from keyfob.core.errors import PeerFault, SettingWrong, Transient
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import NotStrictError, parse_json
from keyfob.protocol.oidc.keys import ALGORITHMS, decode_base64url, fits, read_keys

SKEW = 60  # seconds that two honest clocks may differ
TOKEN_MOST = 65_536  # bytes, checked before anything is decoded
TRIES_MOST = 8  # keys tried for a token that names none
SUBJECT_MOST = 255  # Core §2

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
# They would have us trust a key, or understand an extension, on the token's own word.
_REFUSED_HEADERS = ("crit", "jku", "jwk", "x5u", "x5c", "b64", "zip", "enc")
_OTHER_KINDS = ("at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt")
_TENANT = re.compile(r"[A-Za-z0-9-]{1,64}")


# --- tokens -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """The two readable parts of a JWT, of which nothing is checked."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def verify(
    ctx: FlowContext,
    token: Secret,
    *,
    nonce: Secret | None,
    at: datetime,
    access: Secret | None = None,
    code: Secret | None = None,
    subject: str | None = None,
) -> Flow[dict[str, Any]]:
    """The claims of an ID token that stands every test. `at` is the moment it came; `nonce` what was sent
    with the request (None: none was); `subject` that it must have, if that is known.

    Fetches the server's keys if they are not known, and again for a key that is not among them. Raises
    PeerFault `id_token_invalid` or `subject_mismatch`; Transient if keys are needed and cannot be had.
    """
    parsed = parse_token(token)
    _check_header(parsed.header)
    if subject is None:
        # At a sign-in the metadata is new. A renewal has what the account pinned, and since then the server
        # may use another algorithm.
        _check_announced(ctx, parsed.header["alg"])
    # The claims first: a token that is not meant for us is worth no request.
    check_claims(
        ctx, parsed.claims, parsed.header, nonce=nonce, at=at, access=access, code=code, subject=subject
    )
    yield from _check_signature(ctx, token, parsed.header, at)
    return dict(parsed.claims)


def verify_userinfo(ctx: FlowContext, token: Secret, *, at: datetime) -> Flow[dict[str, Any]]:
    """The claims of user information that comes as a signed JWT (Core §5.3.2): of this issuer, for this
    client. It has no times of its own. Raises as `verify`.
    """
    try:
        parsed = parse_token(token)
        _check_header(parsed.header)
        _check_issuer(ctx, parsed.claims)
        _audiences(ctx.client.client_id, parsed.claims)
        yield from _check_signature(ctx, token, parsed.header, at)
    except PeerFault as fault:
        words = fault.message.replace("The ID token", "The user information")
        raise PeerFault(words, code=fault.code) from None
    return dict(parsed.claims)


def unverified_claims(token: Secret | None) -> dict[str, Any] | None:
    """The claims of a JWT that is trusted for another reason (it came over TLS from the server that made it),
    None if it is not a JWT. Does not check who signed it.
    """
    if token is None:
        return None
    try:
        return dict(parse_token(token).claims)
    except PeerFault:
        return None


def _invalid(why: str) -> NoReturn:
    raise PeerFault(f"The ID token is not valid: {why}", code="id_token_invalid")


def parse_token(token: Secret) -> ParsedToken:
    """Takes a signed JWT apart (RFC 7515 §3.1). Raises PeerFault `id_token_invalid`."""
    text = token.reveal()
    if len(text) > TOKEN_MOST:
        _invalid("it is too large")
    parts = text.split(".")
    if len(parts) != 3:
        _invalid("it is not a signed token")
    if not parts[2]:
        _invalid("it is not signed")
    try:
        header, claims = (parse_json(decode_base64url(part)) for part in parts[:2])
        decode_base64url(parts[2])
    except NotStrictError:
        _invalid("it cannot be read")
    if not isinstance(header, dict) or not isinstance(claims, dict):
        _invalid("it cannot be read")
    return ParsedToken(header, claims)


def check_algorithm(header: Mapping[str, Any]) -> None:
    """Refuses what would have us trust a token on its own word. Raises PeerFault `id_token_invalid`."""
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        # With `none` anybody signs, and with HS256 anybody who knows the public key or shares the secret.
        _invalid("its algorithm does not prove who signed it")
    for name in _REFUSED_HEADERS:
        if name in header:
            _invalid(f"its header has {name}")
    if not isinstance(header.get("kid", ""), str):
        _invalid("its key id is not a string")


def _check_header(header: Mapping[str, Any]) -> None:
    check_algorithm(header)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") in _OTHER_KINDS:
        _invalid("it is a different kind of token")


def _check_announced(ctx: FlowContext, alg: str) -> None:
    """Discovery §3: the metadata lists the algorithms; the default is RS256 (Core §3.1.3.7, 7). A preset that
    names its endpoints itself announces nothing.
    """
    announced = ctx.server.id_token_signing_alg_values_supported
    if announced is None and ctx.provider.discovery == "openid":
        announced = ("RS256",)
    if announced is not None and alg not in announced:
        _invalid("its algorithm is not one that the provider announces")


# --- signature ----------------------------------------------------------------------------------------------


def _check_signature(ctx: FlowContext, token: Secret, header: Mapping[str, Any], at: datetime) -> Flow[None]:
    uri = ctx.safe(ctx.server.endpoints.jwks_uri, "The address of the signing keys")
    keys = ctx.env.keys
    known = keys.cached(uri)
    if signed_by_one_of(known, token, header):
        return
    # Unknown key id, or a signature that no known key made: the server may have new keys.
    if not keys.may_fetch(uri, at):
        _invalid("none of the server's keys signed it")
    try:
        response: Response = yield Send(Request("GET", uri, "jwks", {"Accept": "application/json"}))
        fetched = read_keys(response, f"{ctx.provider.title}'s signing keys")
    except (Transient, PeerFault, SettingWrong):
        if not known:
            raise
        _invalid("none of the known keys signed it, and Keyfob could not get newer keys")
    keys.store(uri, fetched)
    if not signed_by_one_of(fetched, token, header):
        _invalid("none of the server's keys signed it")


def signed_by_one_of(
    candidates: Sequence[Mapping[str, Any]], token: Secret, header: Mapping[str, Any]
) -> bool:
    """Whether one of these keys made the signature, under the algorithm of the header and for this key."""
    alg, kid = header["alg"], header.get("kid")
    fitting = [k for k in candidates if fits(k, alg) and (kid is None or k.get("kid") == kid)]
    return any(_signed_by(key, token, alg) for key in fitting[:TRIES_MOST])


def _signed_by(jwk: Mapping[str, Any], token: Secret, alg: str) -> bool:
    import jwt  # here: 10 MB and a tenth of the engine's start, for what only signed tokens need
    from jwt.exceptions import PyJWTError

    try:
        jwt.PyJWS(algorithms=[alg]).decode(
            token.reveal(), jwt.PyJWK(dict(jwk), algorithm=alg), algorithms=[alg]
        )
    except (PyJWTError, ValueError, TypeError, KeyError):
        return False
    return True


# --- claims -------------------------------------------------------------------------------------------------


def check_claims(
    ctx: FlowContext,
    claims: Mapping[str, Any],
    header: Mapping[str, Any],
    *,
    nonce: Secret | None,
    at: datetime,
    access: Secret | None = None,
    code: Secret | None = None,
    subject: str | None = None,
) -> None:
    """Check only the claims. Raises PeerFault `id_token_invalid`, or `subject_mismatch` for another
    `subject`.
    """
    _check_issuer(ctx, claims)
    _check_audience(ctx.client.client_id, claims)
    _check_times(claims, at)
    _check_nonce(claims, nonce)
    for name, value in (("at_hash", access), ("c_hash", code)):
        if value is not None and claims.get(name) is not None:
            _check_half_hash(name, claims[name], value, header["alg"])
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= SUBJECT_MOST or not sub.isprintable():
        _invalid("it has no subject")
    if subject is not None and sub != subject:
        raise PeerFault(f"{ctx.provider.title} answered for another person", code="subject_mismatch")


def _check_issuer(ctx: FlowContext, claims: Mapping[str, Any]) -> None:
    iss = claims.get("iss")
    if not isinstance(iss, str) or iss != expected_issuer(ctx, claims):
        _invalid("it comes from another issuer")


def expected_issuer(ctx: FlowContext, claims: Mapping[str, Any]) -> str | None:
    """The issuer that a token must name: the server's, or if that is a template (Microsoft's common
    endpoint), the template with the token's own tenant in it.
    """
    issuer = ctx.server.issuer
    if issuer is None or "{tenantid}" not in issuer:
        return issuer
    tenant = claims.get("tid")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        return None
    return issuer.replace("{tenantid}", tenant)


def _audiences(client_id: str | None, claims: Mapping[str, Any]) -> list[str]:
    """Whom the claims are meant for, this client among them."""
    aud = claims.get("aud")
    audiences = [aud] if isinstance(aud, str) else aud
    if not isinstance(audiences, list) or not all(isinstance(a, str) for a in audiences):
        _invalid("its audience has the wrong type")
    if client_id is None or client_id not in audiences:
        _invalid("it is meant for another app")
    return audiences


def _check_audience(client_id: str | None, claims: Mapping[str, Any]) -> None:
    audiences = _audiences(client_id, claims)
    azp = claims.get("azp")
    if azp is None and len(set(audiences)) > 1:
        _invalid("it is meant for other apps too, and does not say which app asked for it")
    if azp is not None and azp != client_id:
        _invalid("another app asked for it")


def _check_times(claims: Mapping[str, Any], at: datetime) -> None:
    now = at.timestamp()
    exp, iat = _time(claims, "exp"), _time(claims, "iat")
    if exp is None or iat is None:
        _invalid("it does not say when it was issued and when it expires")
    if exp + SKEW <= now:
        _invalid("it has expired")
    if iat - SKEW > now:
        _invalid("it was issued in the future (check this computer's clock)")
    nbf = _time(claims, "nbf")
    if nbf is not None and nbf - SKEW > now:
        _invalid("it is not valid yet (check this computer's clock)")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        _invalid(f"its {name} is not a time")
    return float(value) if math.isfinite(value) else None


def _check_nonce(claims: Mapping[str, Any], nonce: Secret | None) -> None:
    if nonce is None:
        return
    found = claims.get("nonce")
    if not isinstance(found, str) or not _same(found, nonce.reveal()):
        _invalid("it belongs to another sign-in")


def _check_half_hash(name: str, found: object, value: Secret, alg: str) -> None:
    # Ed25519 signs over SHA-512.
    digest = _HASHES["512" if alg == "EdDSA" else alg[2:]](value.reveal().encode()).digest()
    expected = base64url(digest[: len(digest) // 2])
    if not isinstance(found, str) or not _same(found, expected):
        _invalid(f"its {name} does not match")


def _same(found: str, expected: str) -> bool:
    # JSON can hold half a surrogate pair, which no encoding takes without a word.
    return hmac.compare_digest(found.encode("utf-8", "surrogatepass"), expected.encode())
