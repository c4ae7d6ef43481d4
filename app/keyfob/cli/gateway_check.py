"""The doctor's look at the keys of the gateway's callers, if there are any."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from keyfob.cli.gateway_database import database, is_there
from keyfob.core.finding import Finding
from keyfob.service.doctor import Step

if TYPE_CHECKING:
    from keyfob.cli.session import Session

LATELY = timedelta(days=1)


def gateway_steps(session: Session) -> list[Step]:
    """One step, or none if this computer has no keys. Makes no database."""
    return [Step("gateway", lambda: _look(session))] if is_there() else []


def _look(session: Session) -> Finding:
    with database() as transaction:
        from keyfob.gateway.auth import administration

        now = session.now()
        keys = [
            row for row in administration.keys(transaction) if administration.state_of(row, now) == "active"
        ]
        remarks = Counter(word for row in keys for word in administration.remarks_on(row, now))
        refused = administration.refusals(transaction, now - LATELY)
    parts = [f"{_number(len(keys), 'key')} for callers"]
    if remarks["old"]:
        parts.append(f"{_number(remarks['old'], 'key')} at least 90 days old")
    if remarks["unused"]:
        parts.append(f"{_number(remarks['unused'], 'key')} not used for 90 days")
    if refused:
        parts.append(f"{_number(refused, 'attempt')} refused in the last day")
    warns = bool(remarks)
    return Finding(
        "gateway", True, ", ".join(parts), "warn" if warns else "ok", "caller_keys_old" if warns else None
    )


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
