"""Asks the provider to revoke a token (RFC 7009), or does so in the provider's own way.

Called after the account's tokens were deleted here, and again for pending revocations. It says whether the
provider has revoked the token, cannot, or should be asked again. It never decides what is deleted here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, assert_never
from urllib.parse import quote, urlencode, urlsplit

from keyfob.core.errors import Transient
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request
from keyfob.core.provider import Api
from keyfob.core.secret import Secret
from keyfob.core.words import RevocationAnswer, RevocationStyle, TokenHint
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Flow
from keyfob.protocol.http.responses import NotStrictError, error_of, failure, is_web_page, parse_object
from keyfob.protocol.http.urls import safe
from keyfob.protocol.oauth.client_auth import authenticate
from keyfob.protocol.token_placement import place_token, token_values

YES: RevocationAnswer = "yes"
UNSUPPORTED: RevocationAnswer = "unsupported"
DELETES: tuple[RevocationStyle, ...] = ("delete", "nextcloud")
_Sent = Literal["rfc7009", "json", "delete", "form_get", "bearer_post", "nextcloud"]  # all styles but `none`


def revoke(
    ctx: FlowContext,
    token: Secret,
    hint: TokenHint,
) -> Flow[RevocationAnswer]:
    """Revoke one token at its server. `hint` is `refresh_token` or `access_token` (RFC 7009 §2.1).

    "yes" once the provider says so, or says that it knows no such token; "unsupported" if it cannot. Raises
    Transient if it should be asked again, SettingWrong if the client is refused, PeerFault for other
    refusals. With a DPoP key the request is signed: an atproto server answers 200 to one without a proof, and
    revokes nothing.
    """
    provider = ctx.provider
    url = provider.revocation.url or ctx.server.endpoints.revocation_endpoint
    if provider.revocation.style == "none" or url is None:
        return UNSUPPORTED
    style: _Sent = provider.revocation.style
    request, access = _request(ctx, style, url, token, hint)

    def again() -> Request:
        return _request(ctx, style, url, token, hint)[0]

    response = yield from dpop.send(request, key=ctx.dpop_key, env=ctx.env, access=access, again=again)
    what = f"{provider.title}'s revocation endpoint"
    shape = provider.token_answer
    try:
        data = parse_object(response)
    except NotStrictError:
        data = {}
    code, _ = error_of(data, shape.error_field)
    gone = code in ("invalid_token", "token_revoked", "invalid_grant")
    # With the token for its own credential, a 401 says that it is dead already.
    if gone or (response.status == 401 and style == "bearer_post"):
        return YES
    if code == "unsupported_token_type":
        return UNSUPPORTED
    refused = code is not None or (shape.ok_field is not None and data.get(shape.ok_field) is False)
    if 200 <= response.status < 300 and response.body and is_web_page(response):
        raise Transient(f"{what} answered with a web page", code="captive_portal")
    if 200 <= response.status < 300 and not refused:
        return YES
    if response.status == 404:
        return YES if style in DELETES else UNSUPPORTED
    if response.status in (405, 501):
        return UNSUPPORTED
    raise failure(response, what, who=provider.title, error_field=shape.error_field)


def _request(
    ctx: FlowContext, style: _Sent, url: str, token: Secret, hint: TokenHint
) -> tuple[Request, Secret | None]:
    """The request of the preset's style, and the token if the token itself is the credential.

    `{token}`, `{hint}` and `{client_id}` are placeholders in the preset's parameters, `{client_id}` in its
    address; a parameter with `{token}` takes the place of RFC 7009's two.
    """
    preset = ctx.provider.revocation
    client_id = ctx.client.client_id or ""
    endpoint = safe(url.replace("{client_id}", quote(client_id, safe="")), "The revocation endpoint")
    words = {"token": token.reveal(), "hint": hint, "client_id": client_id}
    params = {name: _filled(value, words) for name, value in preset.params.items()}
    named = any("{token}" in value for value in preset.params.values())
    headers = {"Accept": "application/json"}
    if not named and style in ("rfc7009", "json", "form_get"):
        params = {"token": token.reveal(), "token_type_hint": hint, **params}
    match style:
        case "form_get":
            separator = "&" if urlsplit(endpoint).query else "?"
            return Request("GET", f"{endpoint}{separator}{urlencode(params)}", "revoke", headers), None
        case "bearer_post":
            body = urlencode(params).encode() if params else None
            if body is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            request = Request("POST", endpoint, "revoke", headers, body)
            return place_token(Api(), request, token, token_type=_scheme(ctx.dpop_key)), token
        case "delete" | "nextcloud" if not named:
            request = Request("DELETE", endpoint, "revoke", headers)
            placed = place_token(
                ctx.provider.api,
                request,
                token,
                token_type=_scheme(ctx.dpop_key),
                values=token_values(ctx.inputs, ctx.client.client_id),
            )
            return placed, token
        case "rfc7009" | "json" | "delete" | "nextcloud":
            as_json = style != "rfc7009"
            headers["Content-Type"] = "application/json" if as_json else "application/x-www-form-urlencoded"
            fields, head = authenticate(ctx, params, headers, endpoint)
            text = json.dumps(fields) if as_json else urlencode(fields)
            method = "POST" if style in ("rfc7009", "json") else "DELETE"
            return Request(method, endpoint, "revoke", head, text.encode()), None
    assert_never(style)


def _scheme(key: SigningKey | None) -> str:
    return "Bearer" if key is None else "DPoP"


def _filled(text: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text
