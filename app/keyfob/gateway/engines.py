"""The engines of a server: its own accounts', and those of each tenant with accounts in the same PostgreSQL.

Each gateway of a team renews what is due. The account's lock lets one of them do it, and the others take its
result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from keyfob.core.errors import KeyfobError, NotFound
from keyfob.core.renewal import LOOK_AGAIN
from keyfob.engine import Engine, build, server_ports
from keyfob.service.accounts.signer import Signer

log = logging.getLogger("keyfob.gateway")
SignerOf = Callable[[str | None], Signer]  # of a tenant; None: the server's own. Raises NotFound


def only(signer: Signer) -> SignerOf:
    """For a server with its own accounts alone."""

    def of(tenant: str | None) -> Signer:
        if tenant is not None:
            raise NotFound("This server has no accounts of tenants")
        return signer

    return of


class Engines:
    """Thread-safe."""

    def __init__(self, own: Engine) -> None:
        """`own`: the server's own accounts. It is the caller's to close, after `close`."""
        self._own = own
        self._made: dict[str, Engine] = {}
        self._guard = threading.Lock()
        self._stop, self._look = threading.Event(), threading.Event()

    def of(self, tenant: str | None) -> Engine | None:
        """The engine with the tenant's accounts; None if this server keeps none of tenants."""
        if tenant is None:
            return self._own
        if self._own.team is None:
            return None
        with self._guard:
            found = self._made.get(tenant)
            if found is None:
                found = build(server_ports(self._own.team, tenant, self._own.home, closes=False))
                self._made[tenant] = found
            return found

    def signer(self, tenant: str | None) -> Signer:
        """As `SignerOf`."""
        found = self.of(tenant)
        if found is None:
            raise NotFound("This server has no accounts of tenants")
        return found.signer

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Accounts in PostgreSQL are renewed ahead inside. The agent does that for this computer's own."""
        if self._own.team is None:
            yield
            return
        thread = threading.Thread(target=self._renew, name="renewer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._look.set()
            thread.join()

    def close(self) -> None:
        """Close the tenants' engines. A renewal that has begun is waited for."""
        for engine in self._made.values():
            engine.close()

    def _renew(self) -> None:
        while not self._stop.is_set():
            self._look.clear()
            wait = LOOK_AGAIN
            for engine in self._all():
                engine.renewer.sooner = self._look.set
                try:
                    wait = min(wait, engine.renewer.tick())
                except KeyfobError as error:
                    log.warning("Accounts cannot be renewed ahead now: %s", error.code)
            self._look.wait(max(wait, timedelta(0)).total_seconds())

    def _all(self) -> list[Engine]:
        """All engines with accounts, those of tenants too whom no caller has asked for yet."""
        assert self._own.team is not None
        try:
            tenants = self._own.team.tenants()
        except KeyfobError as error:
            log.warning("The tenants' accounts cannot be listed now: %s", error.code)
            tenants = []
        found = [self.of(tenant) for tenant in {None, *tenants, *self._made}]
        return [engine for engine in found if engine is not None]
