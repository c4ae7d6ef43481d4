"""`/decide`: the decision and the account's headers for an engine that carries the traffic itself.

nginx (`auth_request`) says what was asked in `X-Original-Method` and `X-Original-URI`, Caddy
(`forward_auth`) in `X-Forwarded-Method` and `X-Forwarded-Uri`, Envoy (`ext_authz`) in the request line, below
`/decide`. The answer holds the account's credentials. So the engine must send the secret that it shares with
the gateway, from this computer; to everybody else there is no such address.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from aiohttp import web

from keyfob.core.errors import KeyfobError
from keyfob.core.hosts import is_loopback
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.engine_secret import EngineSecret
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.callers import Callers, key_of
from keyfob.gateway.proxy.credentials import MARGIN, AccountCredentials, Credentials
from keyfob.gateway.proxy.decisions import Decision, Decisions, RefusedError
from keyfob.gateway.proxy.requests import fault_of, method_fault

log = logging.getLogger("keyfob.gateway")
PATH = "/decide"
SECRET = "X-Keyfob-Engine"  # noqa: S105 - the header's name
ACCOUNT = "X-Keyfob-Account"  # the account of the engine's route
UPSTREAM = "X-Keyfob-Upstream"  # where the engine sends the request: the API's address
CLIENT = "X-Keyfob-Client"  # the caller's address
TARGET = "X-Keyfob-Target"  # path and query for the API
FRESH_FOR = "X-Keyfob-Fresh-For"  # seconds that the decision may be kept, if nothing is revoked
STATUS = "X-Keyfob-Status"
PROBLEM = "X-Keyfob-Problem"
LONGEST = timedelta(hours=1)
_FORMS: dict[Literal["nginx", "caddy"], tuple[str, str]] = {
    "nginx": ("X-Original-Method", "X-Original-URI"),
    "caddy": ("X-Forwarded-Method", "X-Forwarded-Uri"),
}
_STALE = (
    "The engine's configuration is out of date. Whoever runs it: print it again with keyfob gateway config."
)


class Asked(NamedTuple):
    """The request that an engine asks about."""

    engine: Literal["nginx", "caddy", "envoy"]
    method: str
    target: str  # raw


class Decide:
    """The handler of `/decide` and of all addresses below it."""

    def __init__(
        self, callers: Callers, decisions: Decisions, credentials: AccountCredentials, secret: EngineSecret
    ) -> None:
        self._callers, self._decisions = callers, decisions
        self._credentials, self._secret = credentials, secret

    def is_engine(self, request: web.Request) -> bool:
        """Whether an engine of this computer asks. Raises SettingWrong if the secret is not usable."""
        given = request.headers.get(SECRET)
        near = not request.remote or is_loopback(request.remote)  # no address: a Unix socket
        return given is not None and near and self._secret.matches(given)

    async def __call__(self, request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        """Answers 200 with the headers, or a problem document. Raises nothing of Keyfob's."""
        try:
            if not self.is_engine(request):
                return problems.problem(404, "not_found", "There is no such address")
        except KeyfobError as error:
            log.error("/decide cannot be used: %s", error)
            return problems.of_error(error)
        by_nginx = False
        try:
            asked = _asked(request)
            by_nginx = asked.engine == "nginx"
            return await self._decided(request, asked)
        except RefusedError as refused:
            answer = refused.answer
        except KeyfobError as error:
            answer = problems.of_error(error)
        return _for_nginx(answer) if by_nginx else answer

    async def _decided(self, request: web.Request, asked: Asked) -> web.Response:
        fault = fault_of(request, None) or method_fault(asked.method, asked.target)
        if fault is not None:
            raise RefusedError(problems.problem(fault[0], "request_refused", fault[1]))
        client = request.headers.get(CLIENT) or request.remote or ""
        # Only by a key: the engine's connection says nothing about the program behind it.
        caller = await self._callers.by_key(key_of(request), client)
        account = request.headers.get(ACCOUNT, "")
        decision = await self._decisions.on_target(caller, asked.method, asked.target, account)
        route = decision.route
        if route.host is not None:
            text = "Only the gateway itself reaches other hosts than the API's"
            raise RefusedError(problems.problem(403, "engine_cannot", text))
        path = route.path + (f"?{route.query}" if route.query else "")
        signed = await self._credentials.sign(route.account, asked.method, path, tenant=route.tenant)
        if request.headers.get(UPSTREAM, "") != signed.base:
            raise RefusedError(problems.problem(403, "engine_outdated", _STALE))
        target = signed.url.removeprefix(_origin(signed.base))
        if asked.engine != "nginx" and signed.url != signed.base + path:
            text = "This account's credentials stand in the address, which this engine cannot change"
            raise RefusedError(problems.problem(403, "engine_cannot", text))
        headers = {
            **signed.headers,
            TARGET: target,
            FRESH_FOR: str(_fresh_for(decision, signed)),
            "Cache-Control": "no-store",
        }
        # A header without a value must not stay as the caller sent it.
        if asked.engine == "envoy":
            headers["X-Envoy-Auth-Headers-To-Remove"] = ",".join(signed.absent)
        else:
            headers |= dict.fromkeys(signed.absent, "")
        return web.Response(headers=headers)


def logged(request: web.BaseRequest) -> tuple[str, str]:
    """The method and the raw target for the access log: what an engine asked about, else the request's."""
    if request.raw_path.startswith(PATH):
        with suppress(RefusedError):
            asked = _asked(request)
            return asked.method, asked.target
    return request.method, request.raw_path


def _asked(request: web.BaseRequest) -> Asked:
    """Raises RefusedError unless exactly one form is there, once."""
    below = request.raw_path.removeprefix(PATH)
    if below.startswith("/"):
        return Asked("envoy", request.method, below)
    found = [form for form in _FORMS.items() if any(name in request.headers for name in form[1])]
    if len(found) == 1:
        engine, names = found[0]
        method, target = (request.headers.getall(name, []) for name in names)
        if len(method) == len(target) == 1:
            return Asked(engine, method[0], target[0])
    raise RefusedError(
        problems.problem(400, "address_refused", "The engine does not say clearly what was asked")
    )


def _for_nginx(answer: web.Response) -> web.Response:
    """auth_request knows 401 and 403, and passes no body on: both stand in headers too."""
    body = answer.body
    assert isinstance(body, bytes)
    answer.headers[STATUS] = str(answer.status)
    answer.headers[PROBLEM] = body.decode("ascii")
    if answer.status != 401:
        answer.set_status(403)
    return answer


def _fresh_for(decision: Decision, signed: Credentials) -> int:
    """Seconds. 0 for what is signed for one request, and for a grant whose uses are counted."""
    grant = decision.grant
    if signed.once or (grant is not None and grant.per_hour is not None):
        return 0
    now = datetime.now(UTC)
    ends = [now + LONGEST]
    if signed.expires_at is not None:
        ends.append(signed.expires_at - timedelta(seconds=MARGIN))
    if decision.caller.expires_at is not None:
        ends.append(decision.caller.expires_at)
    if grant is not None and grant.until is not None:
        ends.append(grant.until)
    return max(0, int((min(ends) - now).total_seconds()))


def _origin(base: str) -> str:
    """`https://api.example.org/v1` → `https://api.example.org`."""
    scheme, _, rest = base.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
