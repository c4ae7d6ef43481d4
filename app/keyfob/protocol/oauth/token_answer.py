"""What a token endpoint answers (RFC 6749 §5): read whole, checked
separately, and searched for tokens if it cannot be read.

Called by `token`, `renewal` and `device`. Sends nothing and keeps nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from keyfob.core.errors import PeerFault
from keyfob.core.grant import Grant
from keyfob.core.http import Response
from keyfob.core.provider import Provider, TokenAnswer
from keyfob.core.renewal import LIFETIME_MOST
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339
from keyfob.protocol.context import FlowContext
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.responses import (
    NotStrictError,
    error_of,
    parse_object,
    read_json,
    text_within,
    token_failure,
)

# A lifetime that makes no sense (-1, 0, true) is taken as this: long
# enough that renewing at 80 % of it is not a loop.
LIFETIME_FLOOR = timedelta(minutes=5)
SCOPES_MOST = 200
_TOKEN = re.compile(r"[\x20-\x7e]{1,65536}")  # RFC 6749 appendix A.12; the length is our bound
# Slack calls its bearer tokens by whom they act for. Only if the preset says the type means nothing.
_BEARER_BY_ANOTHER_NAME = frozenset({"user", "bot"})
_MILLISECONDS = 1e11  # an epoch beyond the year 5138 is reported in milliseconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What a token endpoint gave, read and not yet checked. Tokens that
    no header could carry count as absent.
    """

    data: Mapping[str, Any]
    at: datetime
    access: Secret | None
    refresh: Secret | None
    id_token: Secret | None
    token_type: str | None
    expires_at: datetime | None
    scopes: tuple[str, ...] | None  # None: not said, so as asked (RFC 6749 §5.1)


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
    """The access and the refresh token of a 2xx answer that `read_answer` refuses: one that is not strict, or
    has an error next to its tokens. For a refresh token that must be stored, and for tokens that are to be
    revoked.
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
    """When the access token ends by our clock; None if it is not known
    (it is then used until an API refuses it).

    Numbers may come as text or with a fraction. What makes no sense is clamped: at most LIFETIME_MOST, and
    LIFETIME_FLOOR for a moment that is not in the future, so that no such answer makes Keyfob renew in a
    loop.
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
    """The scopes of an answer: a text with separators, or a list
    (Twitch). None if the answer says nothing.
    """
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


def given(ctx: FlowContext, answer: Answer) -> Grant | None:
    """What a sign-in's answer gives, before anything in it is checked. None if it holds no token. Without an
    access token the refresh token stands in its place: it can be revoked so, and is never used.
    """
    token = answer.access or answer.refresh
    if token is None:
        return None
    return Grant(
        access=token,
        obtained_at=answer.at,
        refresh=answer.refresh,
        id_token=answer.id_token,
        expires_at=answer.expires_at,
        scopes=ctx.scopes if answer.scopes is None else answer.scopes,
        token_type="Bearer" if ctx.dpop_key is None else "DPoP",
        key=ctx.dpop_key,
    )


def given_by_unreadable(ctx: FlowContext, response: Response) -> Grant | None:
    """The same of a 2xx answer that `read_answer` refuses: to be revoked and never used."""
    access, refresh = tokens_in(ctx.provider, response)
    token = access or refresh
    return None if token is None else Grant(token, response.at, refresh=refresh, key=ctx.dpop_key)


def grant_of(ctx: FlowContext, answer: Answer) -> Grant:
    """The grant of a sign-in's answer, checked all but its ID token.
    Raises PeerFault for an answer without a usable access token.
    """
    title = ctx.provider.title
    grant = given(ctx, answer)
    if grant is None or answer.access is None:
        raise PeerFault(f"{title} answered without a usable access token")
    fault = fault_in_type(ctx, answer)
    if fault is not None:
        raise PeerFault(f"{title} broke the protocol: {fault}")
    return grant
