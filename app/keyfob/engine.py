"""The engine: all services that a face may use, and how it is built.

`system_ports` creates the ports of this computer, and no other module names an adapter. `build` creates the
services over any ports, so a test builds the same engine over fake ports. A new service is a field of
`Engine` and a line in `build`.

Building the engine does not use the network or the keychain. The first call that needs them does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from keyfob.adapters.loopback.loopback import Loopback
from keyfob.adapters.network.avatars import Avatars as FetchedAvatars
from keyfob.adapters.network.dns import txt_lookup
from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.store import codec, token_rule
from keyfob.adapters.store.file_locks import FileLocks
from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.store.sqlite import SqliteAccountStore, set_aside
from keyfob.adapters.system import tool_files
from keyfob.adapters.system.agent_service import AgentService as SystemService
from keyfob.adapters.system.autostart import Autostart as LoginEntry
from keyfob.adapters.system.browser import open_browser
from keyfob.adapters.system.clock import now
from keyfob.adapters.system.desktop_entry import DesktopEntry
from keyfob.adapters.system.doctor_checks import checks_of, tray_finding
from keyfob.adapters.system.entropy import entropy
from keyfob.adapters.system.keys import new_key
from keyfob.adapters.system.programs import output_of
from keyfob.adapters.vault.choice import UnchosenVault, choose_vault, encrypted_file
from keyfob.adapters.vault.grant_saver import start_saver
from keyfob.adapters.vault.lockable import LockableVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.adapters.vault.prompt import AskingVault
from keyfob.adapters.vault.system import keychain_there
from keyfob.client import running_agent
from keyfob.core.account import Record
from keyfob.core.errors import KeyfobError, SettingWrong, Transient
from keyfob.core.finding import Finding
from keyfob.core.grant import Grant, SigningKey
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.core.words import KEEPER_ROLE, FindingName, MadeAlgorithm
from keyfob.ports import (
    AccountStore,
    AgentService,
    Autostart,
    Avatars,
    Browser,
    Clock,
    EncryptedFile,
    Entropy,
    Listeners,
    Locks,
    MenuEntry,
    OutputOf,
    SettingsStore,
    Spawn,
    StreamingTransport,
    ToolFiles,
    Transport,
    Vault,
    VaultLock,
)
from keyfob.process.home import Home, open_home, write_private
from keyfob.protocol.env import FlowEnv
from keyfob.providers.catalogue import Catalogue, standard
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.account_views import AccountViews
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.aws_roles import AwsRoles
from keyfob.service.accounts.disconnecting import Disconnector
from keyfob.service.accounts.grant_store import GrantStore, lock_name
from keyfob.service.accounts.header_lines import header_lines
from keyfob.service.accounts.id_tokens import IdTokens
from keyfob.service.accounts.identity_check import IdentityCheck
from keyfob.service.accounts.intents import Intents
from keyfob.service.accounts.judge import Judge
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.keychain_entries import KeychainEntries
from keyfob.service.accounts.labels import Labels
from keyfob.service.accounts.reading import GrantReader
from keyfob.service.accounts.recovery import Recovered, Recovery
from keyfob.service.accounts.renewer import Renewer
from keyfob.service.accounts.revocations import Revocations
from keyfob.service.accounts.saving import Saving
from keyfob.service.accounts.schedule import Schedule
from keyfob.service.accounts.signer import Signer
from keyfob.service.accounts.token_endpoint import TokenEndpoint
from keyfob.service.consents import Consents
from keyfob.service.contexts import ContextBuilder
from keyfob.service.doctor import Check, Doctor
from keyfob.service.events import EventBus
from keyfob.service.new_presets import Presets
from keyfob.service.provider_checks import ProviderChecks
from keyfob.service.reports import Reports
from keyfob.service.resource_servers import ResourceServers
from keyfob.service.runner import Runner
from keyfob.service.sign_in.account_entries import AccountEntries
from keyfob.service.sign_in.api_key import ApiKeySignIn
from keyfob.service.sign_in.app_password import AppPasswordSignIn
from keyfob.service.sign_in.atproto import AtprotoSignIn
from keyfob.service.sign_in.browser import BrowserSignIn
from keyfob.service.sign_in.client_credentials import ClientCredentialsSignIn
from keyfob.service.sign_in.client_keys import ClientKeys
from keyfob.service.sign_in.clients import Clients
from keyfob.service.sign_in.commit import Commit
from keyfob.service.sign_in.device import DeviceSignIn
from keyfob.service.sign_in.give_back import GiveBack
from keyfob.service.sign_in.handover import HandOver, TakeOver
from keyfob.service.sign_in.imported import ImportedAccounts
from keyfob.service.sign_in.interaction import Interaction
from keyfob.service.sign_in.journal import Journal
from keyfob.service.sign_in.methods import Methods
from keyfob.service.sign_in.new_contexts import NewContexts
from keyfob.service.sign_in.password import PasswordSignIn
from keyfob.service.sign_in.preparation import Preparation
from keyfob.service.sign_in.sign_in import SignIn
from keyfob.service.sign_in.trace import Traces
from keyfob.tools.imports import Imports
from keyfob.tools.tool_check import tools_finding
from keyfob.tools.tool_keys import ToolKeys
from keyfob.tools.tool_setup import ToolSetup
from keyfob.tools.wiring import Wiring
from keyfob.updates.companion_feeds import GITHUB, CompanionFeeds
from keyfob.updates.companion_files import CompanionFiles
from keyfob.updates.companion_files import standard as standard_companions
from keyfob.updates.companion_probe import Probe
from keyfob.updates.companion_service import Companions
from keyfob.updates.companion_state import CompanionState
from keyfob.updates.feeds import ReleaseFeeds
from keyfob.updates.github_account import github_token

if TYPE_CHECKING:  # for whoever has the extra `gateway`
    from keyfob.adapters.database.team_database import TeamDatabase as TeamDatabase

EXCHANGE_DEADLINE = 30.0  # seconds that one exchange with a provider may take
SETTLED_WITHIN = timedelta(seconds=40)  # longer than one renewal's deadline with its saving
CHECK_DEADLINE = 8.0  # seconds that one request of the doctor may take
COMMAND_SAVES_FOR = timedelta(seconds=60)  # a command without a terminal does not wait for a keychain forever


def nothing() -> None:
    """The default if no clean-up is needed."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that the services reach. `keyfob.ports` says what each promises."""

    home: Home
    settings: SettingsStore
    presets: Catalogue
    store: AccountStore
    store_path: Path  # what changes when the store does
    vault: Vault
    labels: Labels  # names the vault's entries
    transport: StreamingTransport
    locks: Locks
    listeners: Listeners
    browser: Browser
    dns_txt: Callable[[str], tuple[str, ...]]
    clock: Clock
    entropy: Entropy
    new_id: Callable[[], str]
    new_key: Callable[[MadeAlgorithm], SigningKey]
    spawn: Spawn  # for the engine's own jobs
    environment: Mapping[str, str]
    avatars: Avatars
    autostart: Autostart
    menu_entry: MenuEntry
    agent_service: AgentService
    user_home: Path
    tool_files: ToolFiles
    output_of: OutputOf
    checks: Sequence[tuple[FindingName, Check]]  # of `keyfob doctor`
    tray: Callable[[bool | None], Finding]
    encrypted_file: Callable[[], EncryptedFile]
    # Hands a grant that cannot be saved to a separate process; whether
    # one took it. None: there is no such process.
    start_saver: Callable[[Record, Grant, str], bool] | None = None
    save_for: timedelta | None = (
        None  # how long a received grant is tried to be saved; None: as long as it takes
    )
    check_transport: Transport | None = None  # gives up sooner, for the doctor; None: as all others
    vault_lock: VaultLock | None = None  # closes the vault, in a process that lives on
    companion_files: CompanionFiles | None = None  # None: those of Keyfob, and the home's
    github: str = GITHUB  # the address of its API
    team: TeamDatabase | None = None  # the accounts are in it
    after_close: Callable[[], None] = nothing


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a face may ask. Thread-safe and blocking; no method may be called on a GUI thread."""

    home: Home
    providers: Catalogue
    settings: SettingsStore
    vault: Vault
    store: AccountStore
    store_path: Path
    transport: StreamingTransport
    locks: Locks
    listeners: Listeners
    browser: Browser
    clock: Clock
    autostart: Autostart
    menu_entry: MenuEntry
    agent_service: AgentService
    avatars: Avatars
    events: EventBus
    clients: Clients
    client_keys: ClientKeys
    accounts: Accounts
    disconnector: Disconnector
    sign_in: SignIn
    hand_over: HandOver
    take_over: TakeOver
    keeper: Keeper
    renewer: Renewer
    doctor: Doctor
    presets: Presets
    resource_servers: ResourceServers
    reports: Reports
    aws_roles: AwsRoles
    signer: Signer
    id_tokens: IdTokens
    consents: Consents
    imports: Imports
    wiring: Wiring
    tool_setup: ToolSetup
    companions: Companions
    recovery: Recovery
    keychain_entries: KeychainEntries
    encrypted_file: Callable[[], EncryptedFile]  # for a window, which asks for its passphrase
    vault_lock: VaultLock | None
    new_secret: Callable[[int], Secret]  # of so many random bytes
    team: TeamDatabase | None = None  # the accounts are in it; None: on this computer
    before_close: Callable[[], None] = nothing  # what serves this engine's sockets stops here
    after_close: Callable[[], None] = nothing

    def close(self) -> None:
        """Ends what was started on the side. A renewal that has begun is waited for, at most 40 s."""
        self.before_close()
        self.listeners.close()
        self.renewer.settled(SETTLED_WITHIN)
        self.keeper.settled(SETTLED_WITHIN)  # a renewal that a caller waits for, or has ceased to wait for
        for part in (self.vault, self.store):
            closing = getattr(part, "close", None)
            if closing is not None:
                closing()
        self.after_close()


@dataclass(frozen=True, slots=True)
class WebPorts:
    """What web sign-in (`keyfob.gateway.web`) reaches outside. Its sessions are its own: it has no account
    store and no vault.
    """

    presets: Catalogue
    transport: Transport
    api: Transport  # for calls of the provider's API: larger answers
    locks: Locks
    dns_txt: Callable[[str], tuple[str, ...]]
    clock: Clock
    entropy: Entropy
    new_key: Callable[[MadeAlgorithm], SigningKey]
    dumps: Callable[[Record], str]
    load: Callable[[str], Record]
    close: Callable[[], None] = lambda: None


def build(ports: Ports) -> Engine:
    """The engine over these ports. Nothing is read or written yet."""
    store, vault, clock, settings = ports.store, ports.vault, ports.clock, ports.settings.current
    own_presets = ports.home.config / "providers"
    runner = Runner(ports.transport)
    env = FlowEnv(lambda: ports.entropy(16), clock)
    events = EventBus(store, clock)
    catalogue = ports.presets
    contexts = ContextBuilder(catalogue, vault, env)
    grants = GrantStore(vault)
    revocations = Revocations(vault, store, contexts, runner, env)
    state = AccountState(store, events, settings, clock)
    schedule = Schedule(store, settings)
    reader = GrantReader(grants, store, state, schedule, clock)
    intents = Intents(store, clock)
    saving = Saving(grants, store, ports.locks, revocations, state, clock, ports.save_for)
    if ports.start_saver is not None:
        saving.stand_by = ports.start_saver
    endpoint = TokenEndpoint(contexts, runner, env)
    judge = Judge(reader, intents, state, contexts, clock)
    keeper = Keeper(ports.locks, reader, intents, endpoint, saving, judge, state)
    recovery = Recovery(store, grants, state, codec.description, codec.load_record)
    views = AccountViews(contexts, ports.locks, schedule, events, clock)
    check = IdentityCheck(store, keeper, contexts, runner, events, env)
    disconnector = Disconnector(store, grants, ports.locks, revocations, keeper, events, clock)
    accounts = Accounts(store, keeper, contexts, views, check, disconnector, recovery.describe)
    clients = Clients(store, vault, contexts, runner, ports.environment, ports.new_id)
    entries = AccountEntries(vault, grants, ports.labels)
    traces = Traces(store, clock)
    preparation = Preparation(catalogue, store, accounts, disconnector, clients, ports.entropy)
    sign_in = SignIn(
        preparation,
        Journal(store, ports.locks, grants, clock),
        _methods(ports, runner, clients, env),
        Commit(store, entries, ports.locks, revocations, events, settings, clock),
        GiveBack(revocations, entries),
        accounts,
        traces,
        recovery.describe,
    )
    renewer = Renewer(
        keeper, schedule, disconnector, store, events, clock, lambda job: ports.spawn(job, "renewal")
    )
    renewer.first = recovery.describe_older
    presets = Presets(catalogue, runner, clients, own_presets, write_private)
    wiring = Wiring(
        ports.home.state,
        ports.tool_files,
        ports.output_of,
        home=ports.user_home,
        environment=ports.environment,
    )
    tool_setup = ToolSetup(accounts, wiring, ToolKeys(ports.home.state), ports.user_home)
    return Engine(
        home=ports.home,
        providers=catalogue,
        settings=ports.settings,
        vault=vault,
        store=store,
        store_path=ports.store_path,
        transport=ports.transport,
        locks=ports.locks,
        listeners=ports.listeners,
        browser=ports.browser,
        clock=clock,
        autostart=ports.autostart,
        menu_entry=ports.menu_entry,
        agent_service=ports.agent_service,
        avatars=ports.avatars,
        events=events,
        clients=clients,
        client_keys=ClientKeys(store, vault, ports.new_key, clock),
        accounts=accounts,
        disconnector=disconnector,
        sign_in=sign_in,
        hand_over=HandOver(clock, codec.description),
        take_over=TakeOver(preparation, sign_in, contexts, store, ports.locks, env, codec.load_record),
        keeper=keeper,
        renewer=renewer,
        doctor=_doctor(ports, accounts, wiring, tool_setup),
        aws_roles=AwsRoles(catalogue, runner, vault, store, clock),
        reports=Reports(catalogue, store, traces),
        presets=presets,
        resource_servers=ResourceServers(catalogue, presets, runner),
        signer=Signer(accounts, keeper, contexts, env),
        id_tokens=IdTokens(accounts, keeper, contexts, env.now),
        consents=Consents(store, settings, clock, ports.spawn),
        imports=Imports(
            sign_in,
            ImportedAccounts(catalogue, clients, accounts, store, events, ports.entropy),
            catalogue,
            store,
            home=ports.user_home,
            presets=own_presets,
            environment=ports.environment,
            files=ports.tool_files,
            write=write_private,
        ),
        wiring=wiring,
        tool_setup=tool_setup,
        companions=_companions(ports, accounts),
        recovery=recovery,
        keychain_entries=KeychainEntries(vault, store, revocations),
        encrypted_file=ports.encrypted_file,
        vault_lock=ports.vault_lock,
        team=ports.team,
        after_close=ports.after_close,
        new_secret=lambda count: Secret(ports.entropy(count)),
    )


def _companions(ports: Ports, accounts: Accounts) -> Companions:
    home, user_home = ports.home, ports.user_home
    feeds = ReleaseFeeds(
        home.state / "feeds",
        token=lambda: github_token(accounts),
        github=ports.github,
        transport=ports.transport,
        clock=ports.clock,
    )
    ours = home.data / "tools"
    return Companions(
        ports.companion_files or standard_companions(home.config),
        Probe(user_home, ours, ports.environment),
        CompanionFeeds(feeds, ports.transport, ports.github),
        CompanionState(home.state / "companions.json"),
        (ours, user_home / ".local" / "bin"),
        ports.locks,
        ports.clock,
    )


def _doctor(ports: Ports, accounts: Accounts, wiring: Wiring, setup: ToolSetup) -> Doctor:
    own = ports.presets
    providers = ProviderChecks(
        ports.store.records,
        accounts.views,
        lambda provider: any(each.id == provider and each.origin == "keyfob" for each in own.all()),
        ports.check_transport or ports.transport,
    )
    checks = (*ports.checks, ("tools", lambda: tools_finding(wiring, setup)))
    return Doctor(checks, ports.tray, providers.steps)


def _methods(ports: Ports, runner: Runner, clients: Clients, env: FlowEnv) -> Methods:
    contexts = NewContexts(runner, clients, ports.vault, ports.new_key, env)
    interaction = Interaction(ports.listeners, ports.browser, ports.settings.current, ports.clock)
    return Methods(
        browser=BrowserSignIn(contexts, interaction, runner, ports.entropy, ports.clock),
        device=DeviceSignIn(contexts, interaction, runner, ports.clock),
        atproto=AtprotoSignIn(contexts, clients, interaction, runner, ports.entropy, ports.dns_txt),
        api_key=ApiKeySignIn(runner, env),
        app_password=AppPasswordSignIn(interaction, runner, env),
        password=PasswordSignIn(contexts, interaction, runner, ports.clock),
        client_credentials=ClientCredentialsSignIn(contexts, interaction, runner, ports.clock),
    )


# --- this computer ------------------------------------------------------------------------------------------


def system_ports(
    home: Home | None = None,
    *,
    vault: Vault | None = None,
    lasting: bool = False,
    deadline: float = EXCHANGE_DEADLINE,
    say: Callable[[str], None] | None = None,
    patient: bool = False,
    saver: bool = False,
    window: bool = False,
) -> Ports:
    """This computer's ports, for `home` (default: KEYFOB_HOME, or the platform's folders).

    `vault` replaces the one that the settings name. `lasting` is for the app and the agent, which live on:
    keychain calls run in a helper process, and a received grant is saved however long that takes. `deadline`
    in seconds bounds one exchange with a provider. `say` is for a command with a user at it: a locked
    keychain then opens the system's prompt, and `say` takes a line about it. `patient` is for a command at a
    terminal: it saves as long as that takes, too. For a grant that cannot be saved at once a separate process
    is started, unless the vault is sealed, which that could not open; `saver` is for that process. `window`
    is for a program that asks for the encrypted file's passphrase itself, and not in a terminal. Raises
    Fault `store_*`, and, when `lasting`, SettingWrong for settings that cannot be read. A command gets a
    vault that raises it: what needs no vault works.
    """
    home = home or open_home()
    settings = SettingsFile(home.config / "settings.json")
    store_path = home.data / "accounts.db"
    catalogue = standard(home.config)
    store = SqliteAccountStore(store_path, rule_of=lambda record: token_rule_of(catalogue, record))
    labels = Labels(store)
    kept = vault or _vault(settings, home, labels, lasting=lasting, say=say, window=window)
    lock = LockableVault(kept) if lasting else None

    def save_elsewhere(record: Record, grant: Grant, beside: str) -> bool:
        return settings.current().vault != "sealed" and start_saver(home.id, record, grant, beside)

    return _ports(
        home,
        settings,
        catalogue,
        _Kept(
            store=store,
            vault=lock or kept,
            labels=labels,
            locks=FileLocks(home.state / "locks"),
            start_saver=None if vault is not None or saver else save_elsewhere,
            save_for=timedelta(0) if saver else None if lasting or patient else COMMAND_SAVES_FOR,
            vault_lock=lock,
        ),
        deadline,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where the accounts are kept."""

    store: AccountStore
    vault: Vault
    labels: Labels
    locks: Locks
    start_saver: Callable[[Record, Grant, str], bool] | None = None
    save_for: timedelta | None = None
    vault_lock: VaultLock | None = None


def _ports(home: Home, settings: SettingsFile, catalogue: Catalogue, kept: _Kept, deadline: float) -> Ports:
    """This computer's ports over what is kept."""
    transport = HttpTransport(now, deadline=deadline)
    checking = HttpTransport(now, deadline=min(deadline, CHECK_DEADLINE))
    standing = running_agent.standing
    return Ports(
        home=home,
        settings=settings,
        presets=catalogue,
        store=kept.store,
        store_path=home.data / "accounts.db",
        vault=kept.vault,
        labels=kept.labels,
        transport=transport,
        locks=kept.locks,
        listeners=Loopback(now, entropy, resources()),
        browser=open_browser,
        dns_txt=txt_lookup(),
        clock=now,
        entropy=entropy,
        new_id=lambda: str(uuid4()),
        new_key=new_key,
        spawn=on_a_thread,
        environment=os.environ,
        avatars=FetchedAvatars(home.state / "avatars", transport),
        autostart=LoginEntry(),
        menu_entry=DesktopEntry(),
        agent_service=SystemService(),
        user_home=Path.home(),
        tool_files=tool_files,
        output_of=output_of,
        checks=checks_of(home, settings, kept.vault, kept.store, catalogue, checking, standing),
        tray=tray_finding,
        start_saver=kept.start_saver,
        save_for=kept.save_for,
        check_transport=checking,
        encrypted_file=lambda: encrypted_file(home, kept.vault),
        vault_lock=kept.vault_lock,
    )


# --- a team's accounts --------------------------------------------------------------------------------------


def server_ports(team: TeamDatabase, tenant: str | None, home: Home, *, closes: bool) -> Ports:
    """The ports of a tenant's accounts in PostgreSQL; None: the server's own. Settings and presets are those
    of `home`. A received grant is saved however long that takes. `closes`: the engine closes the database at
    its end. Opens nothing yet.
    """
    store, vault, locks = team.adapters(tenant, lock_name)
    kept = _Kept(store, vault, Labels(store), locks)
    settings = SettingsFile(home.config / "settings.json")
    ports = _ports(home, settings, standard(home.config), kept, EXCHANGE_DEADLINE)
    return replace(ports, team=team, after_close=team.close if closes else nothing)


def team_database(url: str, home: Home, environment: Mapping[str, str]) -> TeamDatabase:
    """The database of a team's accounts, and where its master keys are: the file that KEYFOB_MASTER_KEY_FILE
    names, the command of KEYFOB_MASTER_KEY_COMMAND, or the vault of `home`. Opens nothing yet. Needs the
    packages of the extra `gateway`. Raises SettingWrong.
    """
    from keyfob.adapters.database.team_database import TeamDatabase

    return TeamDatabase.of(url, environment, lambda: _own_vault(home))


def _own_vault(home: Home) -> Vault:
    settings = SettingsFile(home.config / "settings.json").load()
    return choose_vault(settings, home, in_process=True)


API_ANSWER_MOST = 32 * 1024 * 1024  # bytes of an API's answer to a web application


def web_ports(database_url: str, presets: Path) -> WebPorts:
    """This computer's ports for web sign-in with this database. Its locks hold across all servers that use
    the database. `presets` is a folder with a `providers/` of your own presets; it need not exist. Raises
    SettingWrong for a database that is no file and no server.
    """
    locks, close = _locks_beside(database_url)
    return WebPorts(
        presets=standard(presets),
        transport=HttpTransport(now),
        api=HttpTransport(now, body_most=API_ANSWER_MOST),
        locks=locks,
        dns_txt=txt_lookup(),
        clock=now,
        entropy=entropy,
        new_key=new_key,
        dumps=codec.description,
        load=codec.load_record,
        close=close,
    )


def _locks_beside(database_url: str) -> tuple[Locks, Callable[[], None]]:
    """Locks for all who use this database, and what closes them. For SQLite: lock files in a folder beside
    its file.
    """
    if database_url.startswith("postgresql"):
        return server_locks(database_url, None)
    kind, _, file = database_url.partition(":///")
    if not kind.startswith("sqlite") or not file:
        raise SettingWrong("Web sign-in keeps its sessions in a file of SQLite or in PostgreSQL")
    return FileLocks(Path(f"{file}.locks")), lambda: None


def server_locks(database_url: str, tenant: str | None) -> tuple[Locks, Callable[[], None]]:
    """Locks that hold across every process and machine with this PostgreSQL database, and what closes them.
    Opens nothing yet. Needs the packages of the extra `gateway`. Raises SettingWrong for a wrong address.
    """
    from keyfob.adapters.database.advisory_locks import AdvisoryLocks
    from keyfob.adapters.database.database import ServerDatabase

    database = ServerDatabase(database_url)
    locks = AdvisoryLocks(database, tenant)

    def close() -> None:
        locks.close()
        database.close()

    return locks, close


def token_rule_of(catalogue: Catalogue, record: Record) -> str | None:
    """How the fast path of `keyfob token` may hand out this account's token; None: the engine must. Never
    raises.
    """
    provider = record.account.provider
    try:
        # Before the preset is read: a file that changes in the meantime makes the rule void.
        stamps = token_rule.stamps_of(str(path) for path, _ in catalogue.made_of(provider))
        lines = header_lines(record, catalogue.get(provider))
    except (KeyfobError, OSError):
        return None
    return None if lines is None else token_rule.text_of(record.account.id, lines, stamps)


def ask_passphrase() -> Secret:
    """The encrypted file's passphrase, from where the agent would read it, or typed in the terminal. Raises
    KeychainError.
    """
    from keyfob.adapters.vault.passphrase import ask_in_terminal, find_passphrase

    return find_passphrase(ask_in_terminal)(False)


def memory_vault() -> Vault:
    """A vault that forgets everything at the end, for a demo without a keychain."""
    return MemoryVault()


def has_keychain(home: Home) -> bool:
    """Whether the vault that the settings name can be there at all. True also when the settings cannot be
    read.
    """
    try:
        chosen = SettingsFile(home.config / "settings.json").load().vault
    except SettingWrong:
        return True
    return chosen != "keychain" or keychain_there(home.id)


def recover(
    home: Home, say: Callable[[str], None] | None = None, *, window: bool = False
) -> tuple[Recovered, Path | None]:
    """Lists lost accounts again, and returns the path at which a store that was damaged as a whole is kept.
    `say` and `window` as in `system_ports`. Raises Transient `keyfob_running` while an agent or the app has
    the store open, KeychainError, SettingWrong and Fault `store_*`.
    """
    path = home.data / "accounts.db"
    try:
        with FileLocks(home.state / "locks").hold(KEEPER_ROLE, timeout=timedelta(0)):
            aside = set_aside(path)
            SqliteAccountStore(path, anew=True).close()
            engine = build(system_ports(home, say=say, lasting=window, window=window))
            try:
                return engine.recovery.recover(), aside
            finally:
                engine.close()
    except Transient as error:
        raise Transient("Keyfob is running", code="keyfob_running") from error


def _vault(
    files: SettingsFile,
    home: Home,
    labels: Labels,
    *,
    lasting: bool,
    say: Callable[[str], None] | None = None,
    window: bool = False,
) -> Vault:
    """The vault that the settings name, and never another. Raises SettingWrong when `lasting`."""
    ask: Callable[[bool], Secret] | None = None
    if window:
        from keyfob.adapters.vault.passphrase import ask_nowhere

        ask = ask_nowhere
    try:
        settings = files.load()
        vault = choose_vault(settings, home, in_process=not lasting, labels=labels, ask=ask)
        return AskingVault(vault, say) if say is not None and settings.vault == "keychain" else vault
    except SettingWrong as fault:
        if lasting:
            raise
        return UnchosenVault(fault)


def on_a_thread(job: Callable[[], None], name: str) -> None:
    """A thread for each job: the caller limits how many there are, and a daemon thread never delays
    the exit.
    """
    threading.Thread(target=job, name=name, daemon=True).start()
