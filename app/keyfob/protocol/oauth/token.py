"""Requests to the token endpoint (RFC 6749 §3.2), and trading a code for tokens (§4.1.3).

Sign-in flows and `renewal` call this. What a sign-in receives is kept before anything in it is checked,
so that Keyfob can revoke it if the sign-in fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from keyfob import __version__
from keyfob.core.errors import KeyfobError, SignInEnded, SignInNeeded
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.words import Purpose
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Flow, Keep
from keyfob.protocol.oauth import sso_oidc
from keyfob.protocol.oauth.client_auth import authenticate
from keyfob.protocol.oauth.token_answer import Answer, given, given_by_unreadable, read_answer


def token_request(
    ctx: FlowContext,
    params: Mapping[str, str],
    purpose: Purpose,
    *,
    url: str | None = None,
) -> Request:
    """A token endpoint request with the client's authentication, as form or JSON as the preset says. `url` is
    for other endpoints that authenticate the client alike. Holds secrets. Raises SettingWrong.
    """
    endpoint = ctx.safe(url or ctx.server.endpoints.token_endpoint, "The token endpoint")
    as_json = ctx.provider.token_answer.request_format == "json"
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    headers = {"Accept": "application/json", "Content-Type": kind}
    for name, value in ctx.provider.token_headers.items():
        headers[name] = value.replace("{version}", __version__).replace(
            "{client_id}", ctx.client.client_id or ""
        )
    body, head = authenticate(ctx, params, headers, endpoint)
    named = sso_oidc.in_its_names(ctx.provider.quirks, body)
    encoded = json.dumps(dict(named)) if as_json else urlencode(named)
    return Request("POST", endpoint, purpose, head, encoded.encode())


def receive(ctx: FlowContext, response: Response) -> Flow[Answer]:
    """What a sign-in's token request gave. Yields `Keep` with its tokens before anything in them is checked;
    an answer that cannot be read as a whole is searched for them. Raises as `read_answer`.
    """
    try:
        answer = read_answer(ctx.provider, response)
    except KeyfobError:
        grant = given_by_unreadable(ctx, response)
        if grant is not None:
            yield Keep(grant)
        raise
    grant = given(ctx, answer)
    if grant is not None:
        yield Keep(grant)
    return answer


def exchange_code(
    ctx: FlowContext,
    code: Secret,
    *,
    code_verifier: Secret | None,
    extra: Mapping[str, str] | None = None,
) -> Flow[Answer]:
    """Trade an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2). The code is
    sent once.

    Raises SignInEnded `code_expired` if the server no longer takes the code, and as `receive`.
    """
    params = {**ctx.provider.token_params, **(extra or {})}
    params |= {"grant_type": "authorization_code", "code": code.reveal()}
    if ctx.redirect_uri is not None:
        params["redirect_uri"] = ctx.redirect_uri
    if code_verifier is not None:
        params["code_verifier"] = code_verifier.reveal()
    if ctx.resource is not None:
        params["resource"] = ctx.resource
    make = partial(token_request, ctx, params, "token")
    response = yield from dpop.send(make(), key=ctx.dpop_key, env=ctx.env, again=make)
    try:
        return (yield from receive(ctx, response))
    except SignInNeeded as refused:
        # There is no grant yet that could end.
        raise SignInEnded(
            f"{ctx.provider.title} did not accept the code", code="code_expired", detail=refused.detail
        ) from None
