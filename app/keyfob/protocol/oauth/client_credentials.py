"""A service account of one's own: the client credentials grant (RFC 6749 §4.4).

The client is the account. It has no refresh token: when a token ends, its id and secret get the next one. So
nothing is lost if an answer is, and the request may be repeated. The secret stays in the keychain and goes to
the token endpoint alone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from keyfob.core.errors import PeerFault, SettingWrong, SignInEnded, SignInNeeded
from keyfob.core.grant import Grant
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext, Identity, SignInResult
from keyfob.protocol.effects import Flow, Keep
from keyfob.protocol.oauth.api_address import at_answered_address
from keyfob.protocol.oauth.token import receive, token_request
from keyfob.protocol.oauth.token_answer import Answer, fault_in_type, grant_of, read_answer

GRANT_TYPE = "client_credentials"


def client_credentials(ctx: FlowContext) -> Flow[SignInResult]:
    """The first token of a service account. Its subject is the client id, as the token is of no user.

    Raises SignInEnded `declined` if the server refuses these credentials as a grant, SettingWrong
    `client_refused` if it refuses the client, and as `authorize.authorization_code`.
    """
    title, client_id = ctx.provider.title, ctx.client.client_id
    if client_id is None:
        raise SettingWrong(f"{title} has no client id", code="client_missing")
    make = partial(token_request, ctx, _params(ctx), "token")
    response = yield from dpop.send(make(), key=ctx.dpop_key, env=ctx.env, again=make)
    try:
        answer = yield from receive(ctx, response)
    except SignInNeeded as refused:
        raise SignInEnded(
            f"{title} gives this service account no token", code="declined", detail=refused.detail
        ) from None
    grant = replace(grant_of(ctx, answer), refresh=None, id_token=None, by_client=True)
    base = at_answered_address(ctx, answer).provider.api.base
    extra = {"api_base": base or ""} if ctx.provider.api.from_answer else {}
    return SignInResult(grant, Identity(client_id, name=client_id, username=client_id), extra=extra)


def ask_again(ctx: FlowContext, grant: Grant) -> Flow[Grant]:
    """The next token of a service account. Yields `Keep` with it. Raises PeerFault if the answer holds no
    usable token, SignInNeeded `grant_ended`, SettingWrong, and Transient.
    """
    title = ctx.provider.title
    make = partial(token_request, ctx, _params(ctx), "refresh")
    response = yield from dpop.send(make(), key=ctx.dpop_key, env=ctx.env, again=make)
    try:
        answer = read_answer(ctx.provider, response)
    except SignInEnded as refused:
        # `access_denied` here is not a user's refusal, and ends no grant.
        raise PeerFault(f"{title} gave this service account no new token", detail=refused.detail) from None
    renewed = _next(ctx, grant, answer)
    yield Keep(renewed)
    return renewed


def _params(ctx: FlowContext) -> dict[str, str]:
    params = {**ctx.provider.client_credentials.params, "grant_type": GRANT_TYPE}
    if ctx.scopes:
        params[ctx.provider.scope_param] = ctx.provider.scope_separator.join(ctx.scopes)
    if ctx.resource is not None:
        params["resource"] = ctx.resource
    return params


def _next(ctx: FlowContext, old: Grant, answer: Answer) -> Grant:
    title = ctx.provider.title
    if answer.access is None:
        raise PeerFault(f"{title} answered without sending an access token")
    fault = fault_in_type(ctx, answer)
    if fault is not None:
        raise PeerFault(f"{title} broke the protocol: {fault}")
    return replace(
        old,
        access=answer.access,
        obtained_at=answer.at,
        expires_at=answer.expires_at,
        scopes=old.scopes if answer.scopes is None else answer.scopes,
        generation=old.generation + 1,
    )
