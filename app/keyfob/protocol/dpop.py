"""Proof of possession (RFC 9449): every request with a bound token has a fresh signature.

Flows, `keyfob request` and the gateway send requests that may need a proof through `send`. Without a key it
sends the request unchanged. With a key it signs, learns the server's nonce from every answer, and answers one
nonce challenge. It never sends a request a third time, and never puts a private key or a query into a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.encoding import sha256_base64url
from keyfob.core.errors import PeerFault
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request, Response
from keyfob.core.repeats import Repeats, is_nonce_challenge
from keyfob.core.secret import Secret
from keyfob.protocol.effects import Flow, NewId, Send
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.responses import NotStrictError, parse_object
from keyfob.protocol.http.urls import origin_of
from keyfob.protocol.jws import public_jwk, sign

_BODY_MOST = 65_536  # an error answer larger than this is not a challenge


def proof(
    key: SigningKey,
    method: str,
    url: str,
    *,
    new_id: NewId,
    now: Callable[[], datetime],
    nonce: str | None = None,
    access: Secret | None = None,
) -> str:
    """A DPoP proof (RFC 9449 §4.2) for one request: fresh `jti`, `htu` without query and fragment, `ath` if
    an access token goes with it. The value of the `DPoP` header.
    """
    claims: dict[str, Any] = {
        "jti": new_id(),
        "htm": method.upper(),
        "htu": origin_of(url) + (urlsplit(url).path or "/"),
        "iat": int(now().timestamp()),
    }
    if access is not None:
        claims["ath"] = sha256_base64url(access.reveal())
    if nonce is not None:
        claims["nonce"] = nonce
    return sign(key, {"typ": "dpop+jwt", "jwk": public_jwk(key)}, claims)


def send(
    request: Request,
    *,
    key: SigningKey | None,
    env: FlowEnv,
    access: Secret | None = None,
    again: Callable[[], Request] | None = None,
) -> Flow[Response]:
    """Send `request`, with a proof where `key` is given. With `key` and `access`, `Authorization` becomes
    `DPoP <access>`; without a key the request goes out untouched.

    `again` builds the request again for the repeat, where something in it is used once: a client assertion's
    `jti`. A nonce challenge (§8: 400 with the JSON error; §9: 401 with the WWW-Authenticate error) is
    answered once; a second one raises PeerFault. Any other answer, whatever its status, is returned.
    """
    if key is None:
        plain: Response = yield Send(request)
        return plain
    nonce, repeats = env.nonces.get(request.url), Repeats()
    while True:
        signed = proof(
            key, request.method, request.url, new_id=env.new_id, now=env.now, nonce=nonce, access=access
        )
        answer: Response = yield Send(_signed(request, signed, access))
        nonce = env.nonces.learn(request.url, answer)
        if not challenged(answer):
            return answer
        if nonce is None:
            raise PeerFault("The server asks for a DPoP nonce but does not send one")
        if repeats.reason(answer.status, answer.headers, asks_for_nonce=True) != "nonce":
            raise PeerFault("The server refuses every DPoP nonce that it sends")
        if again is not None:
            request = again()


def challenged(response: Response) -> bool:
    """Whether the answer asks for the request again with the nonce it brings."""
    if response.status == 401 and is_nonce_challenge(response.headers):
        return True
    if response.status not in (400, 401) or len(response.body) > _BODY_MOST:
        return False
    try:
        return parse_object(response).get("error") == "use_dpop_nonce"
    except NotStrictError:
        return False


def _signed(request: Request, signed: str, access: Secret | None) -> Request:
    headers = {k: v for k, v in request.headers.items() if k.lower() != "dpop"}
    if access is not None:
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        headers["Authorization"] = f"DPoP {access.reveal()}"
    headers["DPoP"] = signed
    return replace(request, headers=headers)
