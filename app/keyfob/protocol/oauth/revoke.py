"""Asks the provider to revoke a token (RFC 7009), or does so in the provider's own way.

Called after the account's tokens were deleted here, and again for pending revocations. It says whether the
provider has revoked the token, cannot, or has not said so. It never decides what is deleted here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, assert_never
from urllib.parse import quote, urlencode, urlsplit

from keyfob.core.errors import Transient
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request, Response
from keyfob.core.provider import Api, RevocationRequest
from keyfob.core.secret import Secret
from keyfob.core.untyped import Json
from keyfob.core.words import RevocationAnswer, TokenHint
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Flow
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.responses import (
    NotStrictError,
    error_of,
    failure,
    fits,
    is_web_page,
    parse_object,
)
from keyfob.protocol.oauth.client_auth import authenticate
from keyfob.protocol.token_placement import place_token, token_values

_GONE = frozenset({"invalid_token", "token_revoked", "invalid_grant"})
_Sent = Literal["rfc7009", "json", "delete", "form_get", "bearer_post"]  # the styles that are one request


def revoke(
    ctx: FlowContext, token: Secret, hint: TokenHint, *, expired: bool = False
) -> Flow[RevocationAnswer]:
    """Revoke one token at its server. `hint` is `refresh_token` or `access_token` (RFC 7009 §2.1); `expired`:
    it is an access token that has ended by our clock.

    "yes" if the answer means that the token has ended, "unsupported" if the server has no way to end it,
    "accepted" if the server will end it and has not yet (202), and "doubtful" if the answer also fits a token
    that lives. Raises Transient if it should be asked again, SettingWrong if the client is refused, PeerFault
    for other refusals. With a DPoP key the request is signed: an atproto server answers 200 to one without a
    proof, and revokes nothing.
    """
    way = way_of(ctx)
    url = way.url or ctx.server.endpoints.revocation_endpoint
    style = way.style
    if style == "none" or url is None:
        return "unsupported"
    if style == "nextcloud":  # `protocol.nextcloud` has the request
        return "unsupported"
    request, access = _request(ctx, way, style, url, token, hint)

    def again() -> Request:
        return _request(ctx, way, style, url, token, hint)[0]

    response = yield from dpop.send(request, key=ctx.dpop_key, env=ctx.env, access=access, again=again)
    return _answer_in(ctx, way, style, response, expired=expired and access is not None)


def way_of(ctx: FlowContext) -> RevocationRequest:
    """The preset's request for this account's client."""
    secret = ctx.client.secret is not None or ctx.client.key is not None
    return ctx.provider.revocation.request_of(secret=secret)


def _answer_in(
    ctx: FlowContext, way: RevocationRequest, style: _Sent, response: Response, *, expired: bool
) -> RevocationAnswer:
    """What the server said. `expired`: the token was the credential and had expired, so that a refusal of it
    says nothing about the grant.
    """
    what = f"{ctx.provider.title}'s revocation endpoint"
    shape = ctx.provider.token_answer
    status = response.status
    try:
        data = parse_object(response)
    except NotStrictError:
        data = {}
    code, _ = error_of(data, shape.error_field)
    read = status < 500 and status not in (408, 429)
    own = style == "bearer_post" or (style == "delete" and not _names_token(way))
    if read and (code in _GONE or fits(way.ended, data) or (status == 401 and own)):
        return "doubtful" if expired else "yes"
    if code == "unsupported_token_type":
        return "unsupported"
    refused = code is not None or (shape.ok_field is not None and data.get(shape.ok_field) is False)
    if 200 <= status < 300 and response.body and is_web_page(response):
        raise Transient(f"{what} answered with a web page", code="captive_portal")
    if 200 <= status < 300 and not refused:
        return _success(way, status, data)
    if status == 404:
        # RFC 7009 answers 200 for a token that it does not know, so that a 404 is about the address. Where a
        # token is deleted, a 404 may be about the token, or about a client that is not allowed to see it.
        return "doubtful" if style == "delete" else "unsupported"
    if status in (405, 501):
        return "unsupported"
    raise failure(response, what, who=ctx.provider.title, error_field=shape.error_field)


def _success(way: RevocationRequest, status: int, data: Mapping[str, Any]) -> RevocationAnswer:
    if status == 202:  # RFC 9110 §15.3.3: accepted, and not done
        return "accepted"
    if way.confirmed_by is not None and read_path(data, way.confirmed_by) is not True:
        return "doubtful"
    return "yes"


def _names_token(way: RevocationRequest) -> bool:
    """Whether the preset says itself where the token stands."""
    return way.body is not None or any("{token}" in value for value in way.params.values())


def _request(
    ctx: FlowContext, way: RevocationRequest, style: _Sent, url: str, token: Secret, hint: TokenHint
) -> tuple[Request, Secret | None]:
    """The request of the preset's style, and the token if the token itself is the credential.

    `{token}`, `{hint}` and `{client_id}` are placeholders in the preset's parameters and body, `{client_id}`
    in its address; a parameter with `{token}` takes the place of RFC 7009's two.
    """
    client_id = ctx.client.client_id or ""
    endpoint = ctx.safe(url.replace("{client_id}", quote(client_id, safe="")), "The revocation endpoint")
    words = {"token": token.reveal(), "hint": hint, "client_id": client_id}
    params = {name: _filled(value, words) for name, value in way.params.items()}
    headers = {"Accept": "application/json"}
    if not _names_token(way) and style in ("rfc7009", "json", "form_get"):
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
            api = ctx.provider.api
            # A header of the provider's own carries the token here too (AWS).
            where = Api(placement="header", name=api.name) if api.placement == "header" else Api()
            return place_token(where, request, token, token_type=_scheme(ctx.dpop_key)), token
        case "delete" if not _names_token(way):
            request = Request("DELETE", endpoint, "revoke", headers)
            placed = place_token(
                ctx.provider.api,
                request,
                token,
                token_type=_scheme(ctx.dpop_key),
                values=token_values(ctx.inputs, ctx.client.client_id),
            )
            return placed, token
        case "rfc7009" | "json" | "delete":
            as_json = style != "rfc7009"
            headers["Content-Type"] = "application/json" if as_json else "application/x-www-form-urlencoded"
            fields, head = _with_client(ctx, way, params, headers, endpoint)
            if way.body is not None and as_json:
                text = json.dumps(_filled_in(json.loads(way.body), words))
            else:
                text = json.dumps(fields) if as_json else urlencode(fields)
            method = "DELETE" if style == "delete" else "POST"
            return Request(method, endpoint, "revoke", head, text.encode()), None
    assert_never(style)


def _with_client(
    ctx: FlowContext,
    way: RevocationRequest,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    endpoint: str,
) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters and headers with what the preset lets this request say of the client."""
    match way.auth:
        case "none":
            return dict(params), dict(headers)
        case "client":
            return authenticate(ctx, params, headers, endpoint)
        case "client_secret_basic" | "client_secret_post":
            shown = replace(ctx, client=replace(ctx.client, auth=way.auth))
            return authenticate(shown, params, headers, endpoint)
    assert_never(way.auth)


def _scheme(key: SigningKey | None) -> str:
    return "Bearer" if key is None else "DPoP"


def _filled(text: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _filled_in(value: Json, words: Mapping[str, str]) -> Json:
    """A JSON value with the placeholders of its texts filled in: a token cannot change the JSON around it."""
    match value:
        case str():
            return _filled(value, words)
        case list():
            return [_filled_in(each, words) for each in value]
        case dict():
            return {name: _filled_in(each, words) for name, each in value.items()}
    return value
