"""The operation that shows what happened."""

from __future__ import annotations

from typing import Any, Final

from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Ask, Operation
from keyfob.gateway.auth import administration

LIMIT: Final = 100
LIMIT_MOST: Final = 100_000


def _list(ask: Ask) -> dict[str, Any]:
    found = administration.audit(
        ask.session,
        key_id=ask.get("key_id"),
        user_id=ask.get("user_id"),
        tenant_id=ask.tenant(),
        kind=ask.get("kind"),
        since=ask.get("since"),
        limit=ask.get("limit") or LIMIT,
    )
    return {"events": [administration.event_json(row) for row in found]}


OPERATIONS = (
    Operation(
        "audit.list",
        "GET",
        "/v1/admin/audit",
        "List what happened, the newest first. Uses and refusals are written every 30 seconds.",
        _list,
        "Events",
        (
            Field("key_id", "Only events of this key.", most=64),
            Field("user_id", "Only events of this user."),
            Field("tenant_id", "Only events of this tenant."),
            Field("kind", "Only events of this kind.", choices=administration.KINDS),
            Field("since", "Only later events.", "time"),
            Field("limit", f"How many at most. Default: {LIMIT}.", "number", most=LIMIT_MOST),
        ),
    ),
)
