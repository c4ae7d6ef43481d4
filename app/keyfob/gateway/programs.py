"""Programs that have access: what the window and `keyfob grants` do with grants and their keys."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import Transient, Usage
from keyfob.core.secret import Secret
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.grant_store import create_grant, end_grant, grants, uses
from keyfob.gateway.grants import Grant, Uses, checked_methods, checked_paths
from keyfob.gateway.packages import own_file, own_url

NAME_MOST = 60  # characters of a program's name


@dataclass(frozen=True, slots=True)
class Access:
    """What a program shall get. `methods` and `paths` as `gateway.grants` checks them; none mean all."""

    name: str
    account: str  # provider/label
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    until: datetime | None = None
    per_hour: int | None = None
    tenant_id: str | None = None  # only callers of this tenant
    account_tenant: str | None = None  # whose account it is


@dataclass(frozen=True, slots=True)
class Given:
    """A new grant, and its key, which nobody can show again."""

    grant: Grant
    key: Secret


def give_access(session: Session, wanted: Access) -> Given:
    """Makes a key and a grant for it. The caller commits. Raises Usage for a value that does not fit."""
    name = wanted.name or wanted.account
    key_id, key = DatabaseAPIKeyAuth.create_key(
        session, name, name, wanted.tenant_id, expires_at=wanted.until, subject_type="agent"
    )
    return Given(give_access_to(session, wanted, f"key:{key_id}"), Secret(key))


def give_access_to(session: Session, wanted: Access, who: str) -> Grant:
    """Makes a grant for a caller that exists. The caller commits. Raises Usage for a value that does not
    fit.
    """
    return create_grant(
        session,
        wanted.account,
        who,
        name=wanted.name,
        methods=checked_methods(wanted.methods),
        paths=checked_paths(wanted.paths),
        until=wanted.until,
        per_hour=wanted.per_hour,
        tenant_id=wanted.tenant_id,
        account_tenant=wanted.account_tenant,
    )


class Programs:
    """Over the person's own database. Blocks; thread-safe. The file is made with the first access.

    Methods raise Transient if the database cannot be used.
    """

    def __init__(self, data: Path) -> None:
        """`data`: the home's data folder."""
        self._data = data
        self._lock = threading.Lock()
        self._sessions: sessionmaker[Session] | None = None

    def all(self, now: datetime) -> Sequence[tuple[Grant, Uses]]:
        """The newest first, those that have ended too."""
        if self._sessions is None and not own_file(self._data).exists():
            return ()
        with self._transaction() as session:
            used = uses(session, now)
            return [(one, used.get(one.grant_id, Uses())) for one in grants(session)]

    def give(self, wanted: Access, now: datetime) -> Given:
        """Raises Usage `program_taken` if another program with access has this name."""
        with self._transaction() as session:
            check_name(wanted.name, (one for one in grants(session, ended_too=False) if one.is_active(now)))
            return give_access(session, wanted)

    def end(self, grant_id: str) -> None:
        """Ends a grant, within a second. Raises NotFound."""
        with self._transaction() as session:
            end_grant(session, grant_id)

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            sessions, self._sessions = self._sessions, None
        if sessions is not None:
            close_database(sessions)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        try:
            with self._opened().begin() as session:
                yield session
        except SQLAlchemyError as error:
            detail = type(error).__name__
            raise Transient("The gateway’s database cannot be used now", detail=detail) from None

    def _opened(self) -> sessionmaker[Session]:
        with self._lock:
            if self._sessions is None:
                try:
                    self._sessions = open_database(own_url(self._data))
                except OSError as error:
                    raise Transient(f"The database cannot be opened: {error.strerror}") from None
            return self._sessions


def check_name(name: str, active: Iterable[Grant]) -> None:
    """Raises Usage for a name that is empty, too long or taken."""
    if not name:
        raise Usage("The program needs a name")
    if len(name) > NAME_MOST:
        raise Usage(f"The name has more than {NAME_MOST} characters")
    if any(one.name.casefold() == name.casefold() for one in active):
        raise Usage(f"{name} has access already", code="program_taken")
