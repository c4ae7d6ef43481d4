"""What signing in works with: its collaborators, an attempt's settled facts, and what a way of signing in brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyfob.core.account import Record
from keyfob.core.grant import SigningKey
from keyfob.core.provider import Provider
from keyfob.core.settings import Settings
from keyfob.core.words import Method
from keyfob.ports import AccountStore, Browser, Listeners, Locks, Spawn, Vault
from keyfob.protocol.plan import Plan, SignInResult
from keyfob.providers.catalogue import Catalogue
from keyfob.service.accounts import Accounts
from keyfob.service.attempt import Attempt
from keyfob.service.clients import Clients
from keyfob.service.hub import Hub
from keyfob.service.labels import Labels
from keyfob.service.plans import NO_SECRETS, ClientSecrets, Plans, Signing
from keyfob.service.revocations import Revocations
from keyfob.service.runner import Runner
from keyfob.service.slots import Slots


@dataclass(frozen=True, slots=True)
class Desk:
    """The collaborators of signing in, gathered once by bootstrap and handed to the services that need them all."""

    catalogue: Catalogue
    plans: Plans
    clients: Clients
    slots: Slots
    store: AccountStore
    vault: Vault
    labels: Labels
    locks: Locks
    runner: Runner
    listeners: Listeners
    browser: Browser
    hub: Hub
    accounts: Accounts
    revocations: Revocations
    settings: Callable[[], Settings]
    signing: Signing
    new_key: Callable[[str], SigningKey]
    dns_txt: Callable[[str], tuple[str, ...]]
    describe: Callable[[Record], None] = lambda _record: None  # in the vault, to list the account again


@dataclass(frozen=True, slots=True)
class Ready:
    """An attempt's facts, settled before anything is opened or sent."""

    attempt: Attempt
    provider: Provider  # inputs filled in
    method: Method
    account_key: str
    inputs: dict[str, str]
    record: Record | None  # the account to reconnect
    spawn: Spawn


@dataclass(frozen=True, slots=True)
class Signed:
    """What a way of signing in brings back: the result and what to pin."""

    result: SignInResult
    plan: Plan
    secrets: ClientSecrets = NO_SECRETS
    registration_uri: str | None = None
    api_base: str | None = None
    api_hosts: tuple[str, ...] | None = None
    key_tail: str | None = None
