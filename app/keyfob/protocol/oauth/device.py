"""Signing in on another screen: the device authorization grant (RFC 8628).

The sign-in service calls it for the method `device`. The user reads a short code and enters it in any
browser, and Keyfob polls the server until they have done so. It polls no more often than the server allows,
keeps polling if the network fails, and stops when the code has expired, whatever the server then answers.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from keyfob.core.errors import PeerFault, SignInEnded, SignInNeeded, Transient
from keyfob.core.http import Response
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.untyped import Json
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import Effect, Flow, ShowCode, Step, Wait
from keyfob.protocol.http.responses import NotStrictError, error_of, is_web_page, parse_object, read_first
from keyfob.protocol.http.urls import fault_of, leads_inside
from keyfob.protocol.oauth import sso_oidc
from keyfob.protocol.oauth.authorize import finish
from keyfob.protocol.oauth.token import receive, token_request
from keyfob.protocol.oauth.token_answer import Answer

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = timedelta(seconds=5)  # RFC 8628 §3.2: if the server sends none
INTERVAL_MOST = timedelta(minutes=2)
SLOWER = timedelta(seconds=5)  # §3.5: by this for each slow_down, permanently
LIFE = timedelta(minutes=10)  # if the server leaves out the expiry that §3.2 demands
LIFE_MOST = timedelta(hours=1)
_USER_CODE_MOST = 64
_DEVICE_CODE_MOST = 8_192


@dataclass(frozen=True, slots=True)
class _Begun:
    device_code: Secret
    shown: ShowCode
    interval: timedelta


def device_code(
    ctx: FlowContext,
) -> Flow[SignInResult]:
    """One sign-in by code. Yields `ShowCode` once, `Wait` and `Send` in turn, then `Step`.

    Raises SignInEnded `declined` or `code_expired`, and as `authorize.authorization_code`.
    """
    begun = yield from _begin(ctx)
    yield begun.shown
    answer = yield from _poll(ctx, begun)
    yield Step("checking")
    return (yield from finish(ctx, answer, nonce=None, method="device"))


def _begin(ctx: FlowContext) -> Generator[Effect, Any, _Begun]:
    """RFC 8628 §3.1 and §3.2. The request is not a token request, so it carries no proof of possession."""
    provider = ctx.provider
    endpoint = ctx.safe(
        ctx.server.endpoints.device_authorization_endpoint, "The device authorization endpoint"
    )
    params = dict(provider.device_params)
    params |= _scopes(ctx)
    if ctx.resource is not None:
        params["resource"] = ctx.resource
    request = token_request(ctx, params, "device", url=endpoint)
    response = yield from dpop.send(request, key=None, env=ctx.env)
    sent = read_first(response, f"{provider.title}'s device authorization endpoint")
    answer = sso_oidc.in_our_names(provider.quirks, sent)
    code, user_code = answer.get("device_code"), answer.get("user_code")
    # Google and older servers write verification_url.
    page = answer.get("verification_uri", answer.get("verification_url"))
    whole = answer.get("verification_uri_complete", answer.get("verification_url_complete"))
    if not isinstance(code, str) or not 0 < len(code) <= _DEVICE_CODE_MOST:
        raise PeerFault(f"{provider.title} sent no device code", code="response_invalid")
    if not isinstance(user_code, str) or not user_code.strip() or len(user_code) > _USER_CODE_MOST:
        raise PeerFault(f"{provider.title} sent no code to enter", code="response_invalid")
    if _unfit(ctx, page, endpoint):
        raise PeerFault(f"{provider.title} sent no page for entering the code", code="response_invalid")
    life = _span(answer.get("expires_in"), LIFE)
    return _Begun(
        device_code=Secret(code),
        shown=ShowCode(
            user_code=plain(user_code.strip()),
            verification_uri=str(page),
            verification_uri_complete=None if _unfit(ctx, whole, endpoint) else str(whole),
            expires_at=response.at + min(life, LIFE_MOST),
        ),
        interval=min(_span(answer.get("interval"), INTERVAL), INTERVAL_MOST),
    )


def _unfit(ctx: FlowContext, page: Json, endpoint: str) -> bool:
    """Whether no browser is to open this address, which the server named."""
    return fault_of(page, plain_host=ctx.provider.plain_host) is not None or leads_inside(page, endpoint)


def _span(value: object, otherwise: timedelta) -> timedelta:
    """A number of seconds as a span of at least one; `otherwise` if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        return otherwise
    return max(timedelta(seconds=value), timedelta(seconds=1))


def _poll(ctx: FlowContext, begun: _Begun) -> Generator[Effect, Any, Answer]:
    """RFC 8628 §3.4 and §3.5: ask until the user has decided."""
    device = ctx.provider.device
    params = {
        **ctx.provider.token_params,
        **(_scopes(ctx) if device.repeats_scopes else {}),
        "grant_type": GRANT_TYPE,
        device.code_field: begun.device_code.reveal(),
    }
    url = ctx.server.endpoints.device_token_endpoint
    interval = pause = begun.interval
    while True:
        yield Wait(pause)
        if ctx.env.now() >= begun.shown.expires_at:
            raise SignInEnded("The code has expired", code="code_expired")
        try:
            # Made again each time: a client assertion is used once.
            make = partial(token_request, ctx, params, "device", url=url)
            response = yield from dpop.send(make(), key=ctx.dpop_key, env=ctx.env, again=make)
            match _error_in(ctx, response):
                case "authorization_pending":
                    pause = interval
                case "slow_down":
                    interval = pause = min(interval + SLOWER, INTERVAL_MOST)
                case "expired_token" | "code_expired":
                    raise SignInEnded("The code has expired", code="code_expired")
                case "access_denied" | "authorization_declined":  # the latter is Microsoft's
                    raise SignInEnded(f"You declined access at {ctx.provider.title}", code="declined")
                case _:
                    return (yield from receive(ctx, response))
        except Transient as passing:
            # §3.5: after a failure of the network, ask ever more slowly; the server's own wish comes first.
            pause = max(min(pause * 2, INTERVAL_MOST), passing.retry_after or timedelta(0))
        except SignInNeeded as refused:
            # There is no grant yet that could end: the server no longer knows the code.
            raise SignInEnded(
                f"{ctx.provider.title} no longer accepts the code",
                code="code_expired",
                detail=refused.detail,
            ) from None


def _scopes(ctx: FlowContext) -> dict[str, str]:
    """The scopes asked for, under the name that a device request has for them; empty if there are none."""
    if not ctx.scopes:
        return {}
    name = ctx.provider.device.scope_param or ctx.provider.scope_param
    return {name: ctx.provider.scope_separator.join(ctx.scopes)}


def _error_in(ctx: FlowContext, response: Response) -> str | None:
    """The error code of an answer. If it has none, the preset may say what its status means."""
    try:
        data: Mapping[str, Any] = parse_object(response)
    except NotStrictError:
        code = None
    else:
        code = error_of(data, ctx.provider.token_answer.error_field)[0]
    if code is None and not is_web_page(response):  # a page is a portal's or a firewall's
        code = ctx.provider.device.statuses.get(str(response.status))
    return code
