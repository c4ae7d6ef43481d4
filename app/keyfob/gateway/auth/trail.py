"""Writes down what an administrator did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy.orm import Session

from keyfob.gateway.auth.tables import AuditEvent

OPERATOR: Final = "operator"
_BY = "keyfob_by"


def act_as(session: Session, by: str) -> None:
    """What `record` writes in this session from now on was done by this administrator: `user:NAME`, or
    `operator` for the server's one key.
    """
    session.info[_BY] = by


def record(
    session: Session,
    kind: str,
    *,
    key_id: str | None = None,
    user_id: str | None = None,
    tenant_id: str | None = None,
    detail: str | None = None,
) -> None:
    """One event of the audit trail, now. The caller commits."""
    session.add(
        AuditEvent(
            at=datetime.now(UTC),
            kind=kind,
            key_id=key_id,
            user_id=user_id[:255] if user_id is not None else None,
            tenant_id=tenant_id,
            count=1,
            detail=detail[:255] if detail is not None else None,
            done_by=session.info.get(_BY),
        )
    )
