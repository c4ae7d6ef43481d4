"""Operations on people with passwords."""

from __future__ import annotations

from typing import Any

from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Ask, Operation
from keyfob.gateway.auth import administration

_ID = (Field("user_id", "The user's name. A slash in it is written %2F."),)
_PASSWORD = Field("password", "The password.", "secret", required=True, most=1024)


def _add(ask: Ask) -> dict[str, Any]:
    name, own = ask.values["user_id"], ask.admin.tenant
    if own is not None and not name.startswith(f"{own}/"):
        # Names are unique on the server: so no tenant meets a name that another has.
        name = f"{own}/{name}"
    row = administration.add_user(
        ask.session,
        name,
        ask.values["password"],
        tenant_id=ask.tenant(),
        is_admin=bool(ask.get("is_admin")),
    )
    return administration.user_json(row)


def _list(ask: Ask) -> dict[str, Any]:
    found = administration.users(ask.session, tenant_id=ask.tenant())
    return {"users": [administration.user_json(row) for row in found]}


def _show(ask: Ask) -> dict[str, Any]:
    row = administration.user(ask.session, ask.values["user_id"], tenant_id=ask.admin.tenant)
    return administration.user_json(row)


def _password(ask: Ask) -> dict[str, Any]:
    administration.set_password(
        ask.session, ask.values["user_id"], ask.values["password"], tenant_id=ask.admin.tenant
    )
    return _show(ask)


def _disable(ask: Ask) -> dict[str, Any]:
    administration.disable_user(ask.session, ask.values["user_id"], tenant_id=ask.admin.tenant)
    return _show(ask)


OPERATIONS = (
    Operation(
        "users.add",
        "POST",
        "/v1/admin/users",
        "Add a user who signs in with a password. A tenant's administrator gets the name TENANT/NAME.",
        _add,
        "User",
        (
            Field("user_id", "The user's name.", required=True),
            _PASSWORD,
            Field("tenant_id", "The tenant. Administrators of a tenant manage their own."),
            Field("is_admin", "Let the user manage their tenant; without one, the server.", "yes_or_no"),
        ),
        status=201,
    ),
    Operation(
        "users.list",
        "GET",
        "/v1/admin/users",
        "List users by name.",
        _list,
        "Users",
        (Field("tenant_id", "Only this tenant's users."),),
    ),
    Operation(
        "users.show", "GET", "/v1/admin/users/{user_id}", "Show a user.", _show, "User", path_fields=_ID
    ),
    Operation(
        "users.password",
        "POST",
        "/v1/admin/users/{user_id}/password",
        "Set a password. Ends the user's sign-ins, and lets a disabled user in again.",
        _password,
        "User",
        (_PASSWORD,),
        _ID,
    ),
    Operation(
        "users.disable",
        "POST",
        "/v1/admin/users/{user_id}/disable",
        "Refuse a user from now on. Their keys stay.",
        _disable,
        "User",
        path_fields=_ID,
    ),
)
