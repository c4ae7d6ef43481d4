"""What signing in works with: its services, the facts of an attempt, and the result of a sign-in method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyfob.core.account import Record
from keyfob.core.grant import SigningKey
from keyfob.core.methods import Method
from keyfob.core.provider import Provider
from keyfob.core.settings import Settings
from keyfob.ports import AccountStore, Browser, Entropy, Listeners, Locks, Spawn, Vault
from keyfob.protocol.context import FlowContext, SignInResult
from keyfob.protocol.env import FlowEnv
from keyfob.providers.catalogue import Catalogue
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.disconnecting import Disconnector
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.accounts.labels import Labels
from keyfob.service.accounts.revocations import Revocations
from keyfob.service.contexts import NO_SECRETS, ClientSecrets, ContextBuilder
from keyfob.service.events import EventBus
from keyfob.service.runner import Runner
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.clients import Clients


@dataclass(frozen=True, slots=True)
class SignInDeps:
    """The services that signing in uses, collected once by the engine for the services that need them all."""

    catalogue: Catalogue
    contexts: ContextBuilder
    clients: Clients
    grants: GrantStore
    store: AccountStore
    vault: Vault
    labels: Labels
    locks: Locks
    runner: Runner
    listeners: Listeners
    browser: Browser
    events: EventBus
    accounts: Accounts
    disconnector: Disconnector
    revocations: Revocations
    settings: Callable[[], Settings]
    env: FlowEnv
    entropy: Entropy
    new_key: Callable[[str], SigningKey]
    dns_txt: Callable[[str], tuple[str, ...]]
    describe: Callable[[Record], None] = lambda _record: None  # in the vault, to list the account again


@dataclass(frozen=True, slots=True)
class PreparedSignIn:
    """An attempt's facts, settled before anything is opened or sent."""

    attempt: Attempt
    provider: Provider  # inputs filled in
    method: Method
    account_key: str
    inputs: dict[str, str]
    record: Record | None  # the account to reconnect
    spawn: Spawn


@dataclass(frozen=True, slots=True)
class SignInOutcome:
    """What a sign-in method returns: the result and what to pin."""

    result: SignInResult
    context: FlowContext
    secrets: ClientSecrets = NO_SECRETS
    registration_uri: str | None = None
    api_base: str | None = None
    api_hosts: tuple[str, ...] | None = None
    key_tail: str | None = None
