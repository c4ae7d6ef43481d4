"""The gateway's server: checks the caller and the grant, puts the credentials on, and streams both ways."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import KeyfobError
from keyfob.gateway.auth.result import AuthProvider
from keyfob.gateway.engine_secret import EngineSecret
from keyfob.gateway.engines import SignerOf
from keyfob.gateway.grant_store import UseCounter
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.callers import Callers, key_of
from keyfob.gateway.proxy.challenges import is_discovery
from keyfob.gateway.proxy.credentials import AccountCredentials
from keyfob.gateway.proxy.decide import Decide
from keyfob.gateway.proxy.decisions import ActiveGrants, Decisions, RefusedError
from keyfob.gateway.proxy.health import NOTHING_HERE, alive, metrics, nothing_here, ready
from keyfob.gateway.proxy.local_callers import LocalCallers
from keyfob.gateway.proxy.login import LOGIN_MOST, login
from keyfob.gateway.proxy.own import OwnAddress, OwnAddresses, answered
from keyfob.gateway.proxy.parts import More, Parts, nothing_more
from keyfob.gateway.proxy.requests import fault_of
from keyfob.gateway.proxy.upstream import Upstream
from keyfob.gateway.rate_limits import RateLimit

log = logging.getLogger("keyfob.gateway")
WRITE_EVERY = 10.0  # seconds between two writes of what was used


class Gateway:
    """One server. Made on the event loop that runs it."""

    def __init__(
        self,
        signers: SignerOf,
        provider: AuthProvider,
        sessions: sessionmaker[Session] | None,
        hosts: Collection[str] | None,
        secret: EngineSecret,
        more: More = nothing_more,
    ) -> None:
        """`signers`: of the accounts. `sessions`: where grants are; without, only operators are served.
        `hosts`: as in `fault_of`. `secret`: of an engine that asks for decisions. `more` makes further
        addresses.
        """
        active = ActiveGrants(sessions)
        self._callers = Callers(provider, LocalCallers(active) if hosts is not None else None)
        self._credentials = AccountCredentials(signers)
        self._hosts = hosts
        self._uses = UseCounter(sessions) if sessions is not None else None
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
        self._decisions = Decisions(active, self._uses, self._refused)
        self._decide = Decide(self._callers, self._decisions, self._credentials, secret)
        parts = Parts(
            self._callers,
            self._decisions,
            self._credentials,
            self._upstream,
            self._seconds.observe,
            self._counted,
        )
        self._own = self._own_addresses(more(parts))

    def _own_addresses(self, more: Iterable[OwnAddress]) -> OwnAddresses:
        return OwnAddresses(
            [
                *more,
                OwnAddress("/healthz", alive, "everyone"),
                OwnAddress("/readyz", ready(self._decisions.active, lambda: self.stopping), "everyone"),
                OwnAddress("/metrics", metrics(self.registry), "operators"),
                OwnAddress("/decide", self._decide, "everyone"),
                OwnAddress("/decide/", self._decide, "everyone"),
                *(OwnAddress(path, nothing_here, "everyone") for path in NOTHING_HERE),
                OwnAddress("/v1/login", login(self._callers.provider), "everyone"),
            ]
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
        await asyncio.to_thread(self.write_uses)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        started = time.monotonic()
        target = request.raw_path
        own = self._own.find(target.partition("?")[0])
        # An engine asks about a request that was sent to another host: `Decide` checks it.
        by_engine = own is not None and own.handler is self._decide
        fault = None if by_engine else fault_of(request, self._hosts)
        if fault is not None:
            self._refused.labels("request").inc()
            return problems.problem(fault[0], "request_refused", fault[1])
        try:
            if own is not None:
                return await answered(own, request, self._callers)
            caller = await self._callers.who(request)
            if key_of(request) is None and is_discovery(target.partition("?")[0]):
                return problems.not_found()
            decision = await self._decisions.on_target(caller, request.method, target)
            answer = await self._upstream.pass_on(
                request, decision.route, lambda: self._seconds.observe(time.monotonic() - started)
            )
        except RefusedError as refused:
            return refused.answer
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

    def _counted(self, account: str, status: int) -> None:
        self._requests.labels(account, str(status)).inc()

    # --- what was used ------------------------------------------------------------------------------------

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await asyncio.to_thread(self.write_uses)

    def rate_limits(self) -> Mapping[str, RateLimit]:
        """What providers said of their limits last, by account. Thread-safe."""
        return self._upstream.limits.all()

    def write_uses(self) -> None:
        """Puts what was counted into the database. Blocks; thread-safe."""
        if self._uses is None:
            return
        try:
            self._uses.write()
        except SQLAlchemyError as error:
            log.warning("What was used cannot be written now (%s)", type(error).__name__)
