"""The engine of a team's server: its accounts, secrets and locks are in PostgreSQL.

Any number of processes on any number of machines may use one database: each account is renewed once. There is
one engine for each tenant, and one for the server's own accounts. Presets and settings are this computer's.

Needs the packages of `keyfob[gateway]`.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keyfob.core.errors import KeychainError, SettingWrong
from keyfob.engine import Engine, Ports, build, system_ports
from keyfob.service.accounts.labels import Labels

if TYPE_CHECKING:
    from keyfob.adapters.database.advisory_locks import AdvisoryLocks
    from keyfob.adapters.database.master_keys import KeyList, MasterKeys
    from keyfob.ports import Vault
    from keyfob.process.home import Home

VARIABLE: Final = "KEYFOB_DATABASE_URL"
KEY_FILE, KEY_COMMAND = "KEYFOB_MASTER_KEY_FILE", "KEYFOB_MASTER_KEY_COMMAND"
ENTRIES = "team"  # where a home's id stands in the names of secrets: all machines share them


def team_database(environ: Mapping[str, str]) -> str | None:
    """The address of the database that holds the accounts, None if this computer's own store does."""
    address = environ.get(VARIABLE, "")
    return address if address.startswith(("postgresql:", "postgresql+", "postgres:")) else None


class Team:
    """One database and its engines. Thread-safe. It is closed with its last engine."""

    def __init__(self, address: str, environ: Mapping[str, str], home: Home, *, lasting: bool) -> None:
        """Opens the database and brings its tables up to date. Blocks. `lasting` as in `system_ports`.

        Raises Fault `store_unreachable`, SettingWrong for a wrong address or master key, KeychainError if the
        master key cannot be had.
        """
        from keyfob.adapters.database.database import ServerDatabase

        self._local = system_ports(home, lasting=lasting)
        self._master = master_keys(environ, self._local.vault)
        self._database = ServerDatabase(address)
        self._database.ready()
        self._guard = threading.Lock()
        self._engines: dict[str | None, Engine] = {}
        self._open = 0
        self._locks: list[AdvisoryLocks] = []

    def of(self, tenant: str | None) -> Engine:
        """The engine of a tenant's accounts; None: the server's own."""
        with self._guard:
            if tenant not in self._engines:
                self._engines[tenant] = build(self._ports(tenant))
                self._open += 1
            return self._engines[tenant]

    def tenants(self) -> list[str]:
        """Those that have accounts. Raises Fault."""
        from keyfob.adapters.database.account_store import tenants

        return tenants(self._database)

    def rotate_master_key(self) -> int:
        """Wraps every data key under the master key that comes first now. Returns how many were under
        another. Raises KeychainError, Fault.
        """
        from keyfob.adapters.database.sealed_secrets import rewrap

        return rewrap(self._database, self._master)

    def rotate_data_keys(self) -> int:
        """Seals every secret of every tenant under a new data key. Returns how many. Raises KeychainError."""
        from keyfob.adapters.database.sealed_secrets import SealedSecrets

        owners = [None, *self.tenants()]
        return sum(SealedSecrets(self._database, one, self._master).rotate_data_key() for one in owners)

    def close(self) -> None:
        """Closes the engines, and then the connections. Renewals that have begun are waited for."""
        with self._guard:
            engines = list(self._engines.values())
        for engine in engines:
            engine.close()
        if not engines:
            self._end()

    def _one_closed(self) -> None:
        with self._guard:
            self._open -= 1
            last = self._open == 0
        if last:
            self._end()

    def _end(self) -> None:
        for locks in self._locks:
            locks.close()
        self._database.close()

    def _ports(self, tenant: str | None) -> Ports:
        from keyfob.adapters.database.account_store import DatabaseAccountStore
        from keyfob.adapters.database.advisory_locks import AdvisoryLocks
        from keyfob.adapters.database.sealed_secrets import SealedSecrets
        from keyfob.adapters.store.settings_file import SettingsFile
        from keyfob.adapters.system.doctor_checks import checks_of
        from keyfob.adapters.vault.entries import EntryVault
        from keyfob.client import running_agent

        store = DatabaseAccountStore(self._database, tenant)
        store.closing = self._one_closed
        vault = EntryVault(ENTRIES, SealedSecrets(self._database, tenant, self._master))
        local = self._local
        locks = AdvisoryLocks(self._database, tenant)
        self._locks.append(locks)
        return replace(
            local,
            store=store,
            vault=vault,
            labels=Labels(store),
            locks=locks,
            start_saver=None,  # another process could not open the database's secrets
            vault_lock=None,
            checks=checks_of(
                local.home,
                SettingsFile(local.home.config / "settings.json"),
                vault,
                store,
                local.presets,
                local.check_transport or local.transport,
                running_agent.standing,
            ),
        )


def master_keys(environ: Mapping[str, str], keychain: Vault) -> MasterKeys:
    """Where the environment says the master keys are; without a word, in the keychain. Raises SettingWrong,
    KeychainError.
    """
    from keyfob.adapters.database.master_keys import CommandMasterKeys, KeptMasterKeys

    command = environ.get(KEY_COMMAND)
    if not command:
        return KeptMasterKeys(_key_list(environ, keychain))
    if environ.get(KEY_FILE):
        raise SettingWrong(f"{KEY_FILE} and {KEY_COMMAND} cannot both be set")
    return CommandMasterKeys(shlex.split(command))


def new_key_file(file: Path) -> str:
    """Makes a file with a master key. Returns the key's id. Raises SettingWrong if it is there already."""
    from keyfob.adapters.database.master_keys import FileKeys

    return FileKeys(file).create()


def add_master_key(environ: Mapping[str, str], keychain: Vault) -> str:
    """Adds a master key that is not used yet. Returns its id. Raises SettingWrong, KeychainError."""
    from keyfob.adapters.database.master_keys import add_key

    return add_key(_key_list(environ, keychain))


def use_newest_master_key(environ: Mapping[str, str], keychain: Vault) -> None:
    """Puts the newest master key first; makes one if there is one alone. Raises as `add_master_key`."""
    from keyfob.adapters.database.master_keys import use_newest

    if not environ.get(KEY_COMMAND):
        use_newest(_key_list(environ, keychain))


def _key_list(environ: Mapping[str, str], keychain: Vault) -> KeyList:
    from keyfob.adapters.database.master_keys import FileKeys, VaultKeys

    if environ.get(KEY_COMMAND):
        raise SettingWrong(f"The command in {KEY_COMMAND} keeps the master key. Make a new one there")
    file = environ.get(KEY_FILE)
    if file:
        return FileKeys(Path(file))
    try:
        return VaultKeys(keychain)
    except KeychainError as error:
        raise KeychainError(
            f"The database's secrets need a master key, and the keychain cannot keep one: {error.message}",
            code=error.code,
            remedy=f"Run: keyfob gateway master-key new FILE, and set {KEY_FILE}=FILE",
        ) from None
