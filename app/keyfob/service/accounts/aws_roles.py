"""Short-lived keys for the roles of an AWS IAM Identity Center account, for AWS tools.

Called by `keyfob credential aws`. Keys are kept in the vault until shortly before they expire, because AWS
tools ask for each command. They belong to one sign-in: a new one, or its end, makes them void.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from keyfob.core.account import Record
from keyfob.core.errors import KeychainError, KeyfobError, SignInNeeded, Usage
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.ports import AccountRecords, Clock, Vault
from keyfob.protocol import aws_portal as portal
from keyfob.protocol.aws_portal import AwsRole, RoleKeys
from keyfob.protocol.oauth.sso_oidc import QUIRK
from keyfob.providers.catalogue import Catalogue
from keyfob.service.accounts.grant_store import ROLE_KEYS
from keyfob.service.runner import Runner

# AWS tools ask for new keys 15 minutes before the old ones expire. Older ones would be asked for each time.
MARGIN = timedelta(minutes=16)
KEPT_MOST = 20  # roles an account

T = TypeVar("T")
# A valid token; not the one that was refused, if one was.
Lease = Callable[[Secret | None], Secret]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Keys as the vault has them. `only`: they are for the one role that there was."""

    account_id: str
    role: str
    keys: RoleKeys
    only: bool


class AwsRoles:
    """Blocking and thread-safe."""

    def __init__(
        self, catalogue: Catalogue, runner: Runner, vault: Vault, store: AccountRecords, clock: Clock
    ) -> None:
        self._catalogue = catalogue
        self._runner = runner
        self._vault = vault
        self._store = store
        self._clock = clock

    def serves(self, record: Record) -> bool:
        """Whether this account gives keys for roles."""
        try:
            return QUIRK in self._catalogue.get(record.account.provider).quirks
        except KeyfobError:
            return False

    def roles(self, record: Record, lease: Lease) -> list[AwsRole]:
        """Every role that the person has. Raises what `lease` and `portal.roles` raise."""
        base = _base(record)
        return self._asking(lease, lambda token: self._runner.run(portal.roles(base, token)))

    def keys(self, record: Record, lease: Lease, *, account_id: str | None, role: str | None) -> RoleKeys:
        """Keys for a role; the choice may be left out if there is only one. Raises Usage `role_ambiguous` or
        `role_unknown`, and what `lease` and `portal` raise. Without a vault the keys are asked for each time.
        """
        kept = self._kept(record)
        now = self._clock()
        for each in kept:
            asked = (account_id, role) != (None, None)
            chosen = account_id in (None, each.account_id) and role in (None, each.role)
            exact = account_id is not None and role is not None
            if chosen and (exact or (each.only and not asked)) and now < each.keys.expires_at - MARGIN:
                return each.keys
        only = False
        if account_id is None or role is None:
            found = self._one_of(self.roles(record, lease), record, account_id, role)
            only = account_id is None and role is None
            account_id, role = found.account_id, found.role
        base, at, name = _base(record), account_id, role
        keys = self._asking(lease, lambda token: self._runner.run(portal.role_keys(base, token, at, name)))
        self._keep(record, [_Kept(at, name, keys, only), *kept])
        return keys

    def _one_of(
        self, found: list[AwsRole], record: Record, account_id: str | None, role: str | None
    ) -> AwsRole:
        fits = [each for each in found if account_id in (None, each.account_id) and role in (None, each.role)]
        if len(fits) == 1:
            return fits[0]
        facts = {"account": record.account.id}
        if not fits:
            raise Usage(
                "You do not have such a role", code="role_unknown", facts={"account": facts["account"]}
            )
        some = ", ".join(f"{each.role} in {each.account_id}" for each in fits[:5])
        raise Usage(
            f"You have {len(fits)} roles that fit: {plain(some, 300)}",
            code="role_ambiguous",
            facts={"account": record.account.id},
        )

    def _asking(self, lease: Lease, ask: Callable[[Secret], T]) -> T:
        """What `ask` gets; once more with a new token if the first is refused."""
        token = lease(None)
        try:
            return ask(token)
        except SignInNeeded as refused:
            if refused.code != "token_rejected":
                raise
            return ask(lease(token))

    # --- the vault ------------------------------------------------------------------------------------------

    def _kept(self, record: Record) -> list[_Kept]:
        """What is kept of this sign-in; empty if the vault cannot be read."""
        try:
            entry = self._vault.load(f"{record.account.key}/{ROLE_KEYS}")
            body = json.loads(entry.reveal()) if entry is not None else {}
            if body.get("epoch") != record.epoch:
                return []
            return [_read(each) for each in body["roles"]]
        except (KeychainError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def _keep(self, record: Record, kept: list[_Kept]) -> None:
        """The newest keys of each role that have not expired. A vault that refuses costs a request each
        time. If the sign-in has ended in the meantime, nothing is kept.
        """
        now = self._clock()
        newest: dict[tuple[str, str], _Kept] = {}
        for each in kept:
            if each.keys.expires_at > now:
                newest.setdefault((each.account_id, each.role), each)
        body = {"epoch": record.epoch, "roles": [_written(each) for each in [*newest.values()][:KEPT_MOST]]}
        entry = f"{record.account.key}/{ROLE_KEYS}"
        try:
            self._vault.save(entry, Secret(json.dumps(body)))
            # A disconnect that is not marked yet deletes this: it marks the account before it deletes.
            current = self._store.get(record.account.key)
            if current is None or current.epoch != record.epoch:
                self._vault.delete(entry)
        except KeychainError:
            return


def _base(record: Record) -> str:
    return record.account.pin.api_base or ""


def _written(kept: _Kept) -> dict[str, Any]:
    return {
        "account_id": kept.account_id,
        "role": kept.role,
        "only": kept.only,
        "access_key_id": kept.keys.access_key_id,
        "secret_access_key": kept.keys.secret_access_key.reveal(),
        "session_token": kept.keys.session_token.reveal(),
        "expires_at": to_rfc3339(kept.keys.expires_at),
    }


def _read(body: Mapping[str, Any]) -> _Kept:
    expires_at: datetime | None = from_rfc3339(body["expires_at"])
    if expires_at is None:
        raise ValueError("keys without an end")
    keys = RoleKeys(
        body["access_key_id"],
        Secret(body["secret_access_key"]),
        Secret(body["session_token"]),
        expires_at,
    )
    return _Kept(body["account_id"], body["role"], keys, body["only"])
