"""Grants in the gateway's database."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import NotFound, Usage
from keyfob.core.times import to_rfc3339
from keyfob.gateway.auth.tables import GrantRow, GrantUse
from keyfob.gateway.auth.trail import record
from keyfob.gateway.grants import HOURS, Grant, Uses

ID_BYTES = 6


def create_grant(
    session: Session,
    account: str,
    who: str,
    *,
    name: str = "",
    methods: Iterable[str] = (),
    paths: Iterable[str] = (),
    until: datetime | None = None,
    per_hour: int | None = None,
    tenant_id: str | None = None,
    account_tenant: str | None = None,
) -> Grant:
    """Keeps a grant of values that `gateway.grants` has checked. The caller commits.

    `account_tenant`: whose account it is; None for the server's own. Raises Usage if the grant is for
    another tenant than the account's.
    """
    if account_tenant is not None and tenant_id not in (None, account_tenant):
        raise Usage(f"An account of {account_tenant} can be used by callers of {account_tenant} alone")
    tenant_id = tenant_id if account_tenant is None else account_tenant
    kind, _, whose = who.partition(":")
    if kind == "tenant" and tenant_id is not None and whose != tenant_id:
        raise Usage(f"A grant of the tenant {tenant_id} is for its callers alone")
    row = GrantRow(
        grant_id=secrets.token_hex(ID_BYTES),
        account=account,
        who=who,
        name=name or who.partition(":")[2] or who,
        methods=list(methods),
        paths=list(paths),
        until=until,
        per_hour=per_hour,
        created_at=datetime.now(UTC),
        tenant_id=tenant_id,
        account_tenant=account_tenant,
    )
    session.add(row)
    _record(session, "grant_created", row)
    session.flush()
    return grant_of(row)


def end_grant(session: Session, grant_id: str, *, tenant_id: str | None = None) -> None:
    """Ends a grant, everywhere within a second of the commit, which is the caller's. Raises NotFound."""
    row = _row(session, grant_id, tenant_id)
    if row.ended_at is None:
        row.ended_at = datetime.now(UTC)
        _record(session, "grant_ended", row)
        session.flush()


def grant(session: Session, grant_id: str, *, tenant_id: str | None = None) -> Grant:
    """One grant. With `tenant_id`, those of other tenants do not exist. Raises NotFound."""
    return grant_of(_row(session, grant_id, tenant_id))


def grants(
    session: Session,
    *,
    account: str | None = None,
    tenant_id: str | None = None,
    ended_too: bool = True,
) -> list[Grant]:
    """The newest first."""
    wanted = select(GrantRow).order_by(GrantRow.created_at.desc(), GrantRow.grant_id)
    if account is not None:
        wanted = wanted.where(GrantRow.account == account)
    if tenant_id is not None:
        wanted = wanted.where(GrantRow.tenant_id == tenant_id)
    if not ended_too:
        wanted = wanted.where(GrantRow.ended_at.is_(None))
    return [grant_of(row) for row in session.scalars(wanted)]


def grant_of(row: GrantRow) -> Grant:
    """The row's value."""
    return Grant(
        row.grant_id,
        row.account,
        row.who,
        row.name,
        tuple(row.methods),
        tuple(row.paths),
        row.until,
        row.per_hour,
        row.created_at,
        row.ended_at,
        row.tenant_id,
        row.account_tenant,
    )


def uses(session: Session, now: datetime) -> dict[str, Uses]:
    """By grant."""
    last = select(GrantUse.grant_id, func.max(GrantUse.last_at)).group_by(GrantUse.grant_id)
    lasts: dict[str, datetime] = {row[0]: row[1] for row in session.execute(last)}
    first = _hour_of(now) - timedelta(hours=HOURS - 1)
    allowed = {grant_id: [0] * HOURS for grant_id in lasts}
    refused = {grant_id: [0] * HOURS for grant_id in lasts}
    for row in session.scalars(select(GrantUse).where(GrantUse.hour >= first)):
        number = int((row.hour - first) / timedelta(hours=1))
        if number < HOURS:  # the clock may have been put back
            allowed[row.grant_id][number] += row.allowed
            refused[row.grant_id][number] += row.refused
    return {one: Uses(at, tuple(allowed[one]), tuple(refused[one])) for one, at in lasts.items()}


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def grant_json(grant: Grant, used: Uses, now: datetime) -> dict[str, Any]:
    """For people and programs."""
    ended = grant.ended_at or (grant.until if grant.until is not None and grant.until <= now else None)
    return {
        "grant_id": grant.grant_id,
        "account": grant.account,
        "for": grant.who,
        "name": grant.name,
        "methods": list(grant.methods),
        "paths": list(grant.paths),
        "until": to_rfc3339(grant.until),
        "per_hour": grant.per_hour,
        "tenant_id": grant.tenant_id,
        "account_tenant": grant.account_tenant,
        "state": "ended" if ended is not None else "active",
        "created_at": to_rfc3339(grant.created_at),
        "ended_at": to_rfc3339(ended),
        "last_used_at": to_rfc3339(used.last_at),
        "allowed_24h": used.allowed,
        "refused_24h": used.refused,
    }


class UseCounter:
    """Counts uses in memory. Thread-safe. `write` puts them into the database."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, datetime], list[int]] = {}
        self._this_hour: dict[str, tuple[datetime, int]] = {}

    def count(self, grant_id: str, *, allowed: bool) -> None:
        """One request."""
        hour = _hour_of(datetime.now(UTC))
        with self._lock:
            self._waiting.setdefault((grant_id, hour), [0, 0])[0 if allowed else 1] += 1
            if allowed:
                at, number = self._this_hour.get(grant_id, (hour, 0))
                self._this_hour[grant_id] = hour, number + 1 if at == hour else 1

    def in_this_hour(self, grant_id: str) -> int:
        """How many requests this process let through in this hour."""
        hour = _hour_of(datetime.now(UTC))
        at, number = self._this_hour.get(grant_id, (hour, 0))
        return number if at == hour else 0

    def write(self) -> None:
        """Blocks. Raises what SQLAlchemy raises; the counts wait then."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with self._sessions.begin() as session:
                for (grant_id, hour), (allowed, refused) in waiting.items():
                    row = session.get(GrantUse, (grant_id, hour), with_for_update=True)
                    if row is None:
                        row = GrantUse(grant_id=grant_id, hour=hour, allowed=0, refused=0)
                        session.add(row)
                    row.allowed += allowed
                    row.refused += refused
                    row.last_at = datetime.now(UTC)
        except Exception:
            with self._lock:
                for key, (allowed, refused) in waiting.items():
                    kept = self._waiting.setdefault(key, [0, 0])
                    kept[0] += allowed
                    kept[1] += refused
            raise


def _row(session: Session, grant_id: str, tenant_id: str | None) -> GrantRow:
    row = session.get(GrantRow, grant_id)
    if row is None or (tenant_id is not None and row.tenant_id != tenant_id):
        raise NotFound(f"There is no grant {grant_id}", code="caller_not_found")
    return row


def _record(session: Session, kind: str, row: GrantRow) -> None:
    record(session, kind, user_id=row.who, tenant_id=row.tenant_id, detail=f"{row.grant_id} {row.account}")
