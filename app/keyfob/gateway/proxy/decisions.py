"""Whether a caller may send a request: by a grant, or as the operator. Every way in asks here."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import Transient
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.grant_store import UseCounter, grants
from keyfob.gateway.grants import LOCAL, Grant, fitting, is_operator
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.routes import NotRoutableError, Route, route_of

GRANTS_KNOWN_FOR = 0.8  # seconds: an ended grant is in force nowhere after one second
LOOK_AGAIN = 0.1  # seconds between two looks for a grant that was just made


@dataclass(frozen=True)
class Decision:
    """A caller who may send this request, by a grant or as the operator."""

    caller: AuthResult
    route: Route
    grant: Grant | None


class RefusedError(Exception):
    """The caller may not do this. `answer` says why."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class ActiveGrants:
    """The grants that have not ended, read once in `GRANTS_KNOWN_FOR`, and sooner for a caller who seems to
    have none: theirs may be new. For one event loop.
    """

    def __init__(self, sessions: sessionmaker[Session] | None) -> None:
        self._sessions = sessions
        self._read: tuple[float, list[Grant]] = (0.0, [])
        self._reading = asyncio.Lock()

    async def of(self, caller: AuthResult, account: str | None = None) -> list[Grant]:
        """Those that this caller may use, of all accounts or of one. Raises as `now`."""
        for known_for in (GRANTS_KNOWN_FOR, LOOK_AGAIN):
            known, moment = await self.now(known_for), datetime.now(UTC)
            if account is not None:
                found = fitting(known, caller, account, moment)
            else:
                found = [one for one in known if one.is_active(moment) and one.is_for(caller)]
            if found:
                break
        return found

    async def now(self, known_for: float = GRANTS_KNOWN_FOR) -> list[Grant]:
        """All of them, as they were at most `known_for` seconds ago. Raises Transient if the database cannot
        be reached.
        """
        if self._sessions is None:
            return []
        read_at, known = self._read
        if read_at and time.monotonic() - read_at < known_for:
            return known
        async with self._reading:
            if self._read[0] != read_at:
                return self._read[1]  # somebody else has just read them
            started = time.monotonic()
            try:
                known = await asyncio.to_thread(self._load, self._sessions)
            except SQLAlchemyError as error:
                raise Transient(
                    "The gateway's database cannot be reached", detail=type(error).__name__
                ) from None
            self._read = started, known
        return known

    @staticmethod
    def _load(sessions: sessionmaker[Session]) -> list[Grant]:
        with sessions() as session:
            return grants(session, ended_too=False)


class Decisions:
    """For one event loop."""

    def __init__(self, active: ActiveGrants, uses: UseCounter | None, refused: Counter) -> None:
        """`refused` counts by reason."""
        self.active = active
        self._uses, self._refused = uses, refused

    async def on_target(
        self, caller: AuthResult, method: str, target: str, only: str | None = None
    ) -> Decision:
        """For the raw target of a request, `/{provider}/{label}/…`. `only`: the one account that it may be
        for. Raises RefusedError, Transient.
        """
        if not caller.authenticated:
            raise self.not_known()
        try:
            route = route_of(target)
        except NotRoutableError as fault:
            self._refused.labels("address").inc()
            raise RefusedError(problems.problem(400, "address_refused", str(fault))) from None
        if only is not None and route.account != only:
            self._refused.labels("address").inc()
            text = "The address can be read in two ways, so it is refused"
            raise RefusedError(problems.problem(400, "address_refused", text))
        return await self.on_route(caller, method, route)

    async def on_route(self, caller: AuthResult, method: str, route: Route) -> Decision:
        """For a path of an account's API. A request that is let through counts as one use of its grant.
        Raises RefusedError, Transient.
        """
        if not caller.authenticated:
            raise self.not_known()
        if is_operator(caller):
            return Decision(caller, route, None)
        found = await self.active.of(caller, route.account)
        fits = [grant for grant in found if grant.covers(method, route.path, route.host)]
        spent = [one for one in fits if self._is_spent(one)]
        if not fits and caller is LOCAL:
            raise self.not_known()  # a tool such as git sends its key only after this
        if not fits or len(spent) == len(fits):
            raise self._not_granted(found, spent)
        grant = next(one for one in fits if one not in spent)
        if self._uses is not None:
            self._uses.count(grant.grant_id, allowed=True)
        return Decision(caller, route._replace(tenant=grant.account_tenant), grant)

    def not_known(self) -> RefusedError:
        """For whoever is not authenticated."""
        self._refused.labels("caller").inc()
        return RefusedError(problems.refusal())

    def _is_spent(self, grant: Grant) -> bool:
        return (
            grant.per_hour is not None
            and self._uses is not None
            and self._uses.in_this_hour(grant.grant_id) >= grant.per_hour
        )

    def _not_granted(self, found: list[Grant], spent: list[Grant]) -> RefusedError:
        self._refused.labels("grant").inc()
        if spent:
            left = 3600 - int(time.time()) % 3600
            return RefusedError(
                problems.problem(
                    429,
                    "grant_used_up",
                    "This key was used as often as it may be in an hour",
                    {"Retry-After": str(left)},
                )
            )
        # An account that the caller has no grant for is not told apart from one that does not exist.
        for grant in found:
            if self._uses is not None:
                self._uses.count(grant.grant_id, allowed=False)
        return RefusedError(
            problems.not_granted("This key may not do that. Ask whoever runs the gateway for access.")
        )
