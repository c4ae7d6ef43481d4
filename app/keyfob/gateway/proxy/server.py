"""The gateway's server: checks the caller and the grant, puts the credentials on, and streams both ways."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import KeyfobError, Transient
from keyfob.gateway.auth.local import LocalAuth
from keyfob.gateway.auth.result import AuthProvider, AuthResult, TooManyAttemptsError
from keyfob.gateway.grant_store import UseCounter, grants
from keyfob.gateway.grants import Grant, fitting, is_operator
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.callers import Callers
from keyfob.gateway.proxy.credentials import AccountCredentials
from keyfob.gateway.proxy.requests import fault_of
from keyfob.gateway.proxy.routes import NotRoutableError, Route, route_of
from keyfob.gateway.proxy.upstream import Upstream
from keyfob.service.accounts.signer import Signer

log = logging.getLogger("keyfob.gateway")
GRANTS_KNOWN_FOR = 0.8  # seconds: an ended grant is in force nowhere after one second
WRITE_EVERY = 10.0  # seconds between two writes of what was used
LOGIN_MOST = 8192  # bytes
OWN = ("/healthz", "/readyz", "/metrics", "/v1/login")


@dataclass(frozen=True)
class Decision:
    """A caller who may send this request, by a grant or as the operator."""

    caller: AuthResult
    route: Route
    grant: Grant | None


class Gateway:
    """One server. Made on the event loop that runs it."""

    def __init__(
        self,
        signer: Signer,
        provider: AuthProvider,
        sessions: sessionmaker[Session] | None,
        hosts: Collection[str] | None,
    ) -> None:
        """`sessions`: where grants are; without, only operators are served. `hosts`: as in `fault_of`."""
        self._callers = Callers(provider)
        self._credentials = AccountCredentials(signer)
        self._sessions, self._hosts = sessions, hosts
        self._uses = UseCounter(sessions) if sessions is not None else None
        self._grants: tuple[float, list[Grant]] = (0.0, [])
        self._reading = asyncio.Lock()
        self._upstream = Upstream(self._credentials)
        self._writing: asyncio.Task[None] | None = None
        self.stopping = False
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "keyfob_gateway_requests",
            "Requests by account and status",
            ["account", "status"],
            registry=self.registry,
        )
        self._refused = Counter(
            "keyfob_gateway_refused", "Requests that were refused", ["reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "keyfob_gateway_first_byte_seconds", "Until the answer began", registry=self.registry
        )

    def app(self) -> web.Application:
        """The application, for an aiohttp runner with `auto_decompress=False`."""
        made = web.Application(client_max_size=LOGIN_MOST)
        made.router.add_route("*", "/{path:.*}", self.handle)
        made.on_startup.append(self._start)
        made.on_cleanup.append(self._stop)
        return made

    async def _start(self, _: web.Application) -> None:
        await self._upstream.open()
        self._writing = asyncio.create_task(self._write_again_and_again())

    async def _stop(self, _: web.Application) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with suppress(asyncio.CancelledError):
                await self._writing
        await self._upstream.close()
        self._credentials.close()
        await asyncio.to_thread(self._write)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        started = time.monotonic()
        fault = fault_of(request, self._hosts)
        if fault is not None:
            self._refused.labels("request").inc()
            return problems.problem(fault[0], "request_refused", fault[1])
        target = request.raw_path
        if target.partition("?")[0] in OWN:
            return await self._own(request, target.partition("?")[0])
        try:
            decision = await self._decide(request, target)
            if isinstance(decision, web.Response):
                return decision
            answer = await self._upstream.pass_on(
                request, decision.route, lambda: self._seconds.observe(time.monotonic() - started)
            )
        except KeyfobError as error:
            return problems.of_error(error)
        except (ConnectionError, asyncio.CancelledError):
            raise  # the caller has left
        except Exception as error:
            # Its text may hold a header, and so a token: only the kind and the place are logged.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("A request failed: %s in %s, line %s", type(error).__name__, place.name, place.lineno)
            return problems.problem(500, "internal", "Keyfob failed. Its log says why.")
        self._requests.labels(decision.route.account, str(answer.status)).inc()
        return answer

    async def _decide(self, request: web.Request, target: str) -> Decision | web.Response:
        caller = await self._callers.who(request)
        if not caller.authenticated:
            self._refused.labels("caller").inc()
            return problems.refusal()
        try:
            route = route_of(target)
        except NotRoutableError as fault:
            self._refused.labels("address").inc()
            return problems.problem(400, "address_refused", str(fault))
        if is_operator(caller):
            return Decision(caller, route, None)
        found = fitting(await self._active_grants(), caller, route.account, datetime.now(UTC))
        fits = [grant for grant in found if grant.covers(request.method, route.path)]
        spent = [one for one in fits if self._is_spent(one)]
        if not fits or len(spent) == len(fits):
            return self._not_granted(found, spent)
        grant = next(one for one in fits if one not in spent)
        if self._uses is not None:
            self._uses.count(grant.grant_id, allowed=True)
        return Decision(caller, route, grant)

    def _is_spent(self, grant: Grant) -> bool:
        return (
            grant.per_hour is not None
            and self._uses is not None
            and self._uses.in_this_hour(grant.grant_id) >= grant.per_hour
        )

    def _not_granted(self, found: list[Grant], spent: list[Grant]) -> web.Response:
        self._refused.labels("grant").inc()
        if spent:
            left = 3600 - int(time.time()) % 3600
            return problems.problem(
                429,
                "grant_used_up",
                "This key was used as often as it may be in an hour",
                {"Retry-After": str(left)},
            )
        # An account that the caller has no grant for is not told apart from one that does not exist.
        for grant in found:
            if self._uses is not None:
                self._uses.count(grant.grant_id, allowed=False)
        return problems.not_granted("This key may not do that. Ask whoever runs the gateway for access.")

    async def _active_grants(self) -> list[Grant]:
        if self._sessions is None:
            return []
        read_at, known = self._grants
        if read_at and time.monotonic() - read_at < GRANTS_KNOWN_FOR:
            return known
        async with self._reading:
            if self._grants[0] != read_at:
                return self._grants[1]  # somebody else has just read them
            started = time.monotonic()
            try:
                known = await asyncio.to_thread(self._read_grants, self._sessions)
            except SQLAlchemyError as error:
                raise Transient(
                    "The gateway's database cannot be reached", detail=type(error).__name__
                ) from None
            self._grants = started, known
        return known

    @staticmethod
    def _read_grants(sessions: sessionmaker[Session]) -> list[Grant]:
        with sessions() as session:
            return grants(session, ended_too=False)

    # --- the server's own addresses -----------------------------------------------------------------------

    async def _own(self, request: web.Request, path: str) -> web.StreamResponse:
        match path:
            case "/v1/login":
                return await self._login(request)
            case "/healthz":
                return web.json_response({"status": "ok"})
            case "/readyz":
                return await self._ready()
            case _:
                caller = await self._callers.who(request)
                if not caller.authenticated:
                    return problems.refusal()
                if not is_operator(caller):
                    return problems.not_granted("Only an administrator of the server may see this.")
                return web.Response(body=generate_latest(self.registry), content_type="text/plain")

    async def _ready(self) -> web.Response:
        if self.stopping:
            return problems.problem(503, "stopping", "The gateway is stopping")
        try:
            await self._active_grants()
        except Transient as error:
            return problems.of_error(error)
        return web.json_response({"status": "ready"})

    async def _login(self, request: web.Request) -> web.StreamResponse:
        provider = self._callers.provider
        if request.method != "POST" or not isinstance(provider, LocalAuth):
            return problems.problem(404, "not_found", "There is no such address")
        try:
            body: Any = json.loads(await request.read())
            user, password = body["username"], body["password"]
        except (ValueError, KeyError, TypeError):
            user = password = None
        if not isinstance(user, str) or not isinstance(password, str):
            return problems.problem(400, "usage", "Send JSON with username and password")
        try:
            token = await provider.login(user, password, address=request.remote or "")
        except TooManyAttemptsError as error:
            answer = problems.of_error(error)
            answer.set_status(429)
            return answer
        except Transient as error:
            return problems.of_error(error)
        if token is None:
            return problems.refusal()
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": provider.lifetime_seconds},
            headers={"Cache-Control": "no-store"},
        )

    # --- what was used ------------------------------------------------------------------------------------

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        if self._uses is None:
            return
        try:
            self._uses.write()
        except SQLAlchemyError as error:
            log.warning("What was used cannot be written now (%s)", type(error).__name__)
