"""A tenant's secrets in the database, sealed: what `EntryVault` makes a `ports.Vault` of."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.master_keys import MasterKeys
from keyfob.adapters.database.sealing import NotOpenedError, new_key, seal, unseal
from keyfob.adapters.database.tables import DATA_KEYS, SECRETS
from keyfob.core.errors import Fault, KeychainError, SettingWrong

TITLE = "the team's database"


class SealedSecrets:
    """`adapters.vault.entries.Entries` for one tenant. Data keys stay in memory once they were unwrapped."""

    def __init__(self, database: ServerDatabase, tenant: str | None, master: MasterKeys) -> None:
        """The database stays the caller's."""
        self._database, self._tenant, self._master = database, tenant or "", master
        self._guard = threading.Lock()
        self._known: dict[str, bytes] = {}

    title = TITLE
    persistent = True
    limit: int | None = None

    def get(self, name: str) -> str | None:
        """As `Entries` says."""
        with _keychain_errors(), self._database.begin() as connection:
            row = connection.execute(select(SECRETS).where(self._mine(name))).one_or_none()
            if row is None:
                return None
            key = self._data_key(connection, row.key_id)
        try:
            return unseal(key, row.sealed, "secret", self._tenant, name, row.key_id).decode("ascii")
        except (NotOpenedError, UnicodeDecodeError):
            raise KeychainError(
                "A secret in the database is damaged, or belongs to another row", code="entry_damaged"
            ) from None

    def put(self, name: str, text: str) -> None:
        """As `Entries` says."""
        with _keychain_errors(), self._database.begin() as connection:
            key_id, key = self._current_key(connection)
            sealed = seal(key, text.encode("ascii"), "secret", self._tenant, name, key_id)
            values = {"key_id": key_id, "sealed": sealed}
            made = insert(SECRETS).values(tenant=self._tenant, name=name, **values)
            connection.execute(made.on_conflict_do_update(index_elements=["tenant", "name"], set_=values))

    def drop(self, name: str) -> None:
        """As `Entries` says."""
        with _keychain_errors(), self._database.begin() as connection:
            connection.execute(delete(SECRETS).where(self._mine(name)))

    def names(self, prefix: str) -> list[str]:
        """As `Entries` says."""
        wanted = select(SECRETS.c.name).where(
            SECRETS.c.tenant == self._tenant, func.starts_with(SECRETS.c.name, prefix)
        )
        with _keychain_errors(), self._database.begin() as connection:
            return list(connection.scalars(wanted))

    def rotate_data_key(self) -> int:
        """Seals every secret of the tenant under a new data key, in one transaction. Returns how many.

        Raises KeychainError. Other processes go on: a row says which key it is under.
        """
        with _keychain_errors(), self._database.begin() as connection:
            key_id, key = self._new_key(connection)
            rows = connection.execute(
                select(SECRETS).where(SECRETS.c.tenant == self._tenant).with_for_update()
            ).all()
            for row in rows:
                old = self._data_key(connection, row.key_id)
                plain = unseal(old, row.sealed, "secret", self._tenant, row.name, row.key_id)
                sealed = seal(key, plain, "secret", self._tenant, row.name, key_id)
                connection.execute(
                    update(SECRETS).where(self._mine(row.name)).values(key_id=key_id, sealed=sealed)
                )
            connection.execute(
                update(DATA_KEYS)
                .where(DATA_KEYS.c.tenant == self._tenant, DATA_KEYS.c.key_id != key_id)
                .values(retired_at=datetime.now(UTC))
            )
        return len(rows)

    # --- data keys ----------------------------------------------------------------------------------------

    def _mine(self, name: str) -> ColumnElement[bool]:
        return (SECRETS.c.tenant == self._tenant) & (SECRETS.c.name == name)

    def _data_key(self, connection: Connection, key_id: str) -> bytes:
        with self._guard:
            known = self._known.get(key_id)
        if known is not None:
            return known
        here = (DATA_KEYS.c.tenant == self._tenant) & (DATA_KEYS.c.key_id == key_id)
        row = connection.execute(select(DATA_KEYS).where(here)).one_or_none()
        if row is None:
            raise KeychainError("The key of a secret in the database is missing", code="entry_damaged")
        key = self._master.unwrap(row.wrapped, row.master_id, self._tenant, key_id)
        with self._guard:
            self._known[key_id] = key
        return key

    def _current_key(self, connection: Connection) -> tuple[str, bytes]:
        # Shared with other writers, exclusive against a rotation, until this transaction ends.
        connection.execute(
            select(func.pg_advisory_xact_lock_shared(func.hashtextextended(f"data-key/{self._tenant}", 0)))
        )
        wanted = (
            select(DATA_KEYS.c.key_id)
            .where(DATA_KEYS.c.tenant == self._tenant, DATA_KEYS.c.retired_at.is_(None))
            .order_by(DATA_KEYS.c.created_at.desc(), DATA_KEYS.c.key_id)
            .limit(1)
        )
        key_id = connection.scalar(wanted)
        if key_id is not None:
            return key_id, self._data_key(connection, key_id)
        return self._new_key(connection, rotating=False)

    def _new_key(self, connection: Connection, *, rotating: bool = True) -> tuple[str, bytes]:
        if rotating:
            connection.execute(
                select(func.pg_advisory_xact_lock(func.hashtextextended(f"data-key/{self._tenant}", 0)))
            )
        key_id, key = secrets.token_hex(8), new_key()
        master_id, wrapped = self._master.wrap(key, self._tenant, key_id)
        connection.execute(
            insert(DATA_KEYS).values(
                tenant=self._tenant,
                key_id=key_id,
                master_id=master_id,
                wrapped=wrapped,
                created_at=datetime.now(UTC),
            )
        )
        return key_id, key


def rewrap(database: ServerDatabase, master: MasterKeys) -> int:
    """Wraps every data key of every tenant under the master key that wraps now, in one transaction. Returns
    how many were under another. The secrets stay as they are. Raises KeychainError, Fault.
    """
    current = master.current
    with database.begin() as connection:
        rows = connection.execute(
            select(DATA_KEYS).where(DATA_KEYS.c.master_id != current).with_for_update()
        ).all()
        for row in rows:
            key = master.unwrap(row.wrapped, row.master_id, row.tenant, row.key_id)
            name, wrapped = master.wrap(key, row.tenant, row.key_id)
            here = (DATA_KEYS.c.tenant == row.tenant) & (DATA_KEYS.c.key_id == row.key_id)
            connection.execute(update(DATA_KEYS).where(here).values(master_id=name, wrapped=wrapped))
    return len(rows)


@contextmanager
def _keychain_errors() -> Iterator[None]:
    """The database's errors as a vault's, so that whoever saves a grant tries again."""
    try:
        yield
    except Fault as error:
        raise KeychainError(error.message, code="keychain_timeout") from None
    except SettingWrong as error:
        raise KeychainError(error.message, code="keychain_refused", remedy=error.remedy) from None
