"""Accounts and secrets in a real PostgreSQL keep what the local ones keep, and tenants apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from contract.test_account_store import AccountStoreContract
from contract.vault_contract import Make, VaultContract
from keyfob.adapters.database.account_store import DatabaseAccountStore
from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.master_keys import (
    CommandMasterKeys,
    FileKeys,
    KeptMasterKeys,
    VaultKeys,
    add_key,
    id_of,
    use_newest,
)
from keyfob.adapters.database.sealed_secrets import SealedSecrets, rewrap
from keyfob.adapters.vault.entries import EntryVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import Fault, KeychainError, SettingWrong
from keyfob.core.secret import Secret
from support.postgres import Postgres
from support.records import a_record

pytestmark = pytest.mark.servers
HOME = "1f" * 16


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def database(server: Postgres) -> Iterator[ServerDatabase]:
    opened = ServerDatabase(server.url)
    yield opened
    opened.close()


def kept(path: Path) -> KeptMasterKeys:
    return KeptMasterKeys(FileKeys(path))


@pytest.fixture
def tenant() -> str:
    """A tenant for each test: what it does, no other sees."""
    return f"tenant-{uuid4().hex}"


class TestDatabaseAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self, database: ServerDatabase, tenant: str) -> DatabaseAccountStore:
        return DatabaseAccountStore(database, tenant)

    def test_tenants_do_not_see_each_other(self, database: ServerDatabase, tenant: str) -> None:
        mine, theirs = DatabaseAccountStore(database, tenant), DatabaseAccountStore(database, f"{tenant}-2")
        mine.put(a_record())
        mine.write("client/x", "1")
        assert (list(theirs.records()), theirs.get("k1"), theirs.read("client/x")) == ([], None, None)
        theirs.put(a_record())  # the same id is free there
        theirs.remove("k1")
        assert mine.get("k1") == a_record()
        assert theirs.data_version() > 0

    def test_s83_a_row_that_cannot_be_read_takes_no_other_away(
        self, database: ServerDatabase, store: DatabaseAccountStore, tenant: str
    ) -> None:
        store.put(a_record("k1"))
        store.put(a_record("k2", label="bob"))
        with database.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE keyfob_accounts SET record = 'nonsense' WHERE tenant = %s AND key = 'k1'", (tenant,)
            )
        assert [record.account.key for record in store.records()] == ["k2"]
        assert [unread.key for unread in store.unread()] == ["k1"]
        with pytest.raises(Fault) as caught:
            store.put(a_record("k1"))
        assert caught.value.code == "store_damaged"
        store.restore(a_record("k1"))
        assert (store.get("k1"), store.read("damaged/k1")) == (a_record("k1"), "nonsense")

    def test_a_restart_of_the_server_costs_an_error_at_most(
        self, server: Postgres, store: DatabaseAccountStore
    ) -> None:
        store.put(a_record())
        server.stop()
        with pytest.raises(Fault) as caught:
            store.get("k1")
        assert caught.value.code == "store_unreachable"
        server.start()
        assert store.get("k1") == a_record()

    def test_an_address_that_is_not_postgresqls(self) -> None:
        for url in ("sqlite:////tmp/x.db", "nonsense"):
            with pytest.raises(SettingWrong):
                ServerDatabase(url)


class TestSealedSecrets(VaultContract):
    @pytest.fixture
    def key_file(self, tmp_path: Path) -> Path:
        FileKeys(tmp_path / "master").create()
        return tmp_path / "master"

    @pytest.fixture
    def make(self, database: ServerDatabase, tenant: str, key_file: Path) -> Make:
        return lambda home: EntryVault(home, SealedSecrets(database, tenant, kept(key_file)))

    def test_s76_a_dump_has_no_secret(self, server: Postgres, make: Make) -> None:
        make(HOME).save("accounts/k1/a", Secret("canary-refresh-token"))
        with psycopg.connect(server.url) as connection:
            tables = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
            dump = b""
            for (table,) in tables:
                with connection.cursor().copy(f"COPY {table} TO STDOUT") as copied:  # type: ignore[arg-type]
                    dump += b"".join(bytes(piece) for piece in copied)
        assert b"accounts/k1/a" in dump
        assert b"canary" not in dump
        assert b"canary".hex().encode() not in dump

    def test_s76_a_row_put_in_anothers_place_is_not_opened(
        self, database: ServerDatabase, make: Make, tenant: str
    ) -> None:
        vault = make(HOME)
        vault.save("accounts/k1/a", Secret("alice's"))
        vault.save("accounts/k2/a", Secret("bob's"))
        with database.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE keyfob_secrets SET sealed = (SELECT sealed FROM keyfob_secrets"
                " WHERE tenant = %(t)s AND name LIKE '%%k2/a') WHERE tenant = %(t)s AND name LIKE '%%k1/a'",
                {"t": tenant},
            )
        with pytest.raises(KeychainError) as caught:
            vault.load("accounts/k1/a")
        assert caught.value.code == "entry_damaged"
        assert vault.load("accounts/k2/a") == Secret("bob's")

    def test_without_its_master_key_nothing_is_opened_or_lost(
        self, database: ServerDatabase, make: Make, tenant: str, tmp_path: Path, key_file: Path
    ) -> None:
        make(HOME).save("accounts/k1/a", Secret("mine"))
        FileKeys(tmp_path / "other").create()
        stranger = EntryVault(HOME, SealedSecrets(database, tenant, kept(tmp_path / "other")))
        for call in (lambda: stranger.load("accounts/k1/a"), lambda: stranger.save("b", Secret("x"))):
            with pytest.raises(KeychainError) as caught:
                call()
            assert caught.value.code == "keychain_refused"
        assert make(HOME).load("accounts/k1/a") == Secret("mine")

    def test_a_new_master_key_wraps_the_data_keys_anew(
        self, database: ServerDatabase, make: Make, tenant: str, key_file: Path
    ) -> None:
        vault = make(HOME)
        vault.save("accounts/k1/a", Secret("mine"))
        old = key_file.read_text()
        added = add_key(FileKeys(key_file))  # on every server, before one of them uses it
        assert kept(key_file).current != added
        assert use_newest(FileKeys(key_file)) == added == kept(key_file).current
        assert make(HOME).load("accounts/k1/a") == Secret("mine")
        only_ours = TenantOnly(database, tenant)
        assert only_ours.under_other_keys(kept(key_file).current) == 1
        with pytest.raises(KeychainError):  # other tenants of this test database have other master keys
            rewrap(database, kept(key_file))
        only_ours.alone()
        assert rewrap(database, kept(key_file)) == 1
        assert rewrap(database, kept(key_file)) == 0
        key_file.write_text(key_file.read_text().replace(old, ""))
        assert [id_of(key) for key in FileKeys(key_file).read()] == [added]
        assert make(HOME).load("accounts/k1/a") == Secret("mine")

    def test_a_new_data_key_seals_every_secret_anew(
        self, database: ServerDatabase, make: Make, tenant: str, key_file: Path
    ) -> None:
        vault = make(HOME)
        for number in range(5):
            vault.save(f"accounts/{number}/a", Secret(f"value {number}"))
        secrets = SealedSecrets(database, tenant, kept(key_file))
        assert secrets.rotate_data_key() == 5
        assert vault.load("accounts/3/a") == Secret("value 3")
        vault.save("accounts/9/a", Secret("after"))
        assert make(HOME).load("accounts/9/a") == Secret("after")

    def test_the_keychain_and_a_command_keep_master_keys_too(
        self, database: ServerDatabase, tenant: str, tmp_path: Path
    ) -> None:
        keychain = MemoryVault()
        vault = EntryVault(HOME, SealedSecrets(database, tenant, KeptMasterKeys(VaultKeys(keychain))))
        vault.save("a", Secret("kept"))
        again = EntryVault(HOME, SealedSecrets(database, tenant, KeptMasterKeys(VaultKeys(keychain))))
        assert again.load("a") == Secret("kept")
        script = tmp_path / "kms"
        script.write_text(KMS)
        command = CommandMasterKeys([sys.executable, str(script)])
        with_command = EntryVault(HOME, SealedSecrets(database, f"{tenant}-kms", command))
        with_command.save("a", Secret("wrapped elsewhere"))
        fresh = CommandMasterKeys([sys.executable, str(script)])
        assert EntryVault(HOME, SealedSecrets(database, f"{tenant}-kms", fresh)).load("a") == Secret(
            "wrapped elsewhere"
        )
        assert fresh.current == "kms-1"

    @pytest.mark.parametrize("ending", ["sys.exit(3)", "print('nonsense')", "print('{}')"])
    def test_a_command_that_fails_is_a_refusal(self, ending: str) -> None:
        broken = CommandMasterKeys([sys.executable, "-c", f"import sys; sys.stdin.read(); {ending}"])
        with pytest.raises(KeychainError) as caught:
            broken.wrap(b"\1" * 32, "acme", "k")
        assert caught.value.code == "keychain_refused"
        assert "01010101" not in str(caught.value)

    def test_a_master_key_that_others_can_read_is_refused(self, key_file: Path, tmp_path: Path) -> None:
        key_file.chmod(0o644)
        with pytest.raises(SettingWrong):
            kept(key_file)
        with pytest.raises(SettingWrong):
            FileKeys(key_file).create()
        key_file.chmod(0o600)
        key_file.write_text("not a key\n")
        with pytest.raises(SettingWrong) as caught:
            kept(key_file)
        assert "not a key" not in str(caught.value)
        with pytest.raises(KeychainError):
            kept(tmp_path / "absent")


class TenantOnly:
    """Looks at the data keys of one tenant of a database that tests share."""

    def __init__(self, database: ServerDatabase, tenant: str) -> None:
        self.database, self.tenant = database, tenant

    def under_other_keys(self, current: str) -> int:
        with self.database.begin() as connection:
            found = connection.exec_driver_sql(
                "SELECT count(*) FROM keyfob_data_keys WHERE tenant = %s AND master_id <> %s",
                (self.tenant, current),
            ).scalar_one()
        return int(found)

    def alone(self) -> None:
        with self.database.begin() as connection:
            for table in ("keyfob_secrets", "keyfob_data_keys"):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE tenant <> %s", (self.tenant,))


KMS = """
import json, sys
asked = json.loads(sys.stdin.read())
assert asked["action"] in ("wrap", "unwrap") and asked["context"]
turned = bytes(255 - byte for byte in bytes.fromhex(asked["key"]))  # a stand-in for a key service
print(json.dumps({"key": turned.hex(), "master_id": "kms-1"}))
"""
