"""The token endpoint (RFC 6749 §3.2, §4.1.3, §5, §6): exchanges a code for tokens, and a refresh token for newer ones.

`authorize` and `device` call it at sign-in, and the keeper's runner at renewal. A renewal yields `Keep` with the answer before
it checks anything in it, because a rotated refresh token that is not stored is a lost session. Nothing here sends a refresh
token twice, except for one repeat after a DPoP nonce challenge (RFC 9449 §8), for which the server did not use it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never
from urllib.parse import urlencode

from keyfob import __version__
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.provider import Provider, TokenAnswer
from keyfob.core.renewal import LIFETIME_MOST
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Effect, Flow, Keep
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.responses import (
    NotStrictError,
    error_of,
    parse_object,
    read_json,
    text_within,
    token_failure,
)
from keyfob.protocol.http.urls import safe
from keyfob.protocol.oauth.client_auth import authenticate
from keyfob.protocol.oidc import id_token

# A lifetime that makes no sense (-1, 0, true) is taken as this: long enough that renewing at 80 % of it is not a loop.
LIFETIME_FLOOR = timedelta(minutes=5)
SCOPES_MOST = 200
_TOKEN = re.compile(r"[\x20-\x7e]{1,65536}")  # RFC 6749 appendix A.12; the length is our bound
# Slack calls its bearer tokens by whom they act for. Only if the preset says the type means nothing.
_BEARER_BY_ANOTHER_NAME = frozenset({"user", "bot"})
_MILLISECONDS = 1e11  # an epoch beyond the year 5138 is reported in milliseconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What a token endpoint gave, read and not yet checked. Tokens that no header could carry count as absent."""

    data: Mapping[str, Any]
    at: datetime
    access: Secret | None
    refresh: Secret | None
    id_token: Secret | None
    token_type: str | None
    expires_at: datetime | None
    scopes: tuple[str, ...] | None  # None: not said, so as asked (RFC 6749 §5.1)


# --- requests -----------------------------------------------------------------------------------------------


def token_request(
    ctx: FlowContext,
    params: Mapping[str, str],
    purpose: str,
    *,
    url: str | None = None,
) -> Request:
    """A token endpoint request with the client's authentication, as form or JSON as the preset says. `url` is for
    other endpoints that authenticate the client alike. Holds secrets. Raises SettingWrong.
    """
    endpoint = safe(url or ctx.server.endpoints.token_endpoint, "The token endpoint")
    as_json = ctx.provider.token_answer.request_format == "json"
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    headers = {"Accept": "application/json", "Content-Type": kind}
    for name, value in ctx.provider.token_headers.items():
        headers[name] = value.replace("{version}", __version__).replace(
            "{client_id}", ctx.client.client_id or ""
        )
    body, head = authenticate(ctx, params, headers, endpoint)
    encoded = json.dumps(body) if as_json else urlencode(body)
    return Request("POST", endpoint, purpose, head, encoded.encode())


# --- reading ------------------------------------------------------------------------------------------------


def read_answer(provider: Provider, response: Response) -> Answer:
    """What the token endpoint sent. Raises the error for its refusal (`answer.token_failure`), and as
    `answer.read_json` if a 200 cannot be read.
    """
    what = f"{provider.title}'s token endpoint"
    shape = provider.token_answer
    if not 200 <= response.status < 300:
        raise token_failure(provider, response, what)
    outer = read_json(response, what, who=provider.title)
    data = _within(shape, outer)
    not_ok = shape.ok_field is not None and outer.get(shape.ok_field) is not True
    if not_ok or error_of(outer, shape.error_field)[0] is not None:
        raise token_failure(provider, response, what, outer)
    if error_of(data, shape.error_field)[0] is not None:
        raise token_failure(provider, response, what, data)
    return Answer(
        data=data if data is outer else {**outer, **data},
        at=response.at,
        access=_token(read_path(data, shape.access_field)),
        refresh=_token(read_path(data, shape.refresh_field)),
        id_token=_token(data.get("id_token")),
        token_type=_text(data.get("token_type")),
        expires_at=expiry(provider, data, response.at),
        scopes=scopes_in(data.get(shape.scope_field), provider.scope_separator),
    )


def _within(shape: TokenAnswer, outer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that has the tokens. Slack nests the user's at sign-in and has it at the top at renewal."""
    inner: Any = outer
    for part in shape.path:
        inner = inner.get(part) if isinstance(inner, Mapping) else None
    return inner if isinstance(inner, Mapping) and shape.access_field in inner else outer


def tokens_in(provider: Provider, response: Response) -> tuple[Secret | None, Secret | None]:
    """The access and the refresh token of a 2xx answer that `read_answer` refuses: one that is not strict, or has an
    error next to its tokens. For a refresh token that must be stored, and for tokens that are to be revoked.
    """
    if not 200 <= response.status < 300:
        return None, None
    fields = (provider.token_answer.access_field, provider.token_answer.refresh_field)
    try:
        data = _within(provider.token_answer, parse_object(response))
    except NotStrictError:
        names = (field.rpartition(".")[2] for field in fields)
        access, refresh = (_token(text_within(response.body, name)) for name in names)
    else:
        access, refresh = (_token(read_path(data, field)) for field in fields)
    return access, refresh


def _token(value: object) -> Secret | None:
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def expiry(provider: Provider, data: Mapping[str, Any], at: datetime) -> datetime | None:
    """When the access token ends by our clock; None if it is not known (it is then used until an API refuses it).

    Numbers may come as text or with a fraction. What makes no sense is clamped: at most LIFETIME_MOST, and
    LIFETIME_FLOOR for a moment that is not in the future, so that no such answer makes Keyfob renew in a loop.
    """
    value = read_path(data, provider.token_answer.expires_field)
    span: timedelta | None
    match provider.token_answer.expires_kind:
        case "rfc3339":
            span = _until(value, at)
        case "epoch":
            number = _number(value)
            if number is not None and number > _MILLISECONDS:
                number /= 1000
            span = None if number is None else _clamp(number - at.timestamp())
        case "seconds":
            number = _number(value)
            span = None if number is None else _clamp(number)
        case _:
            assert_never(provider.token_answer.expires_kind)
    if span is None and provider.lifetimes.access:
        span = timedelta(seconds=provider.lifetimes.access)
    return None if span is None else at + span


def _until(value: object, at: datetime) -> timedelta | None:
    try:
        end = from_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return None if end is None else _clamp((end - at).total_seconds())


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return 0.0  # a type error of the server's: nonsense, not silence
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,400}(\.[0-9]{0,400})?\s*", value):
            return None
        return float(value)
    if isinstance(value, int):
        return float(max(-(10**18), min(value, 10**18)))  # a larger one does not fit a float
    return value if isinstance(value, float) and not math.isnan(value) else None


def _clamp(seconds: float) -> timedelta:
    if seconds < 1:
        return LIFETIME_FLOOR
    most = LIFETIME_MOST.total_seconds()
    return LIFETIME_MOST if seconds >= most else timedelta(seconds=seconds)


def scopes_in(value: object, separator: str = " ") -> tuple[str, ...] | None:
    """The scopes of an answer: a text with separators, or a list (Twitch). None if the answer says nothing."""
    if isinstance(value, str):
        # GitHub asks for blanks and answers with commas.
        words = re.split(r"[\s,]+" if separator in (" ", ",") else rf"(?:\s|{re.escape(separator)})+", value)
    elif isinstance(value, list):
        words = [word for word in value if isinstance(word, str)]
    else:
        return None
    fit = (w for w in words if w and w.isprintable() and len(w) <= 500)
    return tuple(dict.fromkeys(fit))[:SCOPES_MOST]


def fault_in_type(ctx: FlowContext, answer: Answer) -> str | None:
    """Why the answer's `token_type` cannot be used (RFC 6749 §7.1, RFC 9449 §5), None if it can."""
    kind = (answer.token_type or "").lower()
    if ctx.dpop_key is not None:
        return None if kind == "dpop" else "it sent a token that is not bound to Keyfob's key"
    if kind == "bearer":
        return None
    if ctx.provider.token_answer.token_type_optional and (not kind or kind in _BEARER_BY_ANOTHER_NAME):
        return None
    return "it sent a token of an unknown type" if kind else "it sent a token without a type"


def read_grant(ctx: FlowContext, response: Response, asked_scopes: tuple[str, ...]) -> Grant:
    """The grant of a sign-in's token answer, checked all but its ID token. Raises as `read_answer`, and PeerFault for
    an answer without a usable access token.
    """
    return grant_of(ctx, read_answer(ctx.provider, response), asked_scopes)


def unwanted_grant(ctx: FlowContext, response: Response) -> Grant | None:
    """What a sign-in's answer gave although `read_grant` refuses it: to be revoked and never used. None for nothing."""
    access, refresh = tokens_in(ctx.provider, response)
    token = access or refresh
    return None if token is None else Grant(token, response.at, refresh=refresh, key=ctx.dpop_key)


def grant_of(ctx: FlowContext, answer: Answer, asked_scopes: tuple[str, ...]) -> Grant:
    """As `read_grant`, of an answer that was read already."""
    title = ctx.provider.title
    if answer.access is None:
        raise PeerFault(f"{title} answered without a usable access token")
    fault = fault_in_type(ctx, answer)
    if fault is not None:
        raise PeerFault(f"{title} broke the protocol: {fault}")
    return Grant(
        access=answer.access,
        obtained_at=answer.at,
        refresh=answer.refresh,
        id_token=answer.id_token,
        expires_at=answer.expires_at,
        scopes=asked_scopes if answer.scopes is None else answer.scopes,
        token_type="Bearer" if ctx.dpop_key is None else "DPoP",
        key=ctx.dpop_key,
    )


# --- flows --------------------------------------------------------------------------------------------------


def exchange_code(
    ctx: FlowContext,
    code: Secret,
    *,
    code_verifier: Secret | None,
    extra: Mapping[str, str] | None = None,
) -> Flow[Answer]:
    """Trade an authorization code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2). The code is sent once.

    Raises SignInEnded `code_expired` if the server no longer takes the code, and as `read_answer`.
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
        return read_answer(ctx.provider, response)
    except SignInNeeded as refused:
        # There is no grant yet that could end.
        raise SignInEnded(
            f"{ctx.provider.title} did not accept the code", code="code_expired", detail=refused.detail
        ) from None


def renew(
    ctx: FlowContext,
    grant: Grant,
    *,
    subject: str,
) -> Flow[Grant]:
    """Renew a grant (RFC 6749 §6). `ctx` is the account's pinned one; `subject` is whom the account belongs to.

    Yields `Keep` as soon as the answer holds a token, then checks it. If it is refused, a second `Keep` stores the
    old access token next to the newest refresh token, and PeerFault is raised: the account stays as it was, and the
    next renewal may succeed. So does an answer that cannot be read as a whole: a new refresh token that can be made out
    in it is kept first, next to the old access token. Raises SignInNeeded `grant_ended` for the grant's true end and nothing else; Transient
    says with `sent` and `answered` whether the refresh token may have been used up; any PeerFault raised without a
    `Keep` before it is an answer that held no token at all.
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
    """The old grant with what the answer brings, one generation on; None if it brings no token. An absent, null or
    empty refresh token leaves the old one (RFC 6749 §6), an absent scope the old scopes.
    """
    refresh = answer.refresh or old.refresh
    if answer.access is None:
        return replace(old, refresh=refresh, generation=old.generation + 1) if answer.refresh else None
    return Grant(
        access=answer.access,
        obtained_at=answer.at,
        refresh=refresh,
        # The old one was checked and names the subject; the new one is not checked yet and would add nothing.
        id_token=old.id_token or answer.id_token,
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
    told = _subject_told(ctx, answer)
    if told is not None and told != subject:
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
        # Where the keys cannot be had just now, the claims were checked all the same, before they were asked for. The
        # token came over TLS from the token endpoint itself, which Core §3.1.3.7 (6) takes in a signature's place.
        if failed.code in ("id_token_invalid", "subject_mismatch"):
            raise


def _subject_told(ctx: FlowContext, answer: Answer) -> str | None:
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
