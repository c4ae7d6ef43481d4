"""The secrets of one tenant in PostgreSQL, sealed with the tenant's data key (AES-256-GCM).

Each entry is bound to its tenant, its name and its data key, so an entry that was moved or copied over
another one cannot be opened. The database, its backups and its replicas hold nothing that opens it: see
`master_keys.py`.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, text

from keyfob.adapters.database.data_keys import DataKeys
from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.fences import NO_FENCES, Fences, overtaken
from keyfob.adapters.database.master_keys import NONCE, MasterKeys
from keyfob.adapters.vault.entries import check_name, check_value
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import Fault, KeychainError
from keyfob.core.secret import Secret
from keyfob.ports import VaultHealth, unhealthy

T = TypeVar("T")
TITLE = "PostgreSQL"
PROBE = "probe"

_LOAD = text("SELECT key_id, sealed FROM keyfob_secrets WHERE tenant = :tenant AND name = :name")
_SAVE = text(
    "INSERT INTO keyfob_secrets AS s (tenant, name, key_id, sealed, generation)"
    " VALUES (:tenant, :name, :key_id, :sealed, :generation) ON CONFLICT (tenant, name)"
    " DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed,"
    " generation = greatest(s.generation, excluded.generation)"
    " WHERE NOT :fenced OR s.generation <= excluded.generation RETURNING key_id, sealed"
)
_DELETE = text("DELETE FROM keyfob_secrets WHERE tenant = :tenant AND name = :name")
_NAMES = text('SELECT name FROM keyfob_secrets WHERE tenant = :tenant ORDER BY name COLLATE "C"')
_OLDER = text(
    "SELECT name, key_id, sealed FROM keyfob_secrets WHERE tenant = :tenant AND key_id <> :key_id FOR UPDATE"
)
_SEAL_AGAIN = text(
    "UPDATE keyfob_secrets SET key_id = :key_id, sealed = :sealed WHERE tenant = :tenant AND name = :name"
)
# What a database error means for who waits for a secret.
_AS_VAULT: dict[str, ErrorCode] = {
    "store_unreachable": "vault_unreachable",
    "store_busy": "keychain_timeout",
    "store_unwritable": "vault_unwritable",
}


class SealedDatabaseVault:
    """A `ports.Vault`. Thread-safe. Each call ends within the database's timeouts.

    Raises KeychainError `vault_unreachable`, `vault_unwritable`, `keychain_timeout`, `entry_damaged`,
    `master_key_missing`, `master_key_wrong`; Fault `store_busy` for a write that comes too late
    (`fences.py`).
    """

    def __init__(
        self,
        database: ServerDatabase,
        tenant: str | None,
        masters: MasterKeys,
        fences: Fences = NO_FENCES,
    ) -> None:
        """Connects at the first call, which asks for the master key too."""
        self._database = database
        self._tenant = tenant or ""
        self._keys = DataKeys(database, masters)
        self._fences = fences

    def load(self, name: str) -> Secret | None:
        """The secret, None if there is none."""
        check_name(name)

        def work(connection: Connection) -> Secret | None:
            row = connection.execute(_LOAD, {"tenant": self._tenant, "name": name}).one_or_none()
            return None if row is None else self._open(connection, name, row[0], bytes(row[1]))

        return self._transaction(work)

    def save(self, name: str, value: Secret) -> None:
        """Write or replace, and open again what was written, in one transaction."""
        check_name(name)
        plain = check_value(value)
        # A slot that a newer holder of the account's lock has written is left as it is. What nobody has
        # overwritten is saved even by a holder that lost its lock: it may be the only good refresh token.
        account, slash, _ = name.partition("/")
        generation = self._fences.generation(account) if slash else None

        def work(connection: Connection) -> bool:
            key_id, key = self._keys.active(connection, self._tenant)
            nonce = secrets.token_bytes(NONCE)
            words = {
                "tenant": self._tenant,
                "name": name,
                "key_id": key_id,
                "sealed": nonce + key.encrypt(nonce, plain.encode(), self._bound(name, key_id)),
                "generation": generation or 0,
                "fenced": generation is not None,
            }
            row = connection.execute(_SAVE, words).one_or_none()
            if row is None:
                return False
            if self._open(connection, name, row[0], bytes(row[1])) != value:
                raise KeychainError("The database did not keep what was saved", code="keychain_write_lost")
            return True

        if not self._transaction(work):
            raise overtaken()

    def delete(self, name: str) -> None:
        """Forget; no error if there was none."""
        check_name(name)
        self._transaction(
            lambda connection: connection.execute(_DELETE, {"tenant": self._tenant, "name": name})
        )

    def names(self) -> Sequence[str]:
        """All entries of this tenant, in order."""
        rows = self._transaction(
            lambda connection: connection.execute(_NAMES, {"tenant": self._tenant}).all()
        )
        return [str(row[0]) for row in rows]

    def probe(self) -> VaultHealth:
        """Whether the database and the master key can be used. Never raises a KeychainError."""
        try:
            value = Secret(secrets.token_hex(8))
            name = f"{PROBE}-{secrets.token_hex(4)}"
            self.save(name, value)
            try:
                if self.load(name) != value:
                    raise KeychainError("The database lost what was saved", code="keychain_write_lost")
            finally:
                with suppress(KeychainError):
                    self.delete(name)
        except KeychainError as error:
            return unhealthy(error, TITLE)
        return VaultHealth(True, TITLE)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """Nothing to unlock, and nobody to ask: raises what is missing."""
        self._transaction(lambda connection: self._keys.active(connection, self._tenant))

    def replace_data_key(self) -> int:
        """Make a new data key and seal every secret with it; how many. The old one is deleted, unless an
        entry that cannot be opened was sealed with it.
        """

        def work(connection: Connection) -> int:
            self._keys.replace(connection, self._tenant)
            key_id, key = self._keys.active(connection, self._tenant)
            count = 0
            for name, old, sealed in connection.execute(
                _OLDER, {"tenant": self._tenant, "key_id": key_id}
            ).all():
                try:
                    value = self._open(connection, name, old, bytes(sealed))
                except KeychainError as error:
                    if error.code != "entry_damaged":
                        raise
                    continue
                nonce = secrets.token_bytes(NONCE)
                words = {
                    "tenant": self._tenant,
                    "name": name,
                    "key_id": key_id,
                    "sealed": nonce + key.encrypt(nonce, value.reveal().encode(), self._bound(name, key_id)),
                }
                connection.execute(_SEAL_AGAIN, words)
                count += 1
            self._keys.drop_unused(connection, self._tenant)
            return count

        return self._transaction(work)

    def _open(self, connection: Connection, name: str, key_id: str, sealed: bytes) -> Secret:
        key = self._keys.key(connection, self._tenant, key_id)
        try:
            return Secret(key.decrypt(sealed[:NONCE], sealed[NONCE:], self._bound(name, key_id)).decode())
        except (InvalidTag, ValueError):
            raise KeychainError("A secret in the database is damaged", code="entry_damaged") from None

    def _bound(self, name: str, key_id: str) -> bytes:
        """What an entry is bound to."""
        return json.dumps(["keyfob secret", 1, self._tenant, name, key_id]).encode()

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        try:
            return self._database.transaction(work)
        except Fault as fault:
            code = _AS_VAULT.get(fault.code)
            if code is None:
                raise
            raise KeychainError(fault.message, code=code, detail=fault.detail) from None
