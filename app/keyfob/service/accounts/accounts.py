"""What a user or a tool does with accounts that exist: list, use, rename, disconnect and remove them.

Faces call this. Each larger task is a separate class next to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from keyfob.core.account import AccountView, LoggedEvent, Record
from keyfob.core.errors import KeyfobError, NotFound, Usage
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.ports import AccountStore
from keyfob.service.accounts.account_views import AccountViews
from keyfob.service.accounts.asked_label import asked_label
from keyfob.service.accounts.disconnecting import Disconnector
from keyfob.service.accounts.identity_check import IdentityCheck
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.tool_tokens import refuse_sharing, token_of
from keyfob.service.accounts.views import Disconnection, TestResult, Token
from keyfob.service.contexts import ContextBuilder


class Accounts:
    """Blocking and thread-safe. Refs are `provider/label`, `provider` while it is the only one there, or a
    key.
    """

    def __init__(
        self,
        store: AccountStore,
        keeper: Keeper,
        contexts: ContextBuilder,
        views: AccountViews,
        check: IdentityCheck,
        disconnector: Disconnector,
        describe: Callable[[Record], None] = lambda _record: None,
    ) -> None:
        """`describe` keeps in the vault what it takes to list an account again."""
        self._store = store
        self._keeper = keeper
        self._contexts = contexts
        self._views = views
        self._check = check
        self._disconnector = disconnector
        self._describe = describe

    # --- seeing ---------------------------------------------------------------------------------------------

    def views(self) -> list[AccountView]:
        """All accounts in the order they were connected."""
        return [self._views.view(record) for record in self._store.records()]

    def view(self, ref: str) -> AccountView:
        """One account as the user sees it. Raises NotFound, and Usage if several accounts fit."""
        return self._views.view(self.resolve(ref))

    def resolve(self, ref: str) -> Record:
        """Raises NotFound `account_not_found`, Usage `account_ambiguous` with the ids to choose from, and the
        store's Fault when that account's own row cannot be read.
        """
        if not ref:
            raise Usage("The account is empty", code="account_empty")
        records = self._store.records()
        for record in records:
            if ref in (record.account.id, record.account.key):
                return record
        unread = {each.account_id: each.fault for each in self._store.unread()}
        if ref in unread:
            raise unread[ref]
        same = [record for record in records if record.account.provider == ref]
        others = [account_id for account_id in unread if account_id.startswith(f"{ref}/")]
        if len(same) == 1 and not others:
            return same[0]
        if len(others) == 1 and not same:
            raise unread[others[0]]
        if same or others:
            ids = ", ".join([*(record.account.id for record in same), *(plain(each, 160) for each in others)])
            raise Usage(f"{ref} has {len(same) + len(others)} accounts: {ids}", code="account_ambiguous")
        raise NotFound(f"There is no account {plain(ref, 160)}", facts={"account": ref})

    def unread(self) -> Sequence[KeyfobError]:
        """What is wrong with the accounts that `views` leaves out, each with what to do."""
        return [each.fault for each in self._store.unread()]

    def history(self, ref: str | None = None, *, limit: int = 50, after: int = 0) -> Sequence[LoggedEvent]:
        """The last `limit` events after number `after`, of one account or of all, oldest first. Raises
        NotFound.
        """
        key = self.resolve(ref).account.key if ref else None
        return self._store.events(after=after, account_key=key, limit=limit)

    # --- using ----------------------------------------------------------------------------------------------

    def token(self, ref: str, *, min_life: timedelta | None = None, rejected: Secret | None = None) -> Token:
        """A valid token for a tool. Raises SettingWrong `sharing_not_allowed` if the terms forbid it, and
        what Keeper.grant raises.
        """
        record = self.resolve(ref)
        provider = self._contexts.provider(record)
        refuse_sharing(record, provider)
        grant = self._keeper.grant(record.account.key, min_life=min_life, rejected=rejected)
        return token_of(record, provider, grant)

    def renew(self, ref: str) -> AccountView:
        """Renew now, whatever is left. Raises what Keeper.grant raises; Usage if there is nothing to
        renew.
        """
        record = self.resolve(ref)
        if not record.renewable and self._views.shown(record) == "connected":
            raise Usage(f"{record.account.id} cannot be renewed", code="not_renewable")
        self._keeper.grant(record.account.key, min_life=timedelta(0), force=True)
        return self.view(record.account.key)

    def test(self, ref: str) -> TestResult:
        """As `IdentityCheck.run`."""
        return self._check.run(self.resolve(ref))

    # --- changing -------------------------------------------------------------------------------------------

    def rename(self, ref: str, label: str) -> AccountView:
        """Another label; no secret moves. Raises Usage `label_taken` and `label_wrong`."""
        record = self.resolve(ref)
        changed = self._keeper.state.rename(record, asked_label(label))
        if changed.account.label != record.account.label:
            self._describe(changed)
        return self._views.view(changed)

    def disconnect(self, ref: str, *, local: bool = False) -> Disconnection:
        """As `Disconnector.disconnect`."""
        record = self.resolve(ref)
        ended = self._disconnector.disconnect(record, local=local)
        return replace(ended, account=self.view(record.account.key))

    def remove(self, ref: str, *, local: bool = False) -> Disconnection:
        """As `Disconnector.remove`."""
        return self._disconnector.remove(self.resolve(ref), local=local)
