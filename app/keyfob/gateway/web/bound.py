"""How many sessions need each of the server's client keys, for the command line."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from keyfob.core.errors import Usage
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.web.tables import MIGRATIONS, SessionRow


def client_keys_in(session: Session) -> dict[str, int]:
    """By `kid`. Raises SQLAlchemyError."""
    statement = (
        select(SessionRow.client_key, func.count())
        .where(SessionRow.ended_at.is_(None), SessionRow.client_key.is_not(None))
        .group_by(SessionRow.client_key)
    )
    return {key: count for key, count in session.execute(statement) if key is not None}


def bound_sessions(database_url: str) -> dict[str, int]:
    """By `kid`. Blocks. Raises SettingWrong, Transient."""
    sessions = open_database(database_url, MIGRATIONS)
    try:
        with sessions() as session:
            return client_keys_in(session)
    finally:
        close_database(sessions)


def refuse_needed(kid: str, bound: Mapping[str, int]) -> None:
    """Raises Usage if sessions need the key."""
    count = bound.get(kid, 0)
    if count:
        raise Usage(
            f"{count} session{'s' if count > 1 else ''} began with this key and would end",
            remedy="Keep it until they have ended, or add --force.",
        )
