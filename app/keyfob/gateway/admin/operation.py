"""One thing that an administrator can do, and whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from keyfob.core.errors import NotFound, Usage
from keyfob.engine import Engine
from keyfob.gateway.admin.fields import Field
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.auth.trail import OPERATOR, act_as
from keyfob.gateway.grants import is_operator

EngineOf = Callable[[str | None], Engine | None]  # of a tenant; None: the server's own


@dataclass(frozen=True)
class Admin:
    """Who asks. With a tenant, nothing outside of it exists."""

    tenant: str | None = None
    by: str | None = None  # as the audit trail names them; None: a command on the server

    @classmethod
    def of(cls, caller: AuthResult) -> Admin | None:
        """None for a caller who is no administrator."""
        if is_operator(caller):
            return cls(None, OPERATOR if caller.user_id is None else f"user:{caller.user_id}")
        if caller.authenticated and caller.is_admin and caller.tenant_id is not None:
            return cls(caller.tenant_id, f"user:{caller.user_id}")
        return None


@dataclass(frozen=True)
class Ask:
    """One request for an operation. `values` have been checked against its fields. The asker commits."""

    admin: Admin
    values: Mapping[str, Any]
    session: Session
    engine_of: EngineOf
    now: datetime

    def get(self, name: str) -> Any:  # noqa: ANN401  (checked against the fields)
        """A value, None if it was not given."""
        return self.values.get(name)

    def tenant(self, name: str = "tenant_id") -> str | None:
        """Which tenant this is about: the administrator's own, or the one that the field names. Raises Usage
        if a tenant's administrator names another, which may exist or not.
        """
        named: str | None = self.values.get(name)
        if self.admin.tenant is None:
            return named
        if named not in (None, self.admin.tenant):
            raise Usage(f"You manage the tenant {self.admin.tenant} alone")
        return self.admin.tenant

    def engine(self, tenant: str | None, account: str) -> Engine:
        """The engine with the tenant's accounts. Raises NotFound for `account` if it has none."""
        found = self.engine_of(tenant)
        if found is None:
            raise NotFound(f"There is no account {account}")
        return found


@dataclass(frozen=True)
class Operation:
    """`path` may have names in braces, which are fields too. `run` gives the answer, which `answer` names in
    `schemas`. `inputs` are the query of a GET, else the body.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    summary: str
    run: Callable[[Ask], dict[str, Any]]
    answer: str
    inputs: tuple[Field, ...] = ()
    path_fields: tuple[Field, ...] = ()
    status: Literal[200, 201] = 200

    def carry_out(self, ask: Ask) -> dict[str, Any]:
        """Runs it, and has the audit trail name the administrator. Blocks. Raises a KeyfobError."""
        if ask.admin.by is not None:
            act_as(ask.session, ask.admin.by)
        return self.run(ask)
