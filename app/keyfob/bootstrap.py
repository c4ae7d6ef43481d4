"""Builds the engine: the only place that names concrete adapters. Faces receive what it built.

Nothing here talks to the network or the keychain; both come with the first call that needs them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from keyfob.adapters.loopback.listener import Loopback
from keyfob.adapters.network.avatars import Avatars
from keyfob.adapters.network.dns import txt_lookup
from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.store import codec
from keyfob.adapters.store.file_locks import FileLocks
from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.store.sqlite import SqliteAccountStore
from keyfob.adapters.system import tool_files
from keyfob.adapters.system.browser import open_browser
from keyfob.adapters.system.clock import now
from keyfob.adapters.system.doctor_checks import checks_of, tray_finding
from keyfob.adapters.system.entropy import entropy
from keyfob.adapters.system.home import Home, open_home, write_private
from keyfob.adapters.system.keys import new_key
from keyfob.adapters.vault.choice import UnchosenVault, choose_vault
from keyfob.adapters.vault.grant_saver import start_saver
from keyfob.adapters.vault.prompt import AskingVault
from keyfob.core.errors import SettingWrong
from keyfob.core.resources import resources
from keyfob.ports import Locks, Vault
from keyfob.providers.catalogue import Catalogue, standard
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.labels import Labels
from keyfob.service.accounts.recovery import Recovery
from keyfob.service.accounts.renewer import Renewer, Submit
from keyfob.service.accounts.revocations import Revocations
from keyfob.service.accounts.signer import Signer
from keyfob.service.consents import Consents
from keyfob.service.contexts import ContextBuilder, Signing
from keyfob.service.doctor import Doctor
from keyfob.service.events import EventBus
from keyfob.service.new_presets import Presets
from keyfob.service.runner import Runner
from keyfob.service.sign_in.clients import Clients
from keyfob.service.sign_in.deps import SignInDeps
from keyfob.service.sign_in.sign_in import SignIn
from keyfob.tools.imports import Imports

CLI_SAVES_FOR = timedelta(seconds=60)  # a command that nobody sees does not wait for a keychain for ever


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a face may ask. Thread-safe and blocking; no method may be called on a GUI thread."""

    home: Home
    providers: Catalogue
    settings: SettingsFile
    vault: Vault
    store: SqliteAccountStore
    transport: HttpTransport
    events: EventBus
    clients: Clients
    accounts: Accounts
    sign_in: SignIn
    keeper: Keeper
    renewer: Renewer
    doctor: Doctor
    presets: Presets
    avatars: Avatars
    signing: Signing
    signer: Signer
    consents: Consents
    imports: Imports
    locks: Locks
    recovery: Recovery
    store_path: Path
    before_close: Callable[[], None] = lambda: None  # whoever serves this engine's sockets ends that here

    def close(self) -> None:
        """Ends what was started on the side. A renewal that has begun is waited for, at most 40 s."""
        self.before_close()
        self.renewer.settled(timedelta(seconds=40))
        for part in (self.vault, self.store):
            closing = getattr(part, "close", None)
            if closing is not None:
                closing()


def build(
    home: Home | None = None,
    *,
    vault: Vault | None = None,
    lasting: bool = False,
    submit: Submit | None = None,
    deadline: float = 30.0,
    say: Callable[[str], None] | None = None,
    patient: bool = False,
    saver: bool = False,
) -> Engine:
    """An engine on `home` (default: where KEYFOB_HOME or the platform says).

    `lasting` for the app and the agent, which live on: keychain calls run in a helper process and a received grant
    is saved however long that takes. `deadline` in seconds bounds one exchange with a provider. `say` is for a
    command with a person at it: a locked keychain then opens the system's prompt, and `say` takes a line about it.
    `patient` is for a command at a terminal: it saves as long as that takes, too. For a grant that cannot be saved at
    once a process of its own is started, unless the vault is sealed, which that could not open; `saver` is for that one.
    Raises Fault `store_*`, and SettingWrong: when `lasting`, also for settings that cannot be read. A command is then
    built all the same, with a vault that raises it: what needs no vault works.
    """
    home = home or open_home()
    files = SettingsFile(home.config / "settings.json")

    settings = files.current
    store_path = home.data / "accounts.db"
    store = SqliteAccountStore(store_path)
    labels = Labels(store)
    kept = vault or _vault(files, home, labels, lasting=lasting, say=say)
    transport = HttpTransport(now, deadline=deadline)
    runner = Runner(transport)
    locks = FileLocks(home.state / "locks")
    signing = Signing(entropy, now)
    events = EventBus(store, now)
    catalogue = standard(home.config)
    plans = ContextBuilder(catalogue, kept)
    grants = GrantStore(kept)
    revocations = Revocations(kept, store, plans, runner, signing)
    keeper = Keeper(
        grants,
        store,
        locks,
        plans,
        runner,
        revocations,
        events,
        settings,
        signing,
        save_for=timedelta(0) if saver else None if lasting or patient else CLI_SAVES_FOR,
    )
    if vault is None and not saver:
        keeper.saving.stand_by = lambda record, grant, beside: (
            settings().vault != "sealed" and start_saver(home.id, record, grant, beside)
        )
    recovery = Recovery(store, grants, keeper.state, codec.description, codec.load_record)
    accounts = Accounts(
        store, keeper, grants, locks, plans, runner, revocations, events, signing, recovery.describe
    )
    clients = Clients(store, kept, plans, runner, os.environ, lambda: str(uuid4()))
    deps = SignInDeps(
        catalogue=catalogue,
        plans=plans,
        clients=clients,
        grants=grants,
        store=store,
        vault=kept,
        labels=labels,
        locks=locks,
        runner=runner,
        listeners=Loopback(now, entropy, resources() / "pages"),
        browser=open_browser,
        events=events,
        accounts=accounts,
        revocations=revocations,
        settings=settings,
        signing=signing,
        new_key=new_key,
        dns_txt=txt_lookup(),
        describe=recovery.describe,
    )
    sign_in = SignIn(deps)
    renewer = Renewer(keeper, accounts, store, events, now, submit or on_a_thread)
    renewer.first = recovery.describe_older
    return Engine(
        home=home,
        providers=catalogue,
        settings=files,
        vault=kept,
        store=store,
        transport=transport,
        events=events,
        clients=clients,
        accounts=accounts,
        sign_in=sign_in,
        keeper=keeper,
        renewer=renewer,
        doctor=Doctor(checks_of(home, files, kept, store, catalogue, transport), tray_finding),
        presets=Presets(catalogue, runner, clients, home.config / "providers", write_private),
        avatars=Avatars(home.state / "avatars", transport),
        signing=signing,
        signer=Signer(accounts, keeper, plans, signing),
        consents=Consents(store, settings, now, on_a_thread),
        imports=Imports(
            deps,
            sign_in,
            home=Path.home(),
            presets=home.config / "providers",
            environment=os.environ,
            table=tool_table,
            read=tool_files.read,
            blank=tool_files.blank,
            write=write_private,
        ),
        locks=locks,
        recovery=recovery,
        store_path=store_path,
    )


def _vault(
    files: SettingsFile,
    home: Home,
    labels: Labels,
    *,
    lasting: bool,
    say: Callable[[str], None] | None = None,
) -> Vault:
    """The vault that the settings name, and never another. Raises SettingWrong when `lasting`."""
    try:
        settings = files.load()
        vault = choose_vault(settings, home, in_process=not lasting, labels=labels)
        return AskingVault(vault, say) if say is not None and settings.vault == "keychain" else vault
    except SettingWrong as fault:
        if lasting:
            raise
        return UnchosenVault(fault)


def tool_table() -> dict[str, Any]:
    """`tools.toml`: what tools call a provider."""
    import tomllib  # for importing alone

    return tomllib.loads((resources() / "tools.toml").read_text("utf-8"))


def on_a_thread(job: Callable[[], None], name: str = "renewal") -> None:
    """A thread for each job: whoever asks for one bounds how many there are, and a daemon never holds up the exit."""
    threading.Thread(target=job, name=name, daemon=True).start()
