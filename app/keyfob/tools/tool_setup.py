"""Sets up a tool for accounts, and again as it was asked for the first time. The command line and the window
use this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong
from keyfob.service.accounts.accounts import Accounts
from keyfob.tools import hosts
from keyfob.tools.setup import GatewayAccess, SetupPlan
from keyfob.tools.tool_keys import ToolKeys
from keyfob.tools.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Asked:
    """What a tool was set up for. `accounts`: ids or keys of those that were named; none means all that tools
    may use. `here`: the folder in which it was asked for. `gateway`: the address of the gateway that it uses
    instead of a token, and `key_id` its key there.
    """

    here: Path
    accounts: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    gateway: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lack:
    """An account without the access that a tool needs. `access`: the bundle to ask for, as `--access` names
    it.
    """

    tool: str
    account: AccountView
    access: str

    @property
    def command(self) -> str:
        """What asks for it."""
        return hosts.ask_for(self.account.to_json(), self.access)


def lacks(tool: str, views: Iterable[AccountView]) -> list[Lack]:
    """What these accounts lack that the tool needs at their providers."""
    found = ((view, hosts.lacking(view.to_json(), tool)) for view in views)
    return [Lack(tool, view, access) for view, access in found if access is not None]


class ToolSetup:
    """Blocking. For one change at a time."""

    def __init__(self, accounts: Accounts, wiring: Wiring, keys: ToolKeys, home: Path) -> None:
        """`home`: the user's own folder."""
        self._accounts, self._wiring, self._home = accounts, wiring, home
        self.keys = keys

    def plan(self, tool: str, asked: Asked) -> SetupPlan:
        """What would change. Raises SettingWrong (`sharing_not_allowed`), NotFound, Usage."""
        everyone = self._accounts.views()
        views = [self._accounts.view(ref) for ref in asked.accounts] if asked.accounts else everyone
        kept = [view for view in views if not view.shareable]
        if asked.accounts and kept:
            raise SettingWrong(
                f"The terms of {kept[0].provider_title} do not let other tools use the token of {kept[0].id}",
                code="sharing_not_allowed",
            )
        return self._wiring.plan(
            tool,
            [view for view in views if view.shareable],
            everyone,
            named=bool(asked.accounts),
            options=asked.options,
            here=asked.here,
            gateway=self._access(tool, asked),
        )

    def _access(self, tool: str, asked: Asked) -> GatewayAccess | None:
        if asked.gateway is None:
            return None
        known = self.keys.load(tool)
        return GatewayAccess(asked.gateway, known.key if known is not None else None)

    def make(self, tool: str, asked: Asked, plan: SetupPlan) -> None:
        """Write what is needed of the plan, and note what was asked for. Raises SettingWrong."""
        changes = [change for change in plan.changes if change.needed]
        keys = [self._accounts.view(ref).key for ref in asked.accounts]  # an account may get another label
        note: dict[str, object] = {"accounts": keys, "options": dict(asked.options), "here": str(asked.here)}
        if asked.gateway:
            note |= {"gateway": asked.gateway, "key_id": asked.key_id}
        self._wiring.make(tool, changes, plan.remembered, note)

    def asked(self, tool: str) -> Asked:
        """What the tool was set up for; if it is not known, all accounts."""
        note = (self._wiring.notes(tool) or {}).get("asked") or {}
        here = Path(note.get("here") or self._home)
        accounts, options = tuple(note.get("accounts", ())), dict(note.get("options", {}))
        return Asked(here, accounts, options, note.get("gateway"), note.get("key_id"))

    def lacking(self, tool: str) -> list[Lack]:
        """What the accounts lack that the tool was set up for. An account that is signed out is left out: it
        has to be signed in first. So is one whose preset has nothing more to ask for. Raises KeyfobError if
        the accounts cannot be read.
        """
        named = set(self.asked(tool).accounts)
        meant = [
            view
            for view in self._accounts.views()
            if (not named or named & {view.key, view.id})
            and view.shareable
            and view.more_access
            and view.status not in ("needs_sign_in", "disconnected")
        ]
        return lacks(tool, meant)
