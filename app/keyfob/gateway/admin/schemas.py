"""What the operations answer, as JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from keyfob.gateway.auth.administration import KINDS

_TEXT: Final = {"type": "string"}
_PERHAPS: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_YES_OR_NO: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "integer"}
_WORDS: Final = {"type": "array", "items": _TEXT}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(name: str, of: str) -> dict[str, Any]:
    return _object({name: {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}}})


_KEY: Final = {
    "key_id": _TEXT,
    "user_id": _TEXT,
    "name": _TEXT,
    "tenant_id": _PERHAPS,
    "is_admin": _YES_OR_NO,
    "subject_type": _TEXT,
    "subject_id": _PERHAPS,
    "scopes": _WORDS,
    "state": {"enum": ["active", "revoked", "expired"]},
    "remarks": {"type": "array", "items": {"enum": ["old", "unused"]}},
    "created_at": _TIME,
    "expires_at": _TIME,
    "revoked_at": _TIME,
    "last_used_at": _TIME,
    "replaced_by": _PERHAPS,
}
_GRANT: Final = {
    "grant_id": _TEXT,
    "account": _TEXT,
    "account_tenant": _PERHAPS,
    "for": _TEXT,
    "name": _TEXT,
    "methods": _WORDS,
    "paths": _WORDS,
    "until": _TIME,
    "per_hour": {"type": ["integer", "null"]},
    "tenant_id": _PERHAPS,
    "state": {"enum": ["active", "ended"]},
    "created_at": _TIME,
    "ended_at": _TIME,
    "last_used_at": _TIME,
    "allowed_24h": _NUMBER,
    "refused_24h": _NUMBER,
}
_USER: Final = {
    "user_id": _TEXT,
    "tenant_id": _PERHAPS,
    "is_admin": _YES_OR_NO,
    "state": {"enum": ["active", "disabled"]},
    "created_at": _TIME,
    "password_changed_at": _TIME,
    "disabled_at": _TIME,
}
_EVENT: Final = {
    "at": _TIME,
    "kind": {"enum": list(KINDS)},
    "key_id": _PERHAPS,
    "user_id": _PERHAPS,
    "tenant_id": _PERHAPS,
    "count": _NUMBER,
    "detail": _PERHAPS,
    "by": {
        **_PERHAPS,
        "description": "The administrator. null: a command on the server, or no administrator.",
    },
}
# As `keyfob accounts --json` and `keyfob disconnect --json` show them.
_ACCOUNT: Final = {
    "type": "object",
    "properties": {"id": _TEXT, "provider": _TEXT, "label": _TEXT, "status": _TEXT},
    "required": ["id", "provider", "label", "status"],
}
_DISCONNECTION: Final = {
    "type": "object",
    "properties": {"revoked": _TEXT, "account": {"$ref": "#/components/schemas/Account"}},
    "required": ["revoked", "account"],
}

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Key": _object(_KEY),
    "NewKey": _object({**_KEY, "key": _TEXT}),
    "Keys": _list("keys", "Key"),
    "Grant": _object(_GRANT),
    "NewGrant": _object({**_GRANT, "path": _TEXT, "key": _TEXT}, optional=("key",)),
    "Grants": _list("grants", "Grant"),
    "User": _object(_USER),
    "Users": _list("users", "User"),
    "Event": _object(_EVENT),
    "Events": _list("events", "Event"),
    "Account": _ACCOUNT,
    "Accounts": _list("accounts", "Account"),
    "Disconnection": _DISCONNECTION,
    "Problem": {
        "type": "object",
        "properties": {
            "code": _TEXT,
            "detail": _TEXT,
            "status": _NUMBER,
            "message": _TEXT,
            "remedy": _PERHAPS,
            "advice": _TEXT,
        },
        "required": ["code", "detail", "status"],
    },
}
