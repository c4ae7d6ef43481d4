"""Accounts that another tool had and that need one sign-in here. `tools.imports` adds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyfob.core.account import Account, AccountView, NeedsSignIn, Pin, Record
from keyfob.core.errors import SignInNeeded
from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.core.text import label_from, plain
from keyfob.core.words import known
from keyfob.ports import AccountStore, Entropy
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.substitute import fill
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.events import EventBus
from keyfob.service.sign_in.clients import Clients, KeepClient

NAME_MOST = 120


@dataclass(frozen=True, slots=True)
class ImportedAccount:
    """What the other tool says of it, not checked yet."""

    provider: str
    tool: str  # its title, for the history
    reason: str  # why the sign-in itself cannot be moved
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    label: str | None = None
    method: Method | None = None
    subject: str = ""
    name: str | None = None
    scopes: tuple[str, ...] = ()
    client_id: str | None = None
    client_secret: Secret | None = None


class ImportedAccounts:
    """Blocking and thread-safe."""

    def __init__(
        self,
        catalogue: Catalogue,
        clients: Clients,
        accounts: Accounts,
        store: AccountStore,
        events: EventBus,
        entropy: Entropy,
    ) -> None:
        self._catalogue = catalogue
        self._clients = clients
        self._accounts = accounts
        self._store = store
        self._events = events
        self._entropy = entropy

    def add(self, imported: ImportedAccount, keep_client: KeepClient | None = None) -> AccountView:
        """An account that needs one sign-in, with the reason. One that is there already is left as it is.
        `keep_client` is asked in place of `Clients.keep`. Raises NotFound for an unknown provider, Usage for
        inputs that do not fit.
        """
        provider = fill(self._catalogue.get(imported.provider), imported.inputs)
        label = label_from(imported.label or "imported")
        for record in self._store.records():
            if record.account.id == f"{provider.id}/{label}":
                return self._accounts.view(record.account.key)
        own = self._clients.known(provider, imported.inputs)
        if imported.client_id and (own is None or own.source == "publisher"):
            keep = keep_client or self._clients.keep
            keep(provider, imported.inputs, imported.client_id, imported.client_secret)
        note = self._events.error_note(SignInNeeded(imported.reason, code="imported"))
        account = Account(
            key=self._entropy(12),
            provider=provider.id,
            label=label,
            method=known(provider.methods, imported.method) or provider.methods[0],
            subject=imported.subject,
            pin=Pin(server=provider.default_server(), inputs=dict(imported.inputs)),
            name=plain(imported.name, NAME_MOST) if imported.name else None,
            asked_scopes=imported.scopes,
            created_at=note.at,
        )
        record = Record(account, NeedsSignIn(note.at, note), last_error=note)
        self._store.put(record)
        self._events.publish(record, "imported", f"Imported from {imported.tool}; sign in once", "imported")
        return self._accounts.view(account.key)
