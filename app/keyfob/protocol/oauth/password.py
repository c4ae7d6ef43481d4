"""Username and password, for self-hosted servers whose preset allows it (RFC 6749 §4.3, and servers that
answer a JSON login with a token).

Called only for presets whose method is `password`. The password is used for one request and forgotten: it is
in no result, error or log.
"""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.core.errors import PeerFault, SettingWrong, SignInEnded, SignInNeeded, Transient, Usage
from keyfob.core.secret import Secret
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.effects import Flow
from keyfob.protocol.http.responses import is_web_page
from keyfob.protocol.oauth.authorize import finish
from keyfob.protocol.oauth.token import receive, token_request

_PASSWORD, _USERNAME = "{password}", "{username}"


def password_sign_in(
    ctx: FlowContext,
    *,
    username: str,
    password: Secret,
) -> Flow[SignInResult]:
    """One sign-in at the token endpoint, sent once. The caller owns `password` and forgets it.

    Raises SettingWrong `method_not_offered` if the preset does not ask for passwords, SignInEnded `declined`
    if the server does not take this one, and as `authorize.authorization_code`.
    """
    if "password" not in ctx.provider.methods:
        raise SettingWrong(
            f"{ctx.provider.title} does not support signing in with a password", code="method_not_offered"
        )
    if not username or not password:
        raise Usage("Enter a username and a password")
    params = password_params(ctx, username, password)
    request = token_request(ctx, params, "token")
    response = yield from dpop.send(request, key=ctx.dpop_key, env=ctx.env)
    wrong = SignInEnded(f"{ctx.provider.title} does not accept this username and password", code="declined")
    try:
        answer = yield from receive(ctx, response)
    except SignInNeeded:  # invalid_grant: RFC 6749 §5.2's word for a wrong password
        raise wrong from None
    except (PeerFault, Transient):
        # What a JSON login says instead; a page is a firewall's or a
        # portal's, which says nothing of the password.
        if response.status in (401, 403) and not is_web_page(response):
            raise wrong from None
        raise
    return (yield from finish(ctx, answer, nonce=None, method="password"))


def password_params(ctx: FlowContext, username: str, password: Secret) -> dict[str, str]:
    """The login's parameters. If the preset's `token_params` name `{password}`, they are the whole request
    (for servers that say `email`, `login`, …); else RFC 6749 §4.3.2's, with the scopes asked for. Holds the
    password.
    """
    params: Mapping[str, str] = ctx.provider.token_params
    if _PASSWORD in params.values():
        # One pass, so that a username that reads "{password}" stays what it is.
        words = {_PASSWORD: password.reveal(), _USERNAME: username}
        return {name: words.get(value, value) for name, value in params.items()}
    standard = {"grant_type": "password", "username": username, "password": password.reveal()}
    if ctx.scopes:
        standard[ctx.provider.scope_param] = ctx.provider.scope_separator.join(ctx.scopes)
    return {**params, **standard}
