"""A team's database as a whole: its connections, its master keys, and the three adapters of a tenant."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import text

from keyfob.adapters.database.account_store import DatabaseAccountStore
from keyfob.adapters.database.advisory_locks import AdvisoryLocks
from keyfob.adapters.database.data_keys import DataKeys
from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.fences import Fences
from keyfob.adapters.database.master_keys import (
    CommandKeys,
    KeychainEntry,
    KeyFile,
    ListedKeys,
    MasterKeys,
    key_id,
    listed,
    new_key,
)
from keyfob.adapters.database.sealed_vault import SealedDatabaseVault
from keyfob.core.errors import SettingWrong
from keyfob.ports import AccountStore, Locks, Vault
from keyfob.process.team_accounts import KEY_COMMAND, KEY_FILE

_TENANTS = text("SELECT DISTINCT tenant FROM keyfob_accounts ORDER BY tenant")
_SEALED = text("SELECT DISTINCT tenant FROM keyfob_data_keys ORDER BY tenant")


class TeamDatabase:
    """Thread-safe. Opened by the first call that needs it."""

    def __init__(self, database: ServerDatabase, keys: KeyFile | KeychainEntry | CommandKeys) -> None:
        self._database = database
        self._keys = keys
        self.masters: MasterKeys = (
            keys if isinstance(keys, CommandKeys) else ListedKeys(keys.read, keys.place)
        )
        self._locks: dict[str | None, AdvisoryLocks] = {}

    @classmethod
    def of(cls, url: str, environment: Mapping[str, str], keychain: Callable[[], Vault]) -> TeamDatabase:
        """`keychain` is asked for if the environment names no master key. Raises SettingWrong."""
        file, command = environment.get(KEY_FILE), environment.get(KEY_COMMAND)
        if file and command:
            raise SettingWrong(f"{KEY_FILE} and {KEY_COMMAND} cannot both be set")
        keys: KeyFile | KeychainEntry | CommandKeys
        if command:
            try:
                keys = CommandKeys(shlex.split(command))
            except ValueError:
                raise SettingWrong(f"{KEY_COMMAND} is not a command line") from None
        elif file:
            keys = KeyFile(Path(file))
        else:
            keys = KeychainEntry(keychain)
        return cls(ServerDatabase(url), keys)

    def adapters(
        self, tenant: str | None, lock_name: Callable[[str], str]
    ) -> tuple[AccountStore, Vault, Locks]:
        """The accounts of a tenant. `lock_name`: the name of an account's lock."""
        locks = self._locks.setdefault(tenant, AdvisoryLocks(self._database, tenant))
        fences = Fences(lock_name, locks.generation)
        store = DatabaseAccountStore(self._database, tenant, fences)
        return store, SealedDatabaseVault(self._database, tenant, self.masters, fences), locks

    def tenants(self) -> Sequence[str | None]:
        """Those that have accounts; None for the server's own. Raises Fault `store_*`."""
        rows = self._database.transaction(lambda connection: connection.execute(_TENANTS).all())
        return [row[0] or None for row in rows]

    def close(self) -> None:
        """Close all connections. Later calls raise Fault."""
        for locks in self._locks.values():
            locks.close()
        self._database.close()

    # --- master keys ----------------------------------------------------------------------------------------

    @property
    def keys_are_listed(self) -> bool:
        """Whether Keyfob has the master keys itself, and no command."""
        return not isinstance(self._keys, CommandKeys)

    @property
    def place(self) -> str:
        """Where the master keys are, in words."""
        return "The command" if isinstance(self._keys, CommandKeys) else self._keys.place

    def master_ids(self) -> list[str]:
        """The ids of the listed master keys, the newest last. Raises KeychainError."""
        return [key_id(key) for key in self._listed()]

    def add_master_key(self) -> str:
        """List a new master key after the others; its id. It wraps nothing yet. Raises KeychainError."""
        assert not isinstance(self._keys, CommandKeys)
        key = new_key()
        self._keys.write([*self._listed(), key])
        return key_id(key)

    def rewrap(self) -> int:
        """As `DataKeys.rewrap`."""
        return DataKeys(self._database, self.masters).rewrap()

    def forget_old(self) -> int:
        """As `DataKeys.forget_old`; then only the newest master key stays in the list."""
        count = DataKeys(self._database, self.masters).forget_old()
        if not isinstance(self._keys, CommandKeys):
            self._keys.write(self._listed()[-1:])
        return count

    def replace_data_keys(self) -> int:
        """A new data key for each tenant, and every secret sealed with it; how many secrets."""
        rows = self._database.transaction(lambda connection: connection.execute(_SEALED).all())
        vaults = (SealedDatabaseVault(self._database, row[0], self.masters) for row in rows)
        return sum(vault.replace_data_key() for vault in vaults)

    def _listed(self) -> list[bytes]:
        assert not isinstance(self._keys, CommandKeys)
        return listed(self._keys.read(), self._keys.place)
