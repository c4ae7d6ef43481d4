"""Operations on grants."""

from __future__ import annotations

from typing import Any

from keyfob.core.errors import Usage
from keyfob.core.gateway_address import account_path
from keyfob.gateway import grant_store
from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Ask, Operation
from keyfob.gateway.grants import Grant, Uses, checked_who
from keyfob.gateway.programs import Access, give_access, give_access_to

_ID = (Field("grant_id", "The grant's id.", most=32),)


def _create(ask: Ask) -> dict[str, Any]:
    tenant = ask.tenant()
    account_tenant = ask.tenant("account_tenant")
    tenant = tenant or account_tenant
    view = ask.engine(account_tenant, ask.values["account"]).accounts.view(ask.values["account"])
    wanted = Access(
        ask.get("name") or "",
        view.id,
        tuple(ask.get("methods") or ()),
        tuple(ask.get("paths") or ()),
        ask.get("until"),
        ask.get("per_hour"),
        tenant,
        account_tenant,
    )
    who, key = ask.get("for"), None
    if who == "local" and ask.admin.by is not None:
        # Behind a server with TLS, every caller may look like a program of the gateway's own user.
        raise Usage("A grant for local programs can be made on the server alone, with keyfob grants create")
    if who is None:
        given = give_access(ask.session, wanted)
        made, key = given.grant, given.key.reveal()
    else:
        made = give_access_to(ask.session, wanted, checked_who(who))
    found = grant_store.grant_json(made, Uses(), ask.now)
    found["path"] = account_path(view.provider, view.label)
    return found if key is None else {**found, "key": key}


def _list(ask: Ask) -> dict[str, Any]:
    found = grant_store.grants(ask.session, account=ask.get("account"), tenant_id=ask.tenant())
    rows = _shown(ask, found)
    return {"grants": [row for row in rows if ask.get("all") or row["state"] == "active"]}


def _show(ask: Ask) -> dict[str, Any]:
    grant = grant_store.grant(ask.session, ask.values["grant_id"], tenant_id=ask.admin.tenant)
    return _shown(ask, [grant])[0]


def _end(ask: Ask) -> dict[str, Any]:
    grant_store.end_grant(ask.session, ask.values["grant_id"], tenant_id=ask.admin.tenant)
    return _show(ask)


def _shown(ask: Ask, grants: list[Grant]) -> list[dict[str, Any]]:
    used = grant_store.uses(ask.session, ask.now)
    return [grant_store.grant_json(one, used.get(one.grant_id, Uses()), ask.now) for one in grants]


OPERATIONS = (
    Operation(
        "grants.create",
        "POST",
        "/v1/admin/grants",
        "Allow a caller to use an account. Without `for`, a key is made and shown once.",
        _create,
        "NewGrant",
        (
            Field("account", "The account, as provider/label.", required=True, most=512),
            Field("account_tenant", "Whose account it is. Without it, the server's own."),
            Field("methods", "Allow these methods; `read` for GET, HEAD and OPTIONS.", "words"),
            Field("paths", "Allow these paths of the API, such as /repos/acme/**.", "words", most=1000),
            Field("for", "user:NAME, tenant:NAME, key:ID or anyone.", most=300),
            Field("name", "The program, as lists shall show it."),
            Field("until", "When the grant ends.", "time"),
            Field("per_hour", "So many requests an hour, for each server.", "number", most=2_000_000_000),
            Field("tenant_id", "Only callers of this tenant may use it."),
        ),
        status=201,
    ),
    Operation(
        "grants.list",
        "GET",
        "/v1/admin/grants",
        "List grants, the newest first, with their use in the last 24 hours.",
        _list,
        "Grants",
        (
            Field("account", "Only grants for this account.", most=512),
            Field("tenant_id", "Only this tenant's grants."),
            Field("all", "Include grants that have ended.", "yes_or_no"),
        ),
    ),
    Operation(
        "grants.show", "GET", "/v1/admin/grants/{grant_id}", "Show a grant.", _show, "Grant", path_fields=_ID
    ),
    Operation(
        "grants.end",
        "POST",
        "/v1/admin/grants/{grant_id}/end",
        "End a grant at once. The account stays connected.",
        _end,
        "Grant",
        path_fields=_ID,
    ),
)
