"""What single providers do that no preset's data can say: a name in the preset, a small function here.

Called by `authorize`. A quirk adds to what the standard flow checks or replaces it whole; it never skips a check.
"""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote, urlsplit

from keyfob.core.encoding import sha256_base64url
from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.grant import Grant
from keyfob.core.http import Callback, Request, Response
from keyfob.core.secret import Secret
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import AwaitCallback, Expectation, Flow, OpenBrowser, Send
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import safe, with_query
from keyfob.protocol.oauth.authorization_response import code_in
from keyfob.protocol.oidc.identity import identify

DYNAMIC_AGENT_CLIENT = "dynamic_agent_client"  # in `authorize.issued_client`
OPENROUTER_KEYS = "openrouter_keys"
STATE_IN_TOKEN_REQUEST = "state_in_token_request"  # noqa: S105  in `authorize.authorization_code`


def openrouter_keys(
    plan: FlowContext,
    *,
    state: Secret,
    code_verifier: Secret,
    env: FlowEnv,
) -> Flow[SignInResult]:
    """OpenRouter's key grant: PKCE with no client, no scopes and no state; what it gives is a key that does not end.

    As the server sends no state back, the state is the last part of the callback's path, which only this attempt's
    browser was told. Raises as `authorize.authorization_code`.
    """
    title = plan.provider.title
    page = safe(plan.server.endpoints.authorization_endpoint, "The authorization endpoint")
    exchange = safe(plan.server.endpoints.token_endpoint, "The token endpoint")
    if plan.redirect_uri is None:
        raise SettingWrong(f"{title} has no redirect address here", code="preset_faulty")
    callback_url = f"{plan.redirect_uri.rstrip('/')}/{quote(state.reveal(), safe='')}"
    params = {
        **plan.provider.authorize_params,
        "callback_url": callback_url,
        "code_challenge": sha256_base64url(code_verifier.reveal()),
        "code_challenge_method": "S256",
    }
    yield OpenBrowser(Secret(with_query(page, params)))
    callback: Callback = yield AwaitCallback(
        Expectation(state=state, path=urlsplit(callback_url).path, stateless=True)
    )
    code = code_in(callback, plan)
    body = {"code": code.reveal(), "code_verifier": code_verifier.reveal(), "code_challenge_method": "S256"}
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    response: Response = yield Send(Request("POST", exchange, "token", headers, json.dumps(body).encode()))
    what = f"{title}'s key exchange"
    if not 200 <= response.status < 300:
        raise failure(response, what, who=title)
    answer = read_json(response, what)
    key = answer.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= 4096 or not key.isascii() or not key.isprintable():
        raise PeerFault(f"{title} answered without a key")
    grant = Grant(Secret(key), obtained_at=response.at, scopes=plan.scopes)
    shown = {name: value for name, value in answer.items() if name != "key"}
    bearer = replace(plan, dpop_key=None)
    identity = yield from identify(bearer, grant, claims=None, method="oauth", env=env, answer=shown)
    return SignInResult(grant, identity)
