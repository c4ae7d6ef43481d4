"""Operations on keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Ask, Operation
from keyfob.gateway.auth import administration
from keyfob.gateway.auth.database import OVERLAP, DatabaseAPIKeyAuth

_ID = (Field("key_id", "The key's id.", most=64),)
_TENANT = Field("tenant_id", "The tenant. Administrators of a tenant manage their own.")


def _create(ask: Ask) -> dict[str, Any]:
    user = ask.values["user_id"]
    key_id, key = DatabaseAPIKeyAuth.create_key(
        ask.session,
        user,
        ask.get("name") or user,
        ask.tenant(),
        bool(ask.get("is_admin")),
        ask.get("expires_at"),
        scopes=ask.get("scopes") or (),
    )
    return {**_shown(ask, key_id), "key": key}


def _list(ask: Ask) -> dict[str, Any]:
    found = administration.keys(ask.session, user_id=ask.get("user_id"), tenant_id=ask.tenant())
    rows = [administration.key_json(row, ask.now) for row in found]
    return {"keys": [row for row in rows if ask.get("all") or row["state"] == "active"]}


def _show(ask: Ask) -> dict[str, Any]:
    return _shown(ask, ask.values["key_id"])


def _rotate(ask: Ask) -> dict[str, Any]:
    seconds = ask.get("overlap_seconds")
    overlap = OVERLAP if seconds is None else timedelta(seconds=seconds)
    key_id, key = DatabaseAPIKeyAuth.rotate_key(
        ask.session, ask.values["key_id"], overlap=overlap, tenant_id=ask.admin.tenant
    )
    return {**_shown(ask, key_id), "key": key}


def _revoke(ask: Ask) -> dict[str, Any]:
    DatabaseAPIKeyAuth.revoke_key(ask.session, ask.values["key_id"], tenant_id=ask.admin.tenant)
    return _shown(ask, ask.values["key_id"])


def _shown(ask: Ask, key_id: str) -> dict[str, Any]:
    row = administration.key(ask.session, key_id, tenant_id=ask.admin.tenant)
    return administration.key_json(row, ask.now)


OPERATIONS = (
    Operation(
        "keys.create",
        "POST",
        "/v1/admin/keys",
        "Create a key. The answer is the only one with the key.",
        _create,
        "NewKey",
        (
            Field("user_id", "Whose key it is.", required=True),
            Field("name", "What the key is for."),
            _TENANT,
            Field("is_admin", "Let the key manage its tenant; without one, the server.", "yes_or_no"),
            Field("expires_at", "When the key ends.", "time"),
            Field("scopes", "The key's scopes.", "words"),
        ),
        status=201,
    ),
    Operation(
        "keys.list",
        "GET",
        "/v1/admin/keys",
        "List keys, the newest first.",
        _list,
        "Keys",
        (
            Field("user_id", "Only this user's keys."),
            _TENANT,
            Field("all", "Include keys that are revoked or have expired.", "yes_or_no"),
        ),
    ),
    Operation("keys.show", "GET", "/v1/admin/keys/{key_id}", "Show a key.", _show, "Key", path_fields=_ID),
    Operation(
        "keys.rotate",
        "POST",
        "/v1/admin/keys/{key_id}/rotate",
        "Create a key with the same user and rights, and end the old key after the overlap.",
        _rotate,
        "NewKey",
        (
            Field(
                "overlap_seconds",
                "How long the old key works. Default: a day.",
                "number",
                least=0,
                most=31_536_000,
            ),
        ),
        _ID,
        status=201,
    ),
    Operation(
        "keys.revoke",
        "POST",
        "/v1/admin/keys/{key_id}/revoke",
        "End a key at once.",
        _revoke,
        "Key",
        path_fields=_ID,
    ),
)
