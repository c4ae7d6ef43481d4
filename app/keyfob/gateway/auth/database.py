"""Keys in a database: SQLite by default, PostgreSQL for several machines.

Use `open_database(url)` for the sessions, or a `sessionmaker` of your own program's.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import NotFound, Transient
from keyfob.gateway.auth.key_format import SALT_BYTES, digest_of, identifier_of, new_key, same
from keyfob.gateway.auth.key_rows import KeyRow, KeyRows
from keyfob.gateway.auth.result import (
    REFUSED,
    SUBJECT_TYPES,
    AuthProvider,
    AuthResult,
    AuthSettingError,
    SubjectType,
)
from keyfob.gateway.auth.tables import ApiKey
from keyfob.gateway.auth.trail import record
from keyfob.gateway.auth.uses import Uses

_log = logging.getLogger("keyfob.gateway.auth")
# Seconds that a right key is taken from memory: a revocation is in force everywhere within one second.
KNOWN_FOR = 0.8
KNOWN_MOST = 10_000
OVERLAP = timedelta(days=1)
_DUMMY = b"\0" * SALT_BYTES


class DatabaseAPIKeyAuth(AuthProvider):
    """Lets in whoever sends a key that is in the table, not revoked and not expired."""

    def __init__(
        self,
        session_factory: sessionmaker[Session] | None,
        *,
        owned: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """`owned`: `close` closes the database's connections too. Raises AuthSettingError without
        `session_factory`.
        """
        if session_factory is None:
            raise AuthSettingError("session_factory is required for database authentication")
        self._sessions = session_factory
        self._clock = clock or (lambda: datetime.now(UTC))
        self._uses = Uses(session_factory, owned=owned)
        self._known: dict[bytes, tuple[float, AuthResult]] = {}
        self._rows = KeyRows(session_factory)

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._from_memory(mark)
        if found is None:
            found = await self._from_database(token, mark)
        if found.key_id is not None:
            self._uses.used(found.key_id, found.user_id, found.tenant_id)
        return found

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._from_memory(mark) or await self._from_database(token, mark)
        return found.authenticated

    def close(self) -> None:
        """As `AuthProvider` says."""
        self._uses.close()

    def _from_memory(self, mark: bytes) -> AuthResult | None:
        kept = self._known.get(mark)
        if kept is None or time.monotonic() >= kept[0]:
            return None
        found = kept[1]
        return None if found.expires_at is not None and found.expires_at <= self._clock() else found

    async def _from_database(self, token: str, mark: bytes) -> AuthResult:
        key_id = identifier_of(token)
        if key_id is None:
            self._refuse("not_a_key", None)
            return REFUSED
        started = time.monotonic()  # the answer is as old as the question
        try:
            row = await self._rows.row(key_id)
        except SQLAlchemyError as error:
            raise Transient("The keys' database cannot be reached", detail=type(error).__name__) from None
        found = self._judged(key_id, token, row)
        if found.authenticated:
            if len(self._known) >= KNOWN_MOST:
                self._known.clear()
            self._known[mark] = started + KNOWN_FOR, found
        return found

    def _judged(self, key_id: str, token: str, row: KeyRow | None) -> AuthResult:
        # An unknown key costs the same work as a wrong one.
        right = same(digest_of(token, row.salt if row else _DUMMY), row.digest if row else _DUMMY * 2)
        if row is None or not right:
            self._refuse("unknown_key" if row is None else "wrong_key", key_id if row else None, row)
            return REFUSED
        if row.revoked_at is not None:
            self._refuse("revoked", key_id, row)
            return REFUSED
        if row.expires_at is not None and row.expires_at <= self._clock():
            self._refuse("expired", key_id, row)
            return REFUSED
        return AuthResult(
            authenticated=True,
            user_id=row.user_id,
            tenant_id=row.tenant_id,
            is_admin=row.is_admin,
            metadata=row.details,
            subject_type=row.subject_type,
            subject_id=row.subject_id or row.user_id,
            scopes=tuple(row.scopes),
            expires_at=row.expires_at,
            key_id=key_id,
        )

    def _refuse(self, reason: str, key_id: str | None, row: KeyRow | None = None) -> None:
        _log.info("Refused %s: %s", key_id or "a caller", reason)
        tenant = row.tenant_id if row else None
        self._uses.refused(reason, key_id=key_id, user_id=row.user_id if row else None, tenant_id=tenant)

    # --- what an administrator does -----------------------------------------------------------------------

    @staticmethod
    def create_key(
        session: Session,
        user_id: str,
        name: str,
        tenant_id: str | None = None,
        is_admin: bool = False,
        expires_at: datetime | None = None,
        *,
        subject_type: SubjectType = "user",
        subject_id: str | None = None,
        scopes: tuple[str, ...] = (),
        metadata: dict[str, Any] | None = None,
    ) -> tuple[str, str]:
        """Makes a key; returns its id and the key itself, which nobody can show again. The caller commits.

        `expires_at` must have a time zone. Raises AuthSettingError for a value that does not fit.
        """
        for field, value in {"user_id": user_id, "name": name, "tenant_id": tenant_id}.items():
            if value is not None and not 1 <= len(value) <= 255:
                raise AuthSettingError(f"{field} needs 1 to 255 characters")
        if expires_at is not None and expires_at.tzinfo is None:
            raise AuthSettingError("expires_at has no time zone")
        if subject_type not in SUBJECT_TYPES:
            raise AuthSettingError(f"subject_type is not one of {', '.join(SUBJECT_TYPES)}")
        made = new_key()
        row = ApiKey(
            key_id=made.key_id,
            salt=made.salt,
            digest=made.digest,
            user_id=user_id,
            name=name,
            tenant_id=tenant_id,
            is_admin=is_admin,
            subject_type=subject_type,
            subject_id=subject_id,
            scopes=list(scopes),
            details=metadata,
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        session.add(row)
        _record(session, "created", row)
        session.flush()
        return made.key_id, made.raw

    @staticmethod
    def revoke_key(session: Session, key_id: str, *, tenant_id: str | None = None) -> None:
        """Ends a key, everywhere within a second of the commit, which is the caller's. Again does nothing.

        With `tenant_id`, keys of other tenants do not exist. Raises NotFound.
        """
        row = _row(session, key_id, tenant_id)
        if row.revoked_at is None:
            row.revoked_at = datetime.now(UTC)
            _record(session, "revoked", row)
            session.flush()

    @staticmethod
    def rotate_key(
        session: Session, key_id: str, *, overlap: timedelta = OVERLAP, tenant_id: str | None = None
    ) -> tuple[str, str]:
        """Makes a key with the same rights, and lets the old one end after `overlap`. Returns the new id
        and key.

        The caller commits. Raises NotFound, also for a key that is revoked or has expired.
        """
        row, now = _row(session, key_id, tenant_id), datetime.now(UTC)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            raise NotFound(f"The key {key_id} has ended", code="caller_not_found")
        lifetime = row.expires_at - row.created_at if row.expires_at is not None else None
        made = DatabaseAPIKeyAuth.create_key(
            session,
            row.user_id,
            row.name,
            row.tenant_id,
            row.is_admin,
            now + lifetime if lifetime is not None else None,
            subject_type=_subject_type(row.subject_type),
            subject_id=row.subject_id,
            scopes=tuple(row.scopes),
            metadata=row.details,
        )
        ends = now + overlap
        row.expires_at = ends if row.expires_at is None else min(ends, row.expires_at)
        row.replaced_by = made[0]
        _record(session, "rotated", row)
        session.flush()
        return made


def _subject_type(word: str) -> SubjectType:
    return next(kind for kind in SUBJECT_TYPES if kind == word)


def _row(session: Session, key_id: str, tenant_id: str | None) -> ApiKey:
    row = session.get(ApiKey, key_id)
    if row is None or (tenant_id is not None and row.tenant_id != tenant_id):
        raise NotFound("There is no such key", code="caller_not_found")
    return row


def _record(session: Session, kind: str, row: ApiKey) -> None:
    record(session, kind, key_id=row.key_id, user_id=row.user_id, tenant_id=row.tenant_id)
