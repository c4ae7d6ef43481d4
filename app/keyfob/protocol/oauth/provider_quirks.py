"""Code for what single providers do and a preset cannot express: `core.quirks` declares the names.

Called by `authorize` and by the service that gets a client. A quirk adds to the checks of the standard flow
or replaces the flow. It never skips a check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from keyfob.core.encoding import sha256_base64url
from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request, Response
from keyfob.core.provider import Provider, Server
from keyfob.core.quirks import QuirkName
from keyfob.core.secret import Secret
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import Expectation, Flow, Keep, Send
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import safe, with_query
from keyfob.protocol.identity import identify
from keyfob.protocol.oauth import sso_oidc
from keyfob.protocol.oauth.authorization_response import code_in
from keyfob.protocol.oauth.register import Registered, register_mastodon

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class OwnSignIn:
    """A sign-in through the browser that takes the place of the standard one, in its two halves. Raises as it
    does. `state` and `code_verifier` are fresh; the sign-in sends them itself.
    """

    address: Callable[[FlowContext, Secret, Secret], Secret]  # with state and code_verifier
    expectation: Callable[[FlowContext, Secret], Expectation]
    finish: Callable[[FlowContext, Callback, Secret], Flow[SignInResult]]  # with code_verifier


def own_sign_in(quirks: Iterable[QuirkName]) -> OwnSignIn | None:
    """The sign-in that a quirk has instead of the standard one."""
    return _OPENROUTER if "openrouter_keys" in quirks else None


def own_registration(
    provider: Provider,
    server: Server,
    redirect_uri: str | None,
    scopes: Sequence[str],
    client_name: str = "Keyfob",
) -> Flow[Registered] | None:
    """The registration of a client that a quirk has instead of RFC 7591. `client_name` is shown to users
    where the provider takes one.
    """
    if sso_oidc.QUIRK in provider.quirks:
        return sso_oidc.register(server, redirect_uri, scopes)
    if "mastodon_apps" not in provider.quirks:
        return None
    base = server.issuer or provider.issuer or ""
    return register_mastodon(base, client_name=client_name, redirect_uri=redirect_uri or "", scopes=scopes)


def exchange_params(quirks: Iterable[QuirkName], state: Secret) -> dict[str, str]:
    """What a quirk adds to the exchange of the code."""
    return {"state": state.reveal()} if "state_in_token_request" in quirks else {}


def issued_client(ctx: FlowContext, callback: Callback) -> tuple[FlowContext, str | None]:
    """With quirk `dynamic_agent_client` (Sign in with ChatGPT) the first request goes out under a client id
    that all apps share, and the response brings one for this account, under which alone the code can be
    exchanged. Without it a `client_id` in the response means nothing. Raises PeerFault if it is due and
    absent.
    """
    if "dynamic_agent_client" not in ctx.provider.quirks:
        return ctx, None
    shared, issued = ctx.provider.client.client_id, callback.params.get("client_id")
    if issued is None and ctx.client.client_id != shared:
        return ctx, ctx.client.client_id
    if issued is None or issued == shared or not _CLIENT_ID.fullmatch(issued):
        raise PeerFault(f"{ctx.provider.title} did not send a client id for this app")
    return replace(ctx, client=replace(ctx.client, client_id=issued)), issued


# --- OpenRouter's key grant: PKCE with no client, no scopes and no state; what it gives is a key that does
# not end. As the server sends no state back, the state is the last part of the callback's path, which only
# this attempt's browser was told.


def _openrouter_callback(ctx: FlowContext, state: Secret) -> str:
    if ctx.redirect_uri is None:
        raise SettingWrong(f"{ctx.provider.title} has no redirect URI", code="preset_faulty")
    return f"{ctx.redirect_uri.rstrip('/')}/{quote(state.reveal(), safe='')}"


def _openrouter_expectation(ctx: FlowContext, state: Secret) -> Expectation:
    return Expectation(state=state, path=urlsplit(_openrouter_callback(ctx, state)).path, stateless=True)


def _openrouter_address(ctx: FlowContext, state: Secret, code_verifier: Secret) -> Secret:
    page = safe(ctx.server.endpoints.authorization_endpoint, "The authorization endpoint")
    safe(ctx.server.endpoints.token_endpoint, "The token endpoint")
    params = {
        **ctx.provider.authorize_params,
        "callback_url": _openrouter_callback(ctx, state),
        "code_challenge": sha256_base64url(code_verifier.reveal()),
        "code_challenge_method": "S256",
    }
    return Secret(with_query(page, params))


def _openrouter_key(ctx: FlowContext, callback: Callback, code_verifier: Secret) -> Flow[SignInResult]:
    title = ctx.provider.title
    exchange = safe(ctx.server.endpoints.token_endpoint, "The token endpoint")
    code = code_in(callback, ctx)
    body = {"code": code.reveal(), "code_verifier": code_verifier.reveal(), "code_challenge_method": "S256"}
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    response: Response = yield Send(Request("POST", exchange, "token", headers, json.dumps(body).encode()))
    what = f"{title}'s key exchange"
    if not 200 <= response.status < 300:
        raise failure(response, what, who=title)
    answer = read_json(response, what)
    key = answer.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= 4096 or not key.isascii() or not key.isprintable():
        raise PeerFault(f"{title} did not send a key")
    grant = Grant(Secret(key), obtained_at=response.at, scopes=ctx.scopes)
    yield Keep(grant)
    shown = {name: value for name, value in answer.items() if name != "key"}
    bearer = replace(ctx, dpop_key=None)
    identity = yield from identify(bearer, grant, claims=None, method="oauth", answer=shown)
    return SignInResult(grant, identity)


_OPENROUTER = OwnSignIn(_openrouter_address, _openrouter_expectation, _openrouter_key)
