"""Operations on accounts. None shows a token."""

from __future__ import annotations

from typing import Any

from keyfob.core.errors import SettingWrong
from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Ask, Operation
from keyfob.gateway.auth.trail import record

_ID = (
    Field("provider", "The account's provider.", most=100),
    Field("label", "The account's label.", most=400),
)
_TENANT = Field("tenant_id", "Whose account. Without it, the server's own.")


def _list(ask: Ask) -> dict[str, Any]:
    engine = ask.engine_of(ask.tenant())
    return {"accounts": [view.to_json() for view in engine.accounts.views()] if engine is not None else []}


def _show(ask: Ask) -> dict[str, Any]:
    account = _named(ask)
    return ask.engine(ask.tenant(), account).accounts.view(account).to_json()


def _keep(ask: Ask) -> dict[str, Any]:
    tenant = ask.tenant()
    engine = ask.engine_of(tenant)
    if engine is None:
        raise SettingWrong(
            "This server keeps no accounts of tenants", remedy="Use a server with a PostgreSQL database."
        )
    view = engine.take_over.keep(ask.values["handover"], trusted=ask.admin.tenant is None)
    record(ask.session, "account_added", tenant_id=tenant, detail=view.id)
    return view.to_json()


def _disconnect(ask: Ask) -> dict[str, Any]:
    tenant, account = ask.tenant(), _named(ask)
    ended = ask.engine(tenant, account).accounts.disconnect(account)
    record(ask.session, "account_disconnected", tenant_id=tenant, detail=account)
    return ended.to_json()


def _named(ask: Ask) -> str:
    return f"{ask.values['provider']}/{ask.values['label']}"


OPERATIONS = (
    Operation(
        "accounts.list",
        "GET",
        "/v1/admin/accounts",
        "List accounts.",
        _list,
        "Accounts",
        (_TENANT,),
    ),
    Operation(
        "accounts.keep",
        "POST",
        "/v1/admin/accounts",
        "Keep an account that `keyfob connect --server` signed in to. Again with the same id does nothing.",
        _keep,
        "Account",
        (
            Field("handover", "What `keyfob connect` made of the sign-in.", "object", required=True),
            _TENANT,
        ),
        status=201,
    ),
    Operation(
        "accounts.show",
        "GET",
        "/v1/admin/accounts/{provider}/{label}",
        "Show an account.",
        _show,
        "Account",
        (_TENANT,),
        _ID,
    ),
    Operation(
        "accounts.disconnect",
        "POST",
        "/v1/admin/accounts/{provider}/{label}/disconnect",
        "Delete an account's tokens and revoke them at the provider. The account stays in the list.",
        _disconnect,
        "Disconnection",
        (_TENANT,),
        _ID,
    ),
)
