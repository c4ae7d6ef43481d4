"""Signing in with a browser: the authorization code grant with PKCE (RFC
6749 §4.1, RFC 7636, RFC 8252, RFC 9700).

The sign-in service calls it once for each attempt, with a fresh state, nonce and verifier. It yields
`OpenBrowser` and `AwaitCallback`, and exchanges the code once. It opens no address that is not safe for a
browser, never repeats a refused request with less protection, and returns only what passed every check.
Nothing is stored at that point.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.encoding import sha256_base64url
from keyfob.core.errors import PeerFault, SettingWrong, SignInNeeded
from keyfob.core.http import Callback
from keyfob.core.methods import Method
from keyfob.core.provider import Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import AwaitCallback, Expectation, Flow, OpenBrowser
from keyfob.protocol.http.urls import with_query
from keyfob.protocol.identity import identify
from keyfob.protocol.oauth import par
from keyfob.protocol.oauth.api_address import at_answered_address
from keyfob.protocol.oauth.authorization_response import code_in
from keyfob.protocol.oauth.provider_quirks import exchange_params, issued_client, own_sign_in
from keyfob.protocol.oauth.token import exchange_code
from keyfob.protocol.oauth.token_answer import Answer, grant_of
from keyfob.protocol.oidc import id_token

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636 §4.1


def authorization_code(
    ctx: FlowContext,
    *,
    state: Secret,
    nonce: Secret | None,
    code_verifier: Secret,
    login_hint: str | None = None,
) -> Flow[SignInResult]:
    """One sign-in through the browser. `state`, `nonce` and `code_verifier` are fresh and used here only;
    `nonce` is sent where `openid` is asked for and the preset allows it.

    Raises SettingWrong (an unfit address, no PKCE, the client or scopes refused), SignInEnded (declined,
    cancelled, timed out), PeerFault (the protocol broken), Transient.
    """
    url = yield from authorization_address(
        ctx, state=state, nonce=nonce, code_verifier=code_verifier, login_hint=login_hint
    )
    yield OpenBrowser(url)
    callback: Callback = yield AwaitCallback(expectation(ctx, state))
    return (yield from authorized(ctx, callback, state=state, nonce=nonce, code_verifier=code_verifier))


def authorization_address(
    ctx: FlowContext,
    *,
    state: Secret,
    nonce: Secret | None,
    code_verifier: Secret,
    login_hint: str | None = None,
) -> Flow[Secret]:
    """The first half of `authorization_code`: the address that the browser is sent to. A server keeps the
    arguments until the browser is back, and goes on with `authorized`. Raises as `authorization_code`.
    """
    other = own_sign_in(ctx.provider.quirks)
    if other is not None:
        return other.address(ctx, state, code_verifier)
    endpoint = ctx.safe(ctx.server.endpoints.authorization_endpoint, "The authorization endpoint")
    check_pkce(ctx)
    params = authorization_params(ctx, state, _sent(ctx, nonce), code_verifier, login_hint)
    if pushes(ctx):
        # RFC 9126: what is pushed is not repeated in the browser's address, where others could read it.
        request_uri = yield from par.push(ctx, params)
        params = {"client_id": params["client_id"], "request_uri": request_uri}
    return Secret(with_query(endpoint, params))


def authorized(
    ctx: FlowContext, callback: Callback, *, state: Secret, nonce: Secret | None, code_verifier: Secret
) -> Flow[SignInResult]:
    """The second half, with what the browser brought back. The arguments are those of the first. Raises as
    `authorization_code`.
    """
    other = own_sign_in(ctx.provider.quirks)
    if other is not None:
        return (yield from other.finish(ctx, callback, code_verifier))
    code = code_in(callback, ctx)
    ctx, issued = issued_client(ctx, callback)
    verifier = None if ctx.provider.pkce == "none" else code_verifier
    extra = exchange_params(ctx.provider.quirks, state)
    answer = yield from exchange_code(ctx, code, code_verifier=verifier, extra=extra)
    return (
        yield from finish(
            ctx, answer, nonce=_sent(ctx, nonce), code=code, issued_client_id=issued, method="oauth",
        )
    )  # fmt: skip


def _sent(ctx: FlowContext, nonce: Secret | None) -> Secret | None:
    """The nonce, if it is sent at all."""
    return nonce if wants_id_token(ctx) and ctx.provider.nonce else None


def finish(
    ctx: FlowContext,
    answer: Answer,
    *,
    nonce: Secret | None,
    method: Method,
    code: Secret | None = None,
    issued_client_id: str | None = None,
) -> Flow[SignInResult]:
    """From the tokens to who signed in: check the answer, check the ID token if one is due, and ask for the
    identity. Also the end of the device grant, whose answer needs no ID token: OpenID Connect (Core §3.1.3.3)
    demands one of the code flow alone. Raises as `authorization_code`.
    """
    grant = grant_of(ctx, answer)
    ctx = at_answered_address(ctx, answer)
    claims: dict[str, Any] | None = None
    if wants_id_token(ctx) and not (method == "device" and answer.id_token is None):
        if answer.id_token is None:
            raise PeerFault(f"{ctx.provider.title} sent no ID token", code="id_token_invalid")
        claims = yield from id_token.verify(
            ctx, answer.id_token, nonce=nonce, at=answer.at, access=answer.access, code=code
        )
    try:
        identity = yield from identify(
            ctx,
            grant,
            claims=claims,
            method=method,
            answer=answer.data,
        )
    except SignInNeeded as refused:
        raise SettingWrong(
            f"{ctx.provider.title} does not say who signed in: its user information endpoint refused the "
            "new token",
            code="openid_needed",
        ) from refused
    extra = {"api_base": ctx.provider.api.base or ""} if ctx.provider.api.from_answer else {}
    return SignInResult(grant, identity, issued_client_id, extra)


# --- the request --------------------------------------------------------------------------------------------


def wants_id_token(ctx: FlowContext) -> bool:
    """Whether an ID token is due: `openid` was asked for, at a server that says how its tokens can be
    checked.
    """
    server = ctx.server
    return "openid" in ctx.scopes and server.issuer is not None and server.endpoints.jwks_uri is not None


def check_pkce(ctx: FlowContext) -> None:
    """A server that lists challenge methods must list S256; one that lists nothing gets it all the same (RFC
    9700 §2.1.1). Raises SettingWrong `pkce_unsupported`.
    """
    listed = ctx.server.code_challenge_methods_supported
    if ctx.provider.pkce != "none" and listed is not None and "S256" not in listed:
        raise SettingWrong(f"{ctx.provider.title} does not support PKCE with S256", code="pkce_unsupported")


def code_challenge(code_verifier: Secret) -> str:
    """RFC 7636 §4.2, method S256. A verifier that RFC does not allow is a bug and raises ValueError."""
    verifier = code_verifier.reveal()
    if not _VERIFIER.fullmatch(verifier):
        raise ValueError("a code_verifier has 43 to 128 unreserved characters")
    return sha256_base64url(verifier)


def authorization_params(
    ctx: FlowContext,
    state: Secret,
    nonce: Secret | None,
    code_verifier: Secret,
    login_hint: str | None = None,
) -> dict[str, str]:
    """The parameters of the authorization request (RFC 6749 §4.1.1). The preset's own cannot replace the
    protocol's. Raises SettingWrong `client_missing`.
    """
    provider = ctx.provider
    if ctx.client.client_id is None:
        raise SettingWrong(f"{provider.title} has no client id", code="client_missing")
    params = {"response_type": "code", "client_id": ctx.client.client_id}
    if ctx.redirect_uri is not None:
        params["redirect_uri"] = ctx.redirect_uri
    if ctx.scopes:
        params[provider.scope_param] = provider.scope_separator.join(ctx.scopes)
    params["state"] = state.reveal()
    if nonce is not None:
        params["nonce"] = nonce.reveal()
    if provider.pkce != "none":
        params |= {"code_challenge": code_challenge(code_verifier), "code_challenge_method": "S256"}
    if ctx.resource is not None:
        params["resource"] = ctx.resource
    if login_hint is not None:
        params["login_hint"] = login_hint
    return {**provider.authorize_params, **params}


def pushes(ctx: FlowContext) -> bool:
    """Whether the request is pushed (RFC 9126): wherever the server takes it, unless the preset says
    never.
    """
    server = ctx.server
    if ctx.provider.par == "always" or server.require_pushed_authorization_requests:
        return True
    return ctx.provider.par != "never" and server.endpoints.pushed_authorization_request_endpoint is not None


# --- the response -------------------------------------------------------------------------------------------


def expectation(ctx: FlowContext, state: Secret) -> Expectation:
    """What the authorization response must show (RFC 6749 §10.12, RFC 9207 §2.4)."""
    other = own_sign_in(ctx.provider.quirks)
    if other is not None:
        return other.expectation(ctx, state)
    return Expectation(
        state=state,
        issuer=exact_issuer(ctx.server),
        iss_required=ctx.server.authorization_response_iss_parameter_supported,
        path=urlsplit(ctx.redirect_uri or "").path,
    )


def exact_issuer(server: Server) -> str | None:
    """The server's issuer if it is one; None for a template, whose tenant is only in the ID token."""
    return None if server.issuer is None or "{" in server.issuer else server.issuer
