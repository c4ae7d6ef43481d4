"""Renewing a grant (RFC 6749 §6): a refresh token for newer tokens.

Called by the keeper through `service.accounts.token_endpoint`. Yields `Keep` with what came before anything
in it is checked: a rotated refresh token that is not stored is a lost session. Nothing here sends a refresh
token twice, except once more after a DPoP nonce challenge (RFC 9449 §8), which the server did not spend.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Effect, Flow, Keep
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.oauth.token import token_request
from keyfob.protocol.oauth.token_answer import Answer, fault_in_type, read_answer, tokens_in
from keyfob.protocol.oidc import id_token


def renew(
    ctx: FlowContext,
    grant: Grant,
    *,
    subject: str,
) -> Flow[Grant]:
    """Renew a grant (RFC 6749 §6). `ctx` is the account's pinned one;
    `subject` is whom the account belongs to.

    Yields `Keep` as soon as the answer holds a token, then checks it. If it is refused, a second `Keep`
    stores the old access token next to the newest refresh token, and PeerFault is raised: the account stays
    as it was, and the next renewal may succeed. So does an answer that cannot be read as a whole: a new
    refresh token that can be made out in it is kept first, next to the old access token. Raises SignInNeeded
    `grant_ended` for the grant's true end and nothing else; Transient says with `sent` and `answered` whether
    the refresh token may have been used up; any PeerFault raised without a `Keep` before it is an answer that
    held no token at all.
    """
    if grant.refresh is None:
        raise SignInNeeded("This account does not have a refresh token", code="token_expired")
    # RFC 6749 §6: without `scope` the grant keeps what it has.
    params = {**ctx.provider.refresh_params, "grant_type": "refresh_token"}
    params["refresh_token"] = grant.refresh.reveal()
    if ctx.resource is not None:
        params["resource"] = ctx.resource
    url = ctx.server.endpoints.refresh_endpoint
    make = partial(token_request, ctx, params, "refresh", url=url)
    response = yield from dpop.send(make(), key=ctx.dpop_key, env=ctx.env, again=make)
    try:
        answer = read_answer(ctx.provider, response)
    except KeyfobError as refused:
        _, rotated = tokens_in(ctx.provider, response)
        if rotated is not None and rotated != grant.refresh:
            yield Keep(replace(grant, refresh=rotated, generation=grant.generation + 1))
            if isinstance(refused, SignInNeeded):
                # Who gives a new refresh token has not ended the grant.
                raise PeerFault(
                    f"{refused.message}, but sent a new refresh token", detail=refused.detail
                ) from None
        if isinstance(refused, SignInEnded):
            # `access_denied` to a renewal is not a user's refusal, and ends no grant.
            raise PeerFault(
                f"{ctx.provider.title} refused to renew this sign-in", detail=refused.detail
            ) from None
        raise
    renewed = merge(ctx, grant, answer)
    if renewed is None:
        raise PeerFault(f"{ctx.provider.title} renewed the sign-in without sending a token")
    yield Keep(renewed)
    try:
        if answer.access is None:
            raise PeerFault(f"{ctx.provider.title} renewed the sign-in without sending an access token")
        fault = fault_in_type(ctx, answer)
        if fault is not None:
            raise PeerFault(f"{ctx.provider.title} broke the protocol: {fault}")
        yield from _judge_identity(ctx, grant, answer, subject)
    except PeerFault:
        if answer.access is not None:
            yield Keep(_without_new_access(grant, renewed))
        raise
    return renewed


def merge(ctx: FlowContext, old: Grant, answer: Answer) -> Grant | None:
    """The old grant with what the answer brings, one generation on; None if it brings no token. An absent,
    null or empty refresh token leaves the old one (RFC 6749 §6), an absent scope the old scopes.
    """
    refresh = answer.refresh or old.refresh
    if answer.access is None:
        return replace(old, refresh=refresh, generation=old.generation + 1) if answer.refresh else None
    return Grant(
        access=answer.access,
        obtained_at=answer.at,
        refresh=refresh,
        # The old one was checked and names the subject; the new one is not checked yet.
        id_token=old.id_token or answer.id_token,
        new_id_token=(answer.id_token or old.new_id_token) if old.id_token else None,
        expires_at=answer.expires_at,
        scopes=old.scopes if answer.scopes is None else answer.scopes,
        token_type="Bearer" if ctx.dpop_key is None else "DPoP",
        key=old.key,
        generation=old.generation + 1,
    )


def _without_new_access(old: Grant, new: Grant) -> Grant:
    return replace(old, refresh=new.refresh, generation=new.generation + 1)


def _judge_identity(
    ctx: FlowContext, old: Grant, answer: Answer, subject: str
) -> Generator[Effect, Any, None]:
    """OpenID Connect Core §12.2: a renewal's ID token is of the same issuer, subject and audience."""
    subject_now = _subject_in(ctx, answer)
    if subject_now is not None and subject_now != subject:
        raise PeerFault(
            f"{ctx.provider.title} renewed this sign-in for another person", code="subject_mismatch"
        )
    if answer.id_token is None or ctx.server.issuer is None or ctx.server.endpoints.jwks_uri is None:
        return
    before = id_token.unverified_claims(old.id_token) or {}  # verified when it was stored
    after = id_token.unverified_claims(answer.id_token) or {}
    if before and after.get("iss") != before.get("iss"):
        # If the server's issuer is a template, the token's own tenant must stay.
        raise PeerFault(
            f"{ctx.provider.title} renewed the sign-in with an ID token of another issuer",
            code="id_token_invalid",
        )
    sub = before.get("sub")
    expected = sub if isinstance(sub, str) else None
    source = ctx.provider.identity
    if expected is None and source.source == "userinfo" and source.map.get("subject", "sub") == "sub":
        expected = subject  # user information has the ID token's subject (Core §5.3.2)
    try:
        yield from id_token.verify(
            ctx, answer.id_token, nonce=None, at=answer.at, access=answer.access, subject=expected
        )
    except (Transient, SettingWrong, PeerFault) as failed:
        # Where the keys cannot be had just now, the claims were checked all the same, before they were asked
        # for. The token came over TLS from the token endpoint itself, which Core §3.1.3.7 (6) takes in a
        # signature's place.
        if failed.code in ("id_token_invalid", "subject_mismatch"):
            raise


def _subject_in(ctx: FlowContext, answer: Answer) -> str | None:
    """The subject that the answer names, found as the account's subject was found at sign-in."""
    source = ctx.provider.identity
    data: Mapping[str, Any] | None
    match source.source:
        case "token_answer":
            data = answer.data
        case "access_jwt":
            data = id_token.unverified_claims(answer.access)
        case "id_token":
            data = id_token.unverified_claims(answer.id_token)
        case "userinfo" | "request" | "none":
            return None
        case _:
            assert_never(source.source)
    found = read_path(data or {}, source.map.get("subject", "sub"))
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None
