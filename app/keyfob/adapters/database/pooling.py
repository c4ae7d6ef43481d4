"""Finds a pooler that shares a session between clients, such as PgBouncer in transaction mode.

A lock belongs to a session. If the next statement runs in another one, the lock is not there.
"""

from __future__ import annotations

from contextlib import closing

import psycopg

from keyfob.adapters.database.database import connect
from keyfob.core.errors import SettingWrong


def refuse_pooled_by_transaction(connection: psycopg.Connection, url: str) -> None:
    """Raises SettingWrong if statements of this connection may run in another session. Raises psycopg.Error.

    A direct connection answers with the process that it was told at its start. Behind a pooler the two
    differ. Then a transaction on a second connection takes the session that this one left, if it may.
    """
    if _session(connection) == connection.info.backend_pid:
        return
    before = _session(connection)
    with closing(connect(url)) as other, other.transaction():
        _session(other)
        after = _session(connection)
    if before != after:
        raise SettingWrong(
            "A connection pooler gives each transaction of the accounts' database another session, so a lock "
            "would not hold",
            code="database_pooled",
        )


def _session(connection: psycopg.Connection) -> int:
    """The process that serves the connection now."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
