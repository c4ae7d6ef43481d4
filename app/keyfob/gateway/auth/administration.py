"""What an administrator sees and changes: keys, users, and what happened.

Every function works in the caller's session, and the caller commits. With `tenant_id`, the rows of other
tenants do not exist.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from keyfob.core.errors import NotFound, Usage
from keyfob.core.times import to_rfc3339
from keyfob.gateway.auth.passwords import hash_password
from keyfob.gateway.auth.tables import ApiKey, AuditEvent, User
from keyfob.gateway.auth.trail import record

OLD: Final = timedelta(days=90)  # a key of this age should be replaced; one unused for so long, revoked
KeyState = Literal["active", "revoked", "expired"]
KINDS: Final = (
    "created", "rotated", "revoked", "used", "refused", "user_added", "password_changed", "user_disabled",
    "grant_created", "grant_ended", "account_added", "account_disconnected",
)  # fmt: skip


def state_of(row: ApiKey, now: datetime) -> KeyState:
    """Whether the key lets its user in."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "active"


def remarks_on(row: ApiKey, now: datetime) -> list[str]:
    """What an administrator should look at: `old`, `unused`. Only for keys that are active."""
    if state_of(row, now) != "active":
        return []
    remarks = ["old"] if now - row.created_at >= OLD else []
    used = row.last_used_at or row.created_at
    return [*remarks, "unused"] if now - used >= OLD else remarks


def key_json(row: ApiKey, now: datetime) -> dict[str, Any]:
    """A key for people and programs, without the key."""
    return {
        "key_id": row.key_id,
        "user_id": row.user_id,
        "name": row.name,
        "tenant_id": row.tenant_id,
        "is_admin": row.is_admin,
        "subject_type": row.subject_type,
        "subject_id": row.subject_id,
        "scopes": list(row.scopes),
        "state": state_of(row, now),
        "remarks": remarks_on(row, now),
        "created_at": to_rfc3339(row.created_at),
        "expires_at": to_rfc3339(row.expires_at),
        "revoked_at": to_rfc3339(row.revoked_at),
        "last_used_at": to_rfc3339(row.last_used_at),
        "replaced_by": row.replaced_by,
    }


def keys(session: Session, *, user_id: str | None = None, tenant_id: str | None = None) -> list[ApiKey]:
    """The newest first."""
    wanted = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.key_id)
    if user_id is not None:
        wanted = wanted.where(ApiKey.user_id == user_id)
    if tenant_id is not None:
        wanted = wanted.where(ApiKey.tenant_id == tenant_id)
    return list(session.scalars(wanted))


def key(session: Session, key_id: str, *, tenant_id: str | None = None) -> ApiKey:
    """One key. Raises NotFound."""
    row = session.get(ApiKey, key_id)
    if row is None or (tenant_id is not None and row.tenant_id != tenant_id):
        raise NotFound(f"There is no key {key_id}", code="caller_not_found")
    return row


def add_user(
    session: Session, user_id: str, password: str, *, tenant_id: str | None = None, is_admin: bool = False
) -> User:
    """A person who signs in with a password. A name with a slash begins with its user's tenant, so that no
    tenant meets a name of another. Raises Usage if the name does not fit or is taken, AuthSettingError for a
    password that is too short.
    """
    if not 1 <= len(user_id) <= 255:
        raise Usage("A user's name needs 1 to 255 characters")
    tenant, slash, _ = user_id.rpartition("/")
    if slash and tenant != tenant_id:
        raise Usage(f"{user_id} is a name for a user of the tenant {tenant}")
    if session.get(User, user_id) is not None:
        raise Usage(f"There is already a user {user_id}", remedy=f"Run: keyfob users passwd {user_id}")
    now = datetime.now(UTC)
    row = User(
        user_id=user_id,
        password_hash=hash_password(password),
        tenant_id=tenant_id,
        is_admin=is_admin,
        created_at=now,
        password_changed_at=now,
    )
    session.add(row)
    _record(session, "user_added", row)
    return row


def set_password(session: Session, user_id: str, password: str, *, tenant_id: str | None = None) -> None:
    """A new password, which ends the tokens of the old one and lets a disabled user in again."""
    row = user(session, user_id, tenant_id=tenant_id)
    row.password_hash = hash_password(password)
    row.password_changed_at = datetime.now(UTC)
    row.disabled_at = None
    _record(session, "password_changed", row)


def disable_user(session: Session, user_id: str, *, tenant_id: str | None = None) -> None:
    """Ends the user's tokens within a second of the commit. Their keys are not touched."""
    row = user(session, user_id, tenant_id=tenant_id)
    if row.disabled_at is None:
        row.disabled_at = datetime.now(UTC)
        _record(session, "user_disabled", row)


def user(session: Session, user_id: str, *, tenant_id: str | None = None) -> User:
    """One user. Raises NotFound."""
    row = session.get(User, user_id)
    if row is None or (tenant_id is not None and row.tenant_id != tenant_id):
        raise NotFound(f"There is no user {user_id}", code="caller_not_found")
    return row


def users(session: Session, *, tenant_id: str | None = None) -> list[User]:
    """By name."""
    wanted = select(User).order_by(User.user_id)
    return list(session.scalars(wanted if tenant_id is None else wanted.where(User.tenant_id == tenant_id)))


def user_json(row: User) -> dict[str, Any]:
    """A user for people and programs, without the password's hash."""
    return {
        "user_id": row.user_id,
        "tenant_id": row.tenant_id,
        "is_admin": row.is_admin,
        "state": "active" if row.disabled_at is None else "disabled",
        "created_at": to_rfc3339(row.created_at),
        "password_changed_at": to_rfc3339(row.password_changed_at),
        "disabled_at": to_rfc3339(row.disabled_at),
    }


def audit(
    session: Session,
    *,
    key_id: str | None = None,
    user_id: str | None = None,
    tenant_id: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[AuditEvent]:
    """What happened, the newest first."""
    wanted = select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
    for column, value in (
        (AuditEvent.key_id, key_id),
        (AuditEvent.user_id, user_id),
        (AuditEvent.tenant_id, tenant_id),
        (AuditEvent.kind, kind),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if since is not None:
        wanted = wanted.where(AuditEvent.at >= since)
    return list(session.scalars(wanted))


def refusals(session: Session, since: datetime) -> int:
    """How many requests and passwords were refused since then, as far as that is written."""
    wanted = select(func.sum(AuditEvent.count)).where(AuditEvent.kind == "refused", AuditEvent.at >= since)
    return session.scalar(wanted) or 0


def event_json(row: AuditEvent) -> dict[str, Any]:
    """One event for people and programs."""
    return {
        "at": to_rfc3339(row.at),
        "kind": row.kind,
        "key_id": row.key_id,
        "user_id": row.user_id,
        "tenant_id": row.tenant_id,
        "count": row.count,
        "detail": row.detail,
        "by": row.done_by,
    }


def _record(session: Session, kind: str, row: User) -> None:
    record(session, kind, user_id=row.user_id, tenant_id=row.tenant_id)
