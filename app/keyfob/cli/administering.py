"""Carries out an administrator's operation: on this computer's database, or on a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keyfob.cli.gateway_database import database
from keyfob.gateway.packages import check_packages
from keyfob.process.team_accounts import TENANT, team_database

if TYPE_CHECKING:
    from keyfob.cli.server import RemoteServer
    from keyfob.cli.session import Session
    from keyfob.engine import Engine
    from keyfob.gateway.admin.operation import EngineOf
    from keyfob.gateway.engines import Engines


def carry_out(session: Session, server: RemoteServer | None, operation: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401  (each operation checks its own)
    """The operation's answer. Values that are None are left out. Blocks. Raises a KeyfobError."""
    check_packages()
    from keyfob.gateway.admin.operation import Admin, Ask
    from keyfob.gateway.admin.operations import BY_NAME

    found = BY_NAME[operation]
    given = {name.rstrip("_"): value for name, value in values.items() if value is not None}
    if server is not None:
        return server.carry_out(found, given)
    with _engines(session) as engine_of, database() as transaction:
        return found.carry_out(Ask(Admin(), given, transaction, engine_of, session.now()))


def tenant_here() -> str | None:
    """Whose accounts this command sees: KEYFOB_TENANT, else the server's own."""
    return os.environ.get(TENANT) or None if team_database(os.environ) is not None else None


@contextmanager
def _engines(session: Session) -> Iterator[EngineOf]:
    """Those of this database. None is built before it is asked for."""
    made: list[Engines] = []

    def of(tenant: str | None) -> Engine | None:
        if tenant == tenant_here():
            return session.engine
        if tenant_here() is not None:
            return None  # the session's engine is that tenant's
        if not made:
            from keyfob.gateway.engines import Engines

            made.append(Engines(session.engine))
        return made[0].of(tenant)

    try:
        yield of
    finally:
        for engines in made:
            engines.close()
