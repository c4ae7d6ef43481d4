"""Signing in at Bluesky and every other atproto server (atproto's OAuth profile: PAR, PKCE, DPoP, no secret).

`resolve` finds the user and their server. `sign_in` is the authorization code grant with the additions of the
profile. `renewal.renew` renews with the same key, and `revoke.revoke` revokes. The tokens count only if their
subject is the expected user, and if that user's data server names the authorization server.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from keyfob.core.errors import Fault, KeyfobError, PeerFault, SettingWrong
from keyfob.core.hosts import is_inside
from keyfob.core.http import Callback, Request, Response
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.protocol.atproto.identity import PLC_DIRECTORY, DnsTxt, Resolved, identity_of, issuer_of, resolve
from keyfob.protocol.context import FlowContext, Identity, SignInResult
from keyfob.protocol.effects import AwaitCallback, Effect, Expectation, Flow, OpenBrowser, Send
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.responses import read_json
from keyfob.protocol.http.urls import fault_of, safe, with_query
from keyfob.protocol.oauth import par
from keyfob.protocol.oauth.authorization_response import code_in
from keyfob.protocol.oauth.authorize import authorization_params, expectation
from keyfob.protocol.oauth.token import exchange_code
from keyfob.protocol.oauth.token_answer import grant_of

SCOPE = "atproto"  # without it the session is not an atproto session at all
_NAME_MOST = 120

__all__ = [
    "PLC_DIRECTORY",
    "DnsTxt",
    "Resolved",
    "authorization_address",
    "authorized",
    "awaited",
    "loopback_client_id",
    "resolve",
    "sign_in",
]


@dataclass(frozen=True, slots=True)
class _Profile:
    name: str | None = None
    avatar_url: str | None = None


def loopback_client_id(redirect_uri: str, scopes: Sequence[str]) -> str:
    """The client id of an app without a registration: `http://localhost` with its redirect and scopes. The
    redirect goes in without its port, which means any port. Raises SettingWrong for one that is not an IP
    loopback.
    """
    parts = urlsplit(redirect_uri)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1"):
        raise SettingWrong("atproto needs a redirect to 127.0.0.1 or [::1]", code="preset_faulty")
    host = "[::1]" if parts.hostname == "::1" else parts.hostname
    query = {"redirect_uri": f"http://{host}{parts.path}", "scope": " ".join(scopes)}
    return "http://localhost?" + urlencode(query, quote_via=quote, safe="")


def sign_in(
    ctx: FlowContext,
    resolved: Resolved | None,
    *,
    state: Secret,
    code_verifier: Secret,
    plc: str = PLC_DIRECTORY,
    dns_txt: DnsTxt | None = None,
) -> Flow[SignInResult]:
    """One sign-in. `resolved` comes from `resolve`; None means at `ctx.server`, any user. `ctx.dpop_key` is
    an ES256 key that is already stored (a crash after the exchange must not lose it). Without
    `ctx.client.client_id`, the loopback client id is used and returned as `issued_client_id`.

    The result's `extra` holds what is to be pinned next to the server: `did`, `pds` (the API's base),
    `issuer`, and `handle` if one is proved. Raises PeerFault `subject_mismatch` for another user's tokens,
    `issuer_mismatch` where their data server names another server, `identity_invalid`; else as
    `authorize.authorization_code`.
    """
    found = resolved or at_server(ctx)
    url = yield from authorization_address(ctx, found, state=state, code_verifier=code_verifier)
    yield OpenBrowser(url)
    callback: Callback = yield AwaitCallback(awaited(ctx, found, state))
    return (
        yield from authorized(ctx, found, callback, code_verifier=code_verifier, plc=plc, dns_txt=dns_txt)
    )


def at_server(ctx: FlowContext) -> Resolved:
    """For a sign-in of any user at `ctx.server`."""
    return Resolved(ctx.server, near=is_inside(urlsplit(ctx.server.issuer or "").hostname))


def authorization_address(
    ctx: FlowContext, resolved: Resolved, *, state: Secret, code_verifier: Secret
) -> Flow[Secret]:
    """The first half of `sign_in`: the address that the browser is sent to. A server keeps the arguments
    until the browser is back, and goes on with `authorized`. Raises as `sign_in`.
    """
    ctx, _ = _prepared(ctx, resolved)
    endpoint = safe(ctx.server.endpoints.authorization_endpoint, "The authorization endpoint")
    params = authorization_params(ctx, state, None, code_verifier, resolved.login_hint)
    request_uri = yield from par.push(ctx, params)
    return Secret(with_query(endpoint, {"client_id": params["client_id"], "request_uri": request_uri}))


def awaited(ctx: FlowContext, resolved: Resolved, state: Secret) -> Expectation:
    """What the authorization response must show: atproto demands `iss`."""
    return replace(expectation(replace(ctx, server=resolved.server), state), iss_required=True)


def authorized(
    ctx: FlowContext,
    resolved: Resolved,
    callback: Callback,
    *,
    code_verifier: Secret,
    plc: str = PLC_DIRECTORY,
    dns_txt: DnsTxt | None = None,
) -> Flow[SignInResult]:
    """The second half, with what the browser brought back. Raises as `sign_in`."""
    ctx, issued = _prepared(ctx, resolved)
    answer = yield from exchange_code(ctx, code_in(callback, ctx), code_verifier=code_verifier)
    grant = grant_of(ctx, answer)
    if answer.scopes is None or SCOPE not in answer.scopes:
        raise PeerFault("The server did not grant the scope atproto")
    did, handle, pds = yield from _who(answer.data.get("sub"), resolved, ctx, plc, dns_txt)
    profile = yield from _profile(pds, did)
    identity = Identity(
        subject=did,
        name=profile.name or handle or did,
        username=handle or did,
        avatar_url=profile.avatar_url,
    )
    extra = {"did": did, "pds": pds, "issuer": ctx.server.issuer or ""}
    if handle is not None:
        extra["handle"] = handle
    return SignInResult(grant, identity, issued, extra)


def _prepared(ctx: FlowContext, found: Resolved) -> tuple[FlowContext, str | None]:
    if ctx.dpop_key is None or ctx.dpop_key.alg != "ES256":
        raise Fault("An atproto sign-in needs an ES256 key")
    redirect_uri = ctx.redirect_uri
    if SCOPE not in ctx.scopes or redirect_uri is None:
        raise SettingWrong("The preset needs the scope atproto and a redirect", code="preset_faulty")
    ctx = replace(ctx, server=found.server)
    if ctx.client.client_id is not None:
        return ctx, None
    issued = loopback_client_id(redirect_uri, ctx.scopes)
    return replace(ctx, client=replace(ctx.client, client_id=issued, auth="none")), issued


def _who(
    sub: object, found: Resolved, ctx: FlowContext, plc: str, dns_txt: DnsTxt | None
) -> Generator[Effect, Any, tuple[str, str | None, str]]:
    """DID, handle and PDS of whom the tokens are for, checked against whom and where we asked."""
    if not isinstance(sub, str):
        raise PeerFault("The server does not say who signed in", code="identity_invalid")
    if found.did is not None and found.pds is not None:
        if sub != found.did:
            raise PeerFault("Another account signed in", code="subject_mismatch")
        return found.did, found.handle, found.pds
    did, handle, pds = yield from identity_of(sub, plc=plc, dns_txt=dns_txt, near=found.near)
    issuer = yield from issuer_of(pds)
    if issuer != ctx.server.issuer:
        raise PeerFault("This person's data server names another place to sign in", code="issuer_mismatch")
    return did, handle, pds


def _profile(pds: str, did: str) -> Generator[Effect, Any, _Profile]:
    """Name and picture from the public profile record, asked without a
    token. For display only: no failure here ends a sign-in.
    """
    query = urlencode({"repo": did, "collection": "app.bsky.actor.profile", "rkey": "self"})
    url = f"{pds}/xrpc/com.atproto.repo.getRecord?{query}"
    try:
        response: Response = yield Send(Request("GET", url, "whoami", {"Accept": "application/json"}))
        record = read_json(response, "The data server")
    except KeyfobError:
        return _Profile()
    name, picture = read_path(record, "value.displayName"), read_path(record, "value.avatar.ref.$link")
    avatar = None
    if isinstance(picture, str) and picture.isalnum() and picture.isascii():
        avatar = f"{pds}/xrpc/com.atproto.sync.getBlob?" + urlencode({"did": did, "cid": picture})
    return _Profile(
        name=(plain(name, _NAME_MOST) or None) if isinstance(name, str) else None,
        avatar_url=avatar
        if avatar is not None and fault_of(avatar) is None and avatar.startswith("https://")
        else None,
    )
