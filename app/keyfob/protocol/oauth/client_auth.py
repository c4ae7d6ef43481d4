"""Client authentication at the authorization server (RFC 6749 §2.3, RFC 7523 §2.2, OpenID Connect Core §9).

One function for the token, refresh, device, PAR and revocation endpoints. It uses only the method that the
client was registered with, because a server that is offered two methods may accept the weaker one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import assert_never
from urllib.parse import quote_plus

from keyfob.core.encoding import basic
from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.jws import sign

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = timedelta(seconds=60)  # used at once; a longer one only helps a thief


def authenticate(
    ctx: FlowContext, params: Mapping[str, str], headers: Mapping[str, str], endpoint: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The request's parameters and headers with the client's authentication added; the ones handed in stay as
    they are. `endpoint` is the address of the request: the audience if the server has no issuer.

    What it returns holds secrets: it goes into one Request and nowhere else. Raises SettingWrong
    `client_missing` if the client id, secret or key that the method needs is missing.
    """
    body, head, client = dict(params), dict(headers), ctx.client
    if client.client_id is None:
        raise SettingWrong("This sign-in has no client id", code="client_missing")
    client_id = client.client_id
    match client.auth:
        case "none":
            body["client_id"] = client_id
        case "client_secret_basic":
            head["Authorization"] = _basic(client_id, _secret(client).reveal())
        case "client_secret_post":
            body["client_id"] = client_id
            body["client_secret"] = _secret(client).reveal()
        case "basic_empty":  # Reddit: a public client shows its id by Basic, with nothing for a password
            head["Authorization"] = _basic(client_id, "")
        case "private_key_jwt":
            body["client_id"] = client_id
            body["client_assertion_type"] = ASSERTION_TYPE
            body["client_assertion"] = _assertion(ctx, client_id, endpoint)
        case _:
            assert_never(client.auth)
    return body, head


def _basic(client_id: str, secret: str) -> str:
    # RFC 6749 §2.3.1: both are form-encoded first, so that a colon or a percent sign survives.
    return basic(quote_plus(client_id), quote_plus(secret))


def _secret(client: Client) -> Secret:
    if not client.secret:
        raise SettingWrong("This app registration needs its client secret", code="client_missing")
    return client.secret


def _assertion(ctx: FlowContext, client_id: str, endpoint: str) -> str:
    client, server = ctx.client, ctx.server
    if client.key is None:
        raise SettingWrong(
            "This app registration needs a private key, and there is none", code="client_missing"
        )
    at = ctx.env.now()
    claims = {
        "iss": client_id,
        "sub": client_id,
        # The issuer is one audience for all endpoints, which no other
        # server can claim; RFC 7523 §3 permits both.
        "aud": server.issuer or server.endpoints.token_endpoint or endpoint,
        "jti": ctx.env.new_id(),
        "iat": int(at.timestamp()),
        "exp": int((at + ASSERTION_LIFE).timestamp()),
    }
    return sign(client.key, {"typ": "JWT", "kid": client.key.kid}, claims)
