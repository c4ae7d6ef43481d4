"""The data keys of a team's tenants: each is in the database only as the master keys wrap it.

A tenant has one active data key, which seals what is written; older ones are kept until nothing is sealed
with them. A data key is wrapped by each master key that is listed. So a master key is replaced in three
steps, with no server stopped: list a new one after the old one and wrap every data key with it too
(`rewrap`), bring the list to all servers, then forget the old one (`forget_old`). No secret is sealed again
for that.
"""

from __future__ import annotations

import json
import secrets
import threading

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, text

from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.master_keys import MasterKeys
from keyfob.core.errors import Fault, KeychainError

TRIES = 50  # to find the active data key while it is replaced again and again
# Who writes keeps the active key active until its transaction ends.
_ACTIVE = text("SELECT key_id FROM keyfob_data_keys WHERE tenant = :tenant AND active FOR SHARE")
_RETIRE = text("UPDATE keyfob_data_keys SET active = false WHERE tenant = :tenant AND active")
_NEW = text(
    "INSERT INTO keyfob_data_keys (tenant, key_id, active) VALUES (:tenant, :key_id, true)"
    " ON CONFLICT DO NOTHING RETURNING key_id"
)
_WRAP = text(
    "INSERT INTO keyfob_wrapped_keys (tenant, key_id, master_id, wrapped)"
    " VALUES (:tenant, :key_id, :master_id, :wrapped)"
    " ON CONFLICT (tenant, key_id, master_id) DO UPDATE SET wrapped = excluded.wrapped"
)
_WRAPPED = text(
    "SELECT master_id, wrapped FROM keyfob_wrapped_keys WHERE tenant = :tenant AND key_id = :key_id"
)
_ALL = text("SELECT tenant, key_id FROM keyfob_data_keys ORDER BY tenant, key_id")
_FORGET = text("DELETE FROM keyfob_wrapped_keys WHERE master_id <> :newest")
_UNUSED = text(
    "DELETE FROM keyfob_data_keys AS k WHERE tenant = :tenant AND NOT active AND NOT EXISTS"
    " (SELECT FROM keyfob_secrets AS s WHERE s.tenant = k.tenant AND s.key_id = k.key_id)"
)


class DataKeys:
    """Thread-safe and blocking. Raises Fault `store_*`, and KeychainError as `MasterKeys` does."""

    def __init__(self, database: ServerDatabase, masters: MasterKeys) -> None:
        self._database = database
        self._masters = masters
        self._guard = threading.Lock()
        self._opened: dict[tuple[str, str], AESGCM] = {}

    def active(self, connection: Connection, tenant: str) -> tuple[str, AESGCM]:
        """The key that seals now, inside a transaction. The first one is made here."""
        for _ in range(TRIES):
            name = connection.execute(_ACTIVE, {"tenant": tenant}).scalar()
            if name is not None:
                return str(name), self.key(connection, tenant, str(name))
            # There is none yet. Or the query waited for a replacement, and does not see the key that came
            # with it: the next one does, unless that key was replaced in the meantime too.
            self._make(connection, tenant)
        raise Fault("The account store is busy", code="store_busy")

    def key(self, connection: Connection, tenant: str, name: str) -> AESGCM:
        """The key of this id, inside a transaction. Raises KeychainError `entry_damaged` if there is none."""
        with self._guard:
            found = self._opened.get((tenant, name))
        if found is None:
            found = AESGCM(self._payload(connection, tenant, name))
            with self._guard:
                self._opened[tenant, name] = found
        return found

    def replace(self, connection: Connection, tenant: str) -> None:
        """Make a new active key, inside a transaction. The old one is kept."""
        connection.execute(_RETIRE, {"tenant": tenant})
        self._make(connection, tenant)

    @staticmethod
    def drop_unused(connection: Connection, tenant: str) -> int:
        """Delete the keys that seal nothing any more, inside a transaction; how many."""
        return connection.execute(_UNUSED, {"tenant": tenant}).rowcount

    def rewrap(self) -> int:
        """Wrap the data keys of all tenants with every master key that is listed; how many there are."""

        def work(connection: Connection) -> int:
            keys = connection.execute(_ALL).all()
            for tenant, name in keys:
                self._wrap(connection, tenant, name, self._payload(connection, tenant, name))
            return len(keys)

        return self._database.transaction(work)

    def forget_old(self) -> int:
        """Forget what older master keys wrapped, once the newest one has wrapped everything; how many
        wrappings that were.
        """
        self.rewrap()
        newest = self._masters.newest()
        return self._database.transaction(
            lambda connection: connection.execute(_FORGET, {"newest": newest}).rowcount
        )

    def _make(self, connection: Connection, tenant: str) -> None:
        name = f"dk-{secrets.token_hex(8)}"
        # Another process may be faster: its key is then the active one.
        if connection.execute(_NEW, {"tenant": tenant, "key_id": name}).scalar() is not None:
            self._wrap(connection, tenant, name, AESGCM.generate_key(256))

    def _payload(self, connection: Connection, tenant: str, name: str) -> bytes:
        rows = connection.execute(_WRAPPED, {"tenant": tenant, "key_id": name}).all()
        if not rows:
            raise KeychainError("A data key is missing from the database", code="entry_damaged")
        return self._masters.unwrap({row[0]: bytes(row[1]) for row in rows}, _context(tenant, name))

    def _wrap(self, connection: Connection, tenant: str, name: str, payload: bytes) -> None:
        for master, wrapped in self._masters.wrap(payload, _context(tenant, name)).items():
            words = {"tenant": tenant, "key_id": name, "master_id": master, "wrapped": wrapped}
            connection.execute(_WRAP, words)


def _context(tenant: str, name: str) -> bytes:
    """What a wrapping is bound to: moved to another row it cannot be opened."""
    return json.dumps(["keyfob data key", 1, tenant, name]).encode()
