"""The tables of keys, users and what happened (SQLAlchemy 2), and how a database is opened.

No column holds a key or a password: only an HMAC of a key, and an argon2 or bcrypt hash of a password.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Engine, Index, LargeBinary, String, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from keyfob.core.errors import Transient
from keyfob.gateway.auth.result import AuthSettingError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY = 10  # seconds that a writer of SQLite waits for another
MIGRATION_LOCK = 0x6B657966  # an advisory lock of PostgreSQL: one process at a time migrates


class Moment(TypeDecorator[datetime]):
    """A time in UTC. SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the gateway's sign-in."""


class ApiKey(Base):
    """A key, without the key."""

    __tablename__ = "gateway_api_keys"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str] = mapped_column(String(255))
    tenant_id: Mapped[str | None] = mapped_column(String(255), index=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    subject_type: Mapped[str] = mapped_column(String(16), default="user")
    subject_id: Mapped[str | None] = mapped_column(String(255))
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    replaced_by: Mapped[str | None] = mapped_column(String(64))


class User(Base):
    """A person who signs in with a password."""

    __tablename__ = "gateway_users"

    user_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    tenant_id: Mapped[str | None] = mapped_column(String(255), index=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Moment)
    password_changed_at: Mapped[datetime] = mapped_column(Moment)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment)


class GrantRow(Base):
    """What a caller may do with an account; see `gateway.grants`."""

    __tablename__ = "gateway_grants"

    grant_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account: Mapped[str] = mapped_column(String(512), index=True)
    who: Mapped[str] = mapped_column(String(300))
    name: Mapped[str] = mapped_column(String(255))
    methods: Mapped[list[str]] = mapped_column(JSON, default=list)
    paths: Mapped[list[str]] = mapped_column(JSON, default=list)
    until: Mapped[datetime | None] = mapped_column(Moment)
    per_hour: Mapped[int | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    tenant_id: Mapped[str | None] = mapped_column(String(255), index=True)
    account_tenant: Mapped[str | None] = mapped_column(String(255))


class GrantUse(Base):
    """How often a grant was used in an hour, and how often a request was outside of it."""

    __tablename__ = "gateway_grant_uses"

    grant_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    allowed: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime] = mapped_column(Moment)


class AuditEvent(Base):
    """One thing that happened. Uses and failures of one key are written together, with their `count`."""

    __tablename__ = "gateway_audit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(Moment)
    kind: Mapped[str] = mapped_column(String(32))
    key_id: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[str | None] = mapped_column(String(255))
    tenant_id: Mapped[str | None] = mapped_column(String(255))
    count: Mapped[int] = mapped_column(default=1)
    detail: Mapped[str | None] = mapped_column(String(255))
    done_by: Mapped[str | None] = mapped_column(
        String(300)
    )  # the administrator; None: a command on the server

    __table_args__ = (Index("ix_gateway_audit_at", "at"), Index("ix_gateway_audit_key_id", "key_id"))


def open_database(url: str, migrations: Path = MIGRATIONS) -> sessionmaker[Session]:
    """Opens a database and brings its tables up to date. Blocks. `migrations` is an Alembic environment: by
    default that of these tables.

    SQLite: `sqlite:////path/to/file.db`. PostgreSQL: `postgresql://user@host/name`, which uses psycopg 3.
    Raises AuthSettingError for an address that is not one, Transient if the database cannot be reached.
    """
    engine = _engine(url)
    try:
        _migrate(engine, migrations)
    except SQLAlchemyError as error:
        engine.dispose()
        raise Transient("The database cannot be used", detail=_plain(error)) from None
    return sessionmaker(engine, expire_on_commit=False)


def close_database(sessions: sessionmaker[Session]) -> None:
    """Closes the idle connections of what `open_database` returned. End your transactions first."""
    engine = sessions.kw["bind"]
    assert isinstance(engine, Engine)
    engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise AuthSettingError(
            "The database's address is not one such as postgresql://user@host/name"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        import psycopg

        address = parsed.set(drivername="postgresql+psycopg")
        return create_engine(address, module=psycopg, pool_pre_ping=True, hide_parameters=True)
    if kind == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": BUSY}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    raise AuthSettingError(f"{kind} is not a database that Keyfob uses. Use sqlite or postgresql")


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401  (a DBAPI connection)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _migrate(engine: Engine, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _plain(error: SQLAlchemyError) -> str:
    """What a report may show: the kind of error, as its text may have values in it."""
    return type(getattr(error, "orig", None) or error).__name__
