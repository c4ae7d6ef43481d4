"""The PostgreSQL database of a team's accounts: its connections, transactions and migrations.

Nothing is opened before the first call that needs it. Each transaction is on the server's disk when it ends.
A transaction that failed because of another one, or because its connection was lost before it could have had
an effect, is repeated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from keyfob.core.errors import Fault, SettingWrong

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x6B657961  # an advisory lock: one process at a time migrates
CONNECT_TIMEOUT = 5  # seconds
# A statement takes milliseconds: one that takes this long waits for another one's lock, or a busy machine.
STATEMENT_TIMEOUT = "10s"
UNANSWERED_MOST = 15_000  # ms that sent data may stay without an acknowledgement
TRIES = 5
# Another transaction won, and this one had no effect: serialization failure and deadlock.
_REPEATED = ("40001", "40P01")
_SETTINGS: tuple[tuple[str, str], ...] = (  # the server too notices when the network between them is gone
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "15s"),
    ("idle_session_timeout", "0"),  # a connection that holds locks is idle for as long as it holds them
    ("client_connection_check_interval", "5s"),
)


def address(url: str) -> URL:
    """The address of a PostgreSQL database. Raises SettingWrong."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        raise SettingWrong("The accounts' database needs an address such as postgresql://user@host/name")
    return parsed


def connect(url: str, *, autocommit: bool = True) -> psycopg.Connection:
    """A connection of its own. Raises psycopg.Error, SettingWrong."""
    conninfo = address(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(
        conninfo,
        autocommit=autocommit,
        connect_timeout=CONNECT_TIMEOUT,
        tcp_user_timeout=UNANSWERED_MOST,
        keepalives=1,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        prepare_threshold=None,  # prepared statements belong to a session, which a pooler may share
    )
    try:
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def set_up(connection: psycopg.Connection) -> None:
    """A connection's timeouts. Those that the server's version does not have are left out."""
    names = [name for name, _ in _SETTINGS]
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_settings WHERE name = ANY(%s)", (names,))
        known = {row[0] for row in cursor.fetchall()}
        for name, value in _SETTINGS:
            if name in known:
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    if not connection.autocommit:
        connection.commit()


def unreachable(error: Exception) -> Fault:
    """What a caller learns of a database error. The database's text may hold values, and is not shown."""
    return Fault(
        "The accounts' database cannot be reached", code="store_unreachable", detail=type(error).__name__
    )


class ServerDatabase:
    """One database. Thread-safe and blocking. The first call opens it and brings its tables up to date."""

    def __init__(self, url: str) -> None:
        """Raises SettingWrong for an address that is not PostgreSQL's."""
        self.url = url
        self._address = address(url)
        self._guard = threading.Lock()
        self._engine: Engine | None = None
        self._closed = False

    def close(self) -> None:
        """Close all idle connections. Later calls raise Fault."""
        with self._guard:
            engine, self._engine, self._closed = self._engine, None, True
        if engine is not None:
            engine.dispose()

    def ready(self) -> None:
        """Open the database, if no call has done so yet. Raises Fault `store_*`."""
        try:
            self._opened()
        except SQLAlchemyError as error:
            raise fault_of(error) from None

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction, which is on disk when this returns. What it raises undoes everything. It
        may be called more than once, so it has no other effect than on the database. Raises Fault `store_*`.
        """
        try:
            return self._try(work)
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise fault_of(error) from None

    def _try(self, work: Callable[[Connection], T]) -> T:
        tries = 0
        while True:
            tries += 1
            ended = False
            try:
                with self._opened().connect() as connection, connection.begin() as transaction:
                    result = work(connection)
                    ended = True  # a commit whose answer is lost may have had its effect
                    transaction.commit()
                    return result
            except DBAPIError as error:
                lost = error.connection_invalidated and not ended
                if tries >= TRIES or not (lost or _state(error) in _REPEATED):
                    raise

    def _opened(self) -> Engine:
        with self._guard:
            if self._closed:
                raise Fault("The account store is closed")
            if self._engine is None:
                engine = self._made()
                try:
                    migrate(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _made(self) -> Engine:
        return create_engine(
            self._address.set(drivername="postgresql+psycopg"),
            module=psycopg,
            creator=lambda: connect(self.url, autocommit=False),
            pool_size=5,
            max_overflow=15,
            pool_timeout=30,
            pool_pre_ping=True,
            hide_parameters=True,
        )


def migrate(engine: Engine) -> None:
    """Bring the tables up to date. Raises SQLAlchemyError, Fault `store_too_new`."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        found = connection.execute(
            text("SELECT to_regclass('keyfob_accounts_version') IS NOT NULL")
        ).scalar_one()
        if found:
            version = connection.execute(text("SELECT version_num FROM keyfob_accounts_version")).scalar()
            try:
                ScriptDirectory.from_config(config).get_revision(version or "base")
            except CommandError:
                raise Fault(
                    "The accounts' database was written by a newer Keyfob", code="store_too_new"
                ) from None
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def fault_of(error: SQLAlchemyError) -> Fault:
    """A database error as ours. Its text, which may hold values, is not in it."""
    state = _state(error)
    detail = state or type(getattr(error, "orig", None) or error).__name__
    if state == "25006":
        return Fault("The accounts' database is read-only", code="store_unwritable", detail=detail)
    if state.startswith("53") and state != "53300":
        return Fault("The accounts' database has no space left", code="store_unwritable", detail=detail)
    if state.startswith(("40", "55", "57014")):
        return Fault("The account store is busy", code="store_busy", detail=detail)
    if state and not state.startswith(("08", "53300", "57")):
        return Fault("The account store failed", detail=detail)
    return Fault("The accounts' database cannot be reached", code="store_unreachable", detail=detail)


def _state(error: SQLAlchemyError) -> str:
    """PostgreSQL's SQLSTATE, empty if there is none."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
