"""Sessions in the database: who is signed in in which browser, with the tokens, sealed.

A session's key is its random id together with its subject, so two browsers of one person have two rows,
and a renewal of one never touches the other. A write says which generation it replaces: of two servers
that both believe they hold the lock, one writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.account import Record
from keyfob.core.grant import Grant, seal, unseal
from keyfob.core.secret import Secret
from keyfob.gateway.web.bound import client_keys_in
from keyfob.gateway.web.outside import Codec
from keyfob.gateway.web.sealing import SealedError, Sealer
from keyfob.gateway.web.tables import FORMAT, SessionRow
from keyfob.service.contexts import ClientSecrets


@dataclass(frozen=True, slots=True)
class SessionKey:
    """Names one row. `id` is the hash of what the cookie holds."""

    id: str
    subject: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as the database has it. `record` and `grant` are None if they cannot be read any more."""

    key: SessionKey
    app: str
    format: int
    created_at: datetime
    used_at: datetime
    client_key: str | None
    ended_at: datetime | None
    ended_why: str | None
    record: Record | None = None
    client: ClientSecrets = field(default_factory=ClientSecrets, repr=False)
    grant: Grant | None = None
    sent_at: datetime | None = None  # a renewal's answer is not saved yet


class Sessions:
    """Blocking and thread-safe. Raises SQLAlchemyError; a write that fails is rolled back."""

    def __init__(self, sessions: sessionmaker[Session], sealer: Sealer, codec: Codec) -> None:
        self._sessions, self._sealer, self._codec = sessions, sealer, codec

    def add(
        self,
        key: SessionKey,
        app: str,
        record: Record,
        grant: Grant,
        client: ClientSecrets,
        now: datetime,
        due: datetime | None,
    ) -> None:
        """A new session. `due`: when it is to be renewed."""
        row = SessionRow(
            session_id=key.id,
            subject=key.subject,
            app=app,
            format=FORMAT,
            generation=grant.generation,
            created_at=now,
            used_at=now,
            due_at=due,
            client_key=client.key_id,
            profile=self._profile(key, record, client),
            tokens=self._sealed(key, grant),
        )
        with self._sessions.begin() as session:
            session.add(row)

    def find(self, session_id: str) -> Stored | None:
        """The session of this id (hashed)."""
        with self._sessions() as session:
            row = session.scalar(select(SessionRow).where(SessionRow.session_id == session_id))
        return None if row is None else self._read(row)

    def get(self, key: SessionKey) -> Stored | None:
        """The session as it is now."""
        found = self.find(key.id)
        return found if found is not None and found.key == key else None

    def save_grant(self, key: SessionKey, grant: Grant, replaces: int, due: datetime | None) -> bool:
        """Whether the grant was saved: the session lives, and its generation is still `replaces`."""
        changes = {
            "tokens": self._sealed(key, grant),
            "generation": grant.generation,
            "due_at": due,
            "sent_at": None,
        }
        statement = (
            update(SessionRow)
            .where(*_is(key), SessionRow.generation == replaces, SessionRow.ended_at.is_(None))
            .values(changes)
        )
        with self._sessions.begin() as session:
            return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]  # as above

    def sending(self, key: SessionKey, generation: int, at: datetime | None) -> bool:
        """Note that the refresh token of this generation is sent now, or that no answer is awaited any more;
        whether the session still has that generation.
        """
        same = (*_is(key), SessionRow.generation == generation, SessionRow.ended_at.is_(None))
        with self._sessions.begin() as session:
            done = session.execute(update(SessionRow).where(*same).values(sent_at=at))
            return bool(done.rowcount)  # type: ignore[attr-defined]  # as above

    def put_off(self, key: SessionKey, due: datetime | None) -> None:
        """Renew it then, and not now."""
        self._change(key, due_at=due)

    def touch(self, key: SessionKey, at: datetime, due: datetime | None) -> None:
        """Note that it was used."""
        self._change(key, used_at=at, due_at=due)

    def end(self, key: SessionKey, why: str, at: datetime, *, revoke: bool) -> bool:
        """Whether this ended it. Its tokens go, or stay until they are revoked."""
        changes: dict[str, object] = {"ended_at": at, "ended_why": why, "due_at": None}
        if not revoke:
            changes["tokens"] = None
        statement = update(SessionRow).where(*_is(key), SessionRow.ended_at.is_(None)).values(changes)
        with self._sessions.begin() as session:
            return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]  # as above

    def revoked(self, key: SessionKey) -> None:
        """Forget the tokens of a session that has ended."""
        self._change(key, tokens=None)

    def forget(self, key: SessionKey) -> None:
        """Delete it."""
        with self._sessions.begin() as session:
            session.execute(delete(SessionRow).where(*_is(key)))

    def due(self, now: datetime, most: int) -> list[Stored]:
        """Living sessions that are to be renewed, the longest due first."""
        live = (SessionRow.ended_at.is_(None), SessionRow.due_at <= now)
        return self._some(live, SessionRow.due_at, most)

    def unused(self, before: datetime, most: int) -> list[Stored]:
        """Living sessions that were last used before."""
        return self._some(
            (SessionRow.ended_at.is_(None), SessionRow.used_at < before), SessionRow.used_at, most
        )

    def to_revoke(self, now: datetime, most: int) -> list[Stored]:
        """Sessions that have ended and whose tokens have not."""
        asked = or_(SessionRow.due_at.is_(None), SessionRow.due_at <= now)
        left = (SessionRow.ended_at.is_not(None), SessionRow.tokens.is_not(None), asked)
        return self._some(left, SessionRow.ended_at, most)

    def of_subject(self, subject: str) -> list[Stored]:
        """The living sessions of one person."""
        own = (SessionRow.subject == subject, SessionRow.ended_at.is_(None))
        return self._some(own, SessionRow.created_at, 10_000)

    def reseal(self, most: int) -> int:
        """Seal again what an older key sealed, so that the key can go; returns how many sessions."""
        mark, length = self._sealer.mark, len(self._sealer.mark)
        old = or_(
            func.substr(SessionRow.profile, 1, length) != mark,
            func.substr(SessionRow.tokens, 1, length) != mark,
        )
        count = 0
        for found in self._some((SessionRow.format == FORMAT, old), SessionRow.used_at, most):
            if found.record is None:
                continue
            changes = {"profile": self._profile(found.key, found.record, found.client)}
            same: ColumnElement[bool] = SessionRow.tokens.is_(None)
            if found.grant is not None:
                changes["tokens"] = self._sealed(found.key, found.grant)
                same = SessionRow.generation == found.grant.generation
            with self._sessions.begin() as session:
                session.execute(update(SessionRow).where(*_is(found.key), same).values(changes))
            count += 1
        return count

    def sweep(self, before: datetime) -> None:
        """Delete what ended before."""
        with self._sessions.begin() as session:
            session.execute(delete(SessionRow).where(SessionRow.ended_at < before))

    def client_keys(self) -> dict[str, int]:
        """How many living sessions are bound to each of the client's keys."""
        with self._sessions() as session:
            return client_keys_in(session)

    def _some(self, which: Iterable[ColumnElement[bool]], order: object, most: int) -> list[Stored]:
        statement = select(SessionRow).where(*which).order_by(order).limit(most)  # type: ignore[arg-type]
        with self._sessions() as session:
            return [self._read(row) for row in session.scalars(statement)]

    def _change(self, key: SessionKey, **values: object) -> None:
        with self._sessions.begin() as session:
            session.execute(update(SessionRow).where(*_is(key)).values(values))

    def _profile(self, key: SessionKey, record: Record, client: ClientSecrets) -> bytes:
        text = json.dumps({"record": self._codec.dumps(record), "client": client.sealed().reveal()})
        return self._sealer.seal(text.encode(), *_place(key, "profile"))

    def _sealed(self, key: SessionKey, grant: Grant) -> bytes:
        return self._sealer.seal(seal(grant).reveal().encode(), *_place(key, "tokens", grant.generation))

    def _read(self, row: SessionRow) -> Stored:
        key = SessionKey(row.session_id, row.subject)
        record, client, grant = None, ClientSecrets(), None
        if row.format == FORMAT:
            try:
                profile = json.loads(self._sealer.open(row.profile, *_place(key, "profile")))
                record = self._codec.load(profile["record"])
                client = ClientSecrets.unsealed(Secret(profile["client"]))
                if row.tokens is not None:
                    opened = self._sealer.open(row.tokens, *_place(key, "tokens", row.generation))
                    grant = unseal(Secret(opened.decode()))
            except (SealedError, ValueError, KeyError):
                record = grant = None
        return Stored(
            key, row.app, row.format, row.created_at, row.used_at, row.client_key, row.ended_at,
            row.ended_why, record, client, grant, row.sent_at,
        )  # fmt: skip


def _is(key: SessionKey) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SessionRow.session_id == key.id, SessionRow.subject == key.subject


def _place(key: SessionKey, column: str, generation: int = 0) -> tuple[str, ...]:
    return "web_sessions", column, key.id, key.subject, str(generation)
