"""Pushed authorization requests (RFC 9126): the request's parameters go
directly to the server, not through the browser.

The authorization code flow calls it if the server or the preset supports it. The browser then carries only a
reference that works once. A failure ends the sign-in: the parameters never go through the browser instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from keyfob.core.errors import PeerFault
from keyfob.core.http import Request
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Flow
from keyfob.protocol.http.responses import read_first
from keyfob.protocol.oauth.client_auth import authenticate

_URI_MOST = 2_048  # characters; it becomes part of the address that the browser opens


def push(
    ctx: FlowContext,
    params: Mapping[str, str],
) -> Flow[str]:
    """Push the authorization request's `params`; returns the `request_uri`, which the caller puts into one
    browser address at once (RFC 9126 §4: `client_id` and `request_uri` alone) and never again.

    Signed with the DPoP key of `ctx` if it has one, so that the code is bound to it (RFC 9449 §10.1). Raises
    SettingWrong if the server refuses the client or scopes, Transient if it is down, PeerFault for an answer
    that breaks RFC 9126 §2.2 or has expired on arrival.
    """
    endpoint = ctx.safe(
        ctx.server.endpoints.pushed_authorization_request_endpoint,
        "The pushed authorization request endpoint",
    )
    if "request_uri" in params:
        raise ValueError("a pushed request has no request_uri of its own")  # RFC 9126 §2.1
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

    def request() -> Request:
        body, head = authenticate(ctx, params, headers, endpoint)
        return Request("POST", endpoint, "par", head, urlencode(body).encode())

    response = yield from dpop.send(request(), key=ctx.dpop_key, env=ctx.env, again=request)
    answer = read_first(response, "The pushed authorization request endpoint")
    request_uri, expires_in = answer.get("request_uri"), answer.get("expires_in")
    if (
        not isinstance(request_uri, str)
        or not 0 < len(request_uri) <= _URI_MOST
        or not request_uri.isprintable()
    ):
        raise PeerFault(
            "The server accepted the sign-in request but sent no reference to it", code="response_invalid"
        )
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or not 0 < expires_in < 86_400:
        raise PeerFault(
            "The server's reference to the sign-in request has no lifetime", code="response_invalid"
        )
    if ctx.env.now() >= response.at + timedelta(seconds=expires_in):
        raise PeerFault("The server's reference to the sign-in request has expired", code="response_invalid")
    return request_uri
