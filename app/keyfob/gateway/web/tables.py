"""The tables of web sign-in: sign-ins that have begun, and sessions.

No column holds a state, a session id, a token or a key in the clear. Ids are SHA-256 of random values
that only the browser has, and the rest is sealed (`sealing`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from keyfob.gateway.auth.tables import Moment

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = "web_version"  # Alembic's table of these migrations
FORMAT = 1  # of a session's sealed columns


class Base(DeclarativeBase):
    """The tables of web sign-in."""


class StateRow(Base):
    """A sign-in whose browser is away at the provider."""

    __tablename__ = "web_states"

    state_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Moment, index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ClientRow(Base):
    """A client that a server issued by registration. `client_key` is the hash of what it is for."""

    __tablename__ = "web_clients"

    client_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class SessionRow(Base):
    """Who is signed in in one browser. `ended_why` stays for a while, so that the browser learns it once.
    `sent_at` is when the refresh token was sent, until the answer is saved.
    """

    __tablename__ = "web_sessions"

    session_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject: Mapped[str] = mapped_column(String(512), primary_key=True)
    app: Mapped[str] = mapped_column(String(64), index=True)
    format: Mapped[int] = mapped_column(default=FORMAT)
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime] = mapped_column(Moment, index=True)
    due_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    client_key: Mapped[str | None] = mapped_column(String(128), index=True)
    profile: Mapped[bytes] = mapped_column(LargeBinary)
    tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    ended_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    ended_why: Mapped[str | None] = mapped_column(String(32))
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
