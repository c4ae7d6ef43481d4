"""App passwords by Nextcloud's Login Flow v2: the user signs in in the browser, and Keyfob polls until the
password is there.

Called for presets whose method is `app_password`. The user's own password never passes through Keyfob. The
poll token and the app password go only to the user's own server, whatever its answers say.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from keyfob.core.encoding import basic
from keyfob.core.errors import PeerFault, SignInEnded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.words import RevocationAnswer
from keyfob.protocol.context import FlowContext, Identity, SignInResult
from keyfob.protocol.effects import Effect, Flow, OpenBrowser, Send, Wait
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import fault_of, origin_of

POLL_EVERY = timedelta(seconds=2)
POLL_MOST = timedelta(seconds=30)  # after failures in a row
LIFE = timedelta(minutes=20)  # of the poll token, as Nextcloud's documentation has it
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def app_password(ctx: FlowContext) -> Flow[SignInResult]:
    """Sign in at the Nextcloud server of `ctx` (`https://cloud.example`, with its path if it has one).

    The grant's access token is the app password, to be sent by Basic with the login name, which is in
    `extra["login"]`; the server's own address in `extra["server"]`. Raises SignInEnded `timed_out` after 20
    minutes, PeerFault if the server names addresses that are not its own.
    """
    base = ctx.safe(ctx.server.issuer or ctx.provider.api.base, "The server's address").rstrip("/")
    response: Response = yield Send(Request("POST", f"{base}/index.php/login/v2", "device", _FORM, b""))
    begun = read_json(response, "The server's sign-in")
    poll = begun.get("poll")
    if not isinstance(poll, dict) or not isinstance(poll.get("token"), str) or not poll["token"]:
        raise PeerFault(
            "The server started a sign-in without an address to finish it", code="response_invalid"
        )
    endpoint = _own(ctx, base, poll.get("endpoint"), "The polling address")
    login = _own(ctx, base, begun.get("login"), "The sign-in page")
    yield OpenBrowser(Secret(login))
    request = Request("POST", endpoint, "device", _FORM, urlencode({"token": poll["token"]}).encode())
    done = yield from _poll(ctx, request, response.at + LIFE)
    return _result(ctx, base, done)


def _poll(ctx: FlowContext, request: Request, deadline: datetime) -> Generator[Effect, Any, Response]:
    pause = POLL_EVERY
    while True:
        yield Wait(pause)
        if ctx.env.now() >= deadline:
            raise SignInEnded("You did not finish signing in at the server", code="timed_out")
        try:
            answer: Response = yield Send(request)
            if answer.status == 200:
                return answer
            if answer.status != 404:  # 404: not yet
                raise failure(answer, "The server's sign-in")
            pause = POLL_EVERY
        except Transient as passing:
            pause = max(min(pause * 2, POLL_MOST), passing.retry_after or timedelta(0))


def _result(ctx: FlowContext, base: str, response: Response) -> SignInResult:
    answer = read_json(response, "The server's sign-in")
    login, password = answer.get("loginName"), answer.get("appPassword")
    # A server behind a proxy may not know its own name; what the user typed has just worked.
    named = answer.get("server")
    ours = isinstance(named, str) and fault_of(named, plain_host=ctx.provider.plain_host) is None
    ours = ours and origin_of(str(named)) == origin_of(base)
    server = str(named).rstrip("/") if ours else base
    if not isinstance(login, str) or not login or ":" in login or not login.isprintable():
        raise PeerFault("The server sent no usable login name", code="response_invalid")
    if not isinstance(password, str) or not password or not password.isascii() or not password.isprintable():
        raise PeerFault("The server sent no usable app password", code="response_invalid")
    name = plain(login)
    parts = urlsplit(server)
    return SignInResult(
        grant=Grant(access=Secret(password), obtained_at=response.at, token_type="Basic"),  # noqa: S106
        identity=Identity(subject=f"{name}@{parts.netloc.lower()}{parts.path}", name=name, username=name),
        extra={"login": login, "server": server},
    )


def forget_app_password(
    ctx: FlowContext, server: str, login: str, password: Secret
) -> Flow[RevocationAnswer]:
    """Delete the app password at its server. "yes" once it is gone, "unsupported" if the server cannot;
    raises Transient if it is to be tried again.
    """
    url = ctx.safe(server, "The server's address").rstrip("/") + "/ocs/v2.php/core/apppassword"
    headers = {
        "Authorization": basic(login, password.reveal()),
        "OCS-APIRequest": "true",
        "Accept": "application/json",
    }
    response: Response = yield Send(Request("DELETE", url, "revoke", headers))
    if response.status in (408, 429) or response.status >= 500:
        raise failure(response, "The server")
    # 401: the password is no longer known there.
    return "yes" if 200 <= response.status < 300 or response.status == 401 else "unsupported"


def _own(ctx: FlowContext, base: str, url: object, what: str) -> str:
    own = ctx.safe(url if isinstance(url, str) else "", what)
    if origin_of(own) != origin_of(base):
        raise PeerFault(f"{what} is on a different server")
    return own
