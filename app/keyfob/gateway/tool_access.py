"""What a tool that `keyfob wire --through-gateway` set up may do: one key, and a grant for each account."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from keyfob.core.errors import NotFound
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import ApiKey
from keyfob.gateway.grant_store import create_grant, end_grant, grants
from keyfob.gateway.grants import Grant


@dataclass(frozen=True)
class Wanted:
    """A grant that a tool needs. `until` is in UTC."""

    account: str
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True)
class ToolAccess:
    """`key`: a new key, to be given to the tool; None if it keeps the one that it has."""

    key_id: str
    key: str | None
    grants: tuple[Grant, ...]
    changed: bool


def supply(
    session: Session, tool: str, key_id: str | None, wanted: Sequence[Wanted], *, adds: bool = False
) -> ToolAccess:
    """Makes what is missing and ends the grants of this key that are not wanted any more. The caller commits.

    `key_id`: the key that the tool has; a new one is made if it has none, or an ended one. `adds`: grants for
    other accounts stay.
    """
    now, key = datetime.now(UTC), None
    if key_id is None or not _is_active(session, key_id, now):
        if key_id is not None:
            withdraw(session, key_id)
        key_id, key = DatabaseAPIKeyAuth.create_key(session, tool, tool, subject_type="agent")
    before = active_grants(session, key_id, now)
    kept = []
    for one in dict.fromkeys(wanted):
        found = next((grant for grant in before if _is_same(grant, one)), None)
        kept.append(found or _create(session, tool, key_id, one))
    if adds:
        kept += [grant for grant in before if grant.account not in {one.account for one in wanted}]
    for grant in before:
        if grant not in kept:
            end_grant(session, grant.grant_id)
    return ToolAccess(key_id, key, tuple(kept), set(kept) != set(before))


def _create(session: Session, tool: str, key_id: str, wanted: Wanted) -> Grant:
    return create_grant(
        session,
        wanted.account,
        f"key:{key_id}",
        name=tool,
        methods=wanted.methods,
        paths=wanted.paths,
        until=wanted.until,
    )


def withdraw(session: Session, key_id: str) -> None:
    """Ends the key and its grants. Again does nothing. The caller commits."""
    for grant in _grants_of(session, key_id, datetime.now(UTC)):
        end_grant(session, grant.grant_id)
    with suppress(NotFound):
        DatabaseAPIKeyAuth.revoke_key(session, key_id)


def active_grants(session: Session, key_id: str, now: datetime) -> list[Grant]:
    """Those of this key; none if the key itself has ended."""
    return _grants_of(session, key_id, now) if _is_active(session, key_id, now) else []


def _grants_of(session: Session, key_id: str, now: datetime) -> list[Grant]:
    found = grants(session, ended_too=False)
    return [one for one in found if one.who == f"key:{key_id}" and one.is_active(now)]


def _is_active(session: Session, key_id: str, now: datetime) -> bool:
    row = session.get(ApiKey, key_id)
    return row is not None and row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def _is_same(grant: Grant, wanted: Wanted) -> bool:
    return (grant.account, grant.methods, grant.paths, grant.until) == (
        wanted.account,
        wanted.methods,
        wanted.paths,
        wanted.until,
    )
