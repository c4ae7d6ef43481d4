"""Carries out an administrator's operation: on this computer's database, or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob.cli.gateway_database import database
from keyfob.gateway.packages import check_packages

if TYPE_CHECKING:
    from keyfob.cli.server import RemoteServer
    from keyfob.cli.session import Session


def carry_out(session: Session, server: RemoteServer | None, operation: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401  (each operation checks its own)
    """The operation's answer. Values that are None are left out. Blocks. Raises a KeyfobError."""
    check_packages()
    from keyfob.gateway.admin.operation import Admin, Ask
    from keyfob.gateway.admin.operations import BY_NAME

    found = BY_NAME[operation]
    given = {name.rstrip("_"): value for name, value in values.items() if value is not None}
    if server is not None:
        return server.carry_out(found, given)
    with database() as transaction:
        ask = Ask(
            Admin(),
            given,
            transaction,
            lambda tenant: session.engine if tenant is None else None,
            session.now(),
        )
        return found.carry_out(ask)
