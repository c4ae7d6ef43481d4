"""The sealed secrets of a team in a real PostgreSQL: a stolen dump, moved rows, master keys that are
replaced.
"""

from __future__ import annotations

import base64
import re
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from contract.vault_contract import Make, VaultContract
from keyfob.adapters.database import master_keys
from keyfob.adapters.database.advisory_locks import AdvisoryLocks
from keyfob.adapters.database.data_keys import DataKeys
from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.fences import Fences
from keyfob.adapters.database.master_keys import CommandKeys, KeyFile, ListedKeys, MasterKeys, new_key
from keyfob.adapters.database.sealed_vault import SealedDatabaseVault
from keyfob.core.errors import Fault, KeychainError
from keyfob.core.secret import Secret
from keyfob.service.accounts.grant_store import lock_name
from support.postgres import Postgres

pytestmark = pytest.mark.servers
CANARY = "canary-5d1f0c-refresh-token"

# A key management service: a key of its own that never leaves it.
WRAPPER = """#!{python}
import base64, hashlib, sys
line = sys.stdin.readline()
line = base64.b64decode(line) if sys.argv[-1] == "wrap" else bytes.fromhex(line)
pad = hashlib.shake_256(b"key of the service").digest(len(line))
done = bytes(a ^ b for a, b in zip(line, pad))
print(done.hex() if sys.argv[-1] == "wrap" else base64.b64encode(done).decode())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> Iterator[ServerDatabase]:
    made = ServerDatabase(server.url)
    made.ready()
    run(server, "TRUNCATE keyfob_secrets, keyfob_wrapped_keys, keyfob_data_keys, keyfob_locks")
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    made = KeyFile(tmp_path / "master.keys")
    made.write([new_key()])
    return made


@pytest.fixture
def masters(file: KeyFile) -> ListedKeys:
    return ListedKeys(file.read, file.place)


@pytest.fixture
def vault(database: ServerDatabase, masters: MasterKeys) -> SealedDatabaseVault:
    return SealedDatabaseVault(database, "acme", masters)


def run(server: Postgres, sql: str, *words: object) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql, words)
        return cursor.fetchall() if cursor.description else []


class TestSealedDatabaseVault(VaultContract):
    """A home of the contract is a tenant here."""

    @pytest.fixture
    def make(self, database: ServerDatabase, masters: MasterKeys) -> Make:
        return lambda home_id: SealedDatabaseVault(database, home_id, masters)

    @pytest.fixture
    def vault(self, make: Make) -> SealedDatabaseVault:
        made = make("acme")
        assert isinstance(made, SealedDatabaseVault)
        return made

    def test_it_lists_its_entries(self, vault: SealedDatabaseVault) -> None:
        for name in ("b/x", "a", "B"):
            vault.save(name, Secret("x"))
        assert list(vault.names()) == ["B", "a", "b/x"]


class Watched(ListedKeys):
    """Notes the data keys that it wraps."""

    def __init__(self, file: KeyFile) -> None:
        super().__init__(file.read, file.place)
        self.data_keys: list[bytes] = []

    def wrap(self, payload: bytes, context: bytes) -> Mapping[str, bytes]:
        self.data_keys.append(payload)
        return super().wrap(payload, context)


def test_s76_a_stolen_dump_gives_no_secret_and_no_key(
    database: ServerDatabase, server: Postgres, file: KeyFile
) -> None:
    """Every table of the database as COPY gives it, searched for each secret in each form."""
    watched = Watched(file)
    vault = SealedDatabaseVault(database, "acme", watched)
    vault.save("k1/a", Secret(CANARY))
    vault.save("k1/client", Secret(CANARY[::-1]))
    master = master_keys.listed(file.read(), "")[0]
    dump = b""
    with psycopg.connect(server.url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:
                dump += b"".join(bytes(each) for each in copy)
    # bytea is in hexadecimal in a dump.
    values = re.findall(rb"\\\\x([0-9a-f]+)", dump)
    assert len(values) >= 3
    dump += b"".join(bytes.fromhex(each.decode()) for each in values)
    assert len(watched.data_keys) == 1
    assert len(tables) >= 10
    assert b"k1/client" in dump  # the secrets' table is in it
    for secret in (CANARY.encode(), CANARY[::-1].encode(), master, *watched.data_keys):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert form not in dump


@pytest.mark.parametrize(
    "move",
    [
        "UPDATE keyfob_secrets AS s SET sealed = o.sealed FROM keyfob_secrets AS o"
        " WHERE s.tenant = 'acme' AND s.name = 'k1/a' AND o.tenant = 'acme' AND o.name = 'k2/a'",
        "UPDATE keyfob_secrets AS s SET sealed = o.sealed FROM keyfob_secrets AS o"
        " WHERE s.tenant = 'acme' AND s.name = 'k1/a' AND o.tenant = 'other' AND o.name = 'k1/a'",
        "UPDATE keyfob_secrets SET sealed = substr(sealed, 1, 20) WHERE name = 'k1/a'",
        "UPDATE keyfob_secrets SET sealed = '' WHERE name = 'k1/a'",
        "UPDATE keyfob_secrets SET sealed = set_byte(sealed, 13, 255 - get_byte(sealed, 13))"
        " WHERE name = 'k1/a'",
    ],
    ids=["another-entry", "another-tenant", "cut", "empty", "changed"],
)
def test_s76_a_row_that_was_moved_or_changed_is_damaged(
    vault: SealedDatabaseVault, database: ServerDatabase, masters: MasterKeys, server: Postgres, move: str
) -> None:
    other = SealedDatabaseVault(database, "other", masters)
    for each in (vault, other):
        each.save("k1/a", Secret("one"))
        each.save("k2/a", Secret("two"))
    run(server, move)
    with pytest.raises(KeychainError) as caught:
        vault.load("k1/a")
    assert caught.value.code == "entry_damaged"
    assert vault.load("k2/a") == Secret("two")


def test_s76_another_tenants_data_key_does_not_open_a_secret(
    vault: SealedDatabaseVault, database: ServerDatabase, masters: MasterKeys, server: Postgres
) -> None:
    other = SealedDatabaseVault(database, "other", masters)
    for each in (vault, other):
        each.save("k1/a", Secret("one"))
    run(
        server,
        "UPDATE keyfob_wrapped_keys AS w SET wrapped = o.wrapped FROM keyfob_wrapped_keys AS o"
        " WHERE w.tenant = 'acme' AND o.tenant = 'other'",
    )
    with pytest.raises(KeychainError) as caught:
        SealedDatabaseVault(database, "acme", masters).load("k1/a")
    assert caught.value.code == "entry_damaged"


# --- master keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [None, "another", "rubbish"])
def test_without_the_master_key_nothing_is_read_and_nothing_is_lost(
    vault: SealedDatabaseVault, database: ServerDatabase, file: KeyFile, tmp_path: Path, kept: str | None
) -> None:
    vault.save("k1/a", Secret(CANARY))
    other = KeyFile(tmp_path / "other.keys")
    if kept == "another":
        other.write([new_key()])
    elif kept == "rubbish":
        other.path.write_text("not a key")
        other.path.chmod(0o600)
    locked = SealedDatabaseVault(database, "acme", ListedKeys(other.read, other.place))
    for work in (
        lambda: locked.load("k1/a"),
        lambda: locked.save("k1/a", Secret("x")),
        lambda: locked.unlock(1.0),
        lambda: locked.replace_data_key(),
    ):
        with pytest.raises(KeychainError) as caught:
            work()
        assert caught.value.code == ("master_key_missing" if kept is None else "master_key_wrong")
        assert "other.keys" in caught.value.message
    assert not locked.probe().ok
    other.path.write_bytes(file.path.read_bytes())
    other.path.chmod(0o600)
    assert locked.load("k1/a") == Secret(CANARY)


def test_a_file_that_others_can_read_is_refused(file: KeyFile) -> None:
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.chmod(0o640)
    with pytest.raises(KeychainError, match="Other users") as caught:
        file.read()
    assert caught.value.code == "master_key_exposed"
    assert caught.value.facts == {"path": str(file.path)}


def test_a_master_key_is_replaced_with_no_server_stopped(
    vault: SealedDatabaseVault, database: ServerDatabase, file: KeyFile, tmp_path: Path
) -> None:
    vault.save("k1/a", Secret("one"))
    there = KeyFile(tmp_path / "on-another-machine.keys")
    there.path.write_bytes(file.path.read_bytes())
    there.path.chmod(0o600)
    old = master_keys.listed(file.read(), "")
    file.write([*old, new_key()])
    keys = DataKeys(database, ListedKeys(file.read, file.place))
    assert keys.rewrap() == 1

    def elsewhere() -> SealedDatabaseVault:
        """A server that starts on the other machine."""
        return SealedDatabaseVault(database, "acme", ListedKeys(there.read, there.place))

    assert elsewhere().load("k1/a") == Secret("one")  # it has the old list
    SealedDatabaseVault(database, "new", ListedKeys(file.read, file.place)).save("k2/a", Secret("two"))
    newer = SealedDatabaseVault(database, "new", ListedKeys(there.read, there.place))
    assert newer.load("k2/a") == Secret("two")  # what is new was wrapped for it too
    there.path.write_bytes(file.path.read_bytes())
    assert keys.forget_old() == 2
    file.write(master_keys.listed(file.read(), "")[-1:])
    assert elsewhere().load("k1/a") == Secret("one")
    stale = KeyFile(tmp_path / "stale.keys")
    stale.write(old)
    with pytest.raises(KeychainError) as caught:
        SealedDatabaseVault(database, "acme", ListedKeys(stale.read, stale.place)).load("k1/a")
    assert caught.value.code == "master_key_wrong"


def test_a_command_wraps_the_data_keys(database: ServerDatabase, tmp_path: Path) -> None:
    command = tmp_path / "kms"
    command.write_text(WRAPPER.format(python=sys.executable))
    command.chmod(0o700)
    SealedDatabaseVault(database, "acme", CommandKeys([str(command)])).save("k1/a", Secret("one"))
    again = SealedDatabaseVault(database, "acme", CommandKeys([str(command)]))
    assert again.load("k1/a") == Secret("one")
    keys = DataKeys(database, CommandKeys([str(command)]))
    assert keys.rewrap() == 1  # the service has a new version of its key
    assert keys.forget_old() == 0
    assert again.load("k1/a") == Secret("one")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "exit 3"),
        ("sleep 30", "did not end"),
        ("echo one; echo two", "no single line"),
        ("true", "no single line"),
        (None, "No such file"),
    ],
)
def test_a_command_that_fails_says_so(
    database: ServerDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    monkeypatch.setattr(master_keys, "COMMAND_DEADLINE", 0.5)
    command = tmp_path / "kms"
    if script is not None:
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o700)
    vault = SealedDatabaseVault(database, "acme", CommandKeys([str(command)]))
    with pytest.raises(KeychainError, match=said) as caught:
        vault.save("k1/a", Secret("one"))
    assert caught.value.code == "master_key_missing"


# --- data keys ----------------------------------------------------------------------------------------------


def test_a_data_key_is_replaced_while_servers_write(
    vault: SealedDatabaseVault, database: ServerDatabase, masters: MasterKeys, server: Postgres
) -> None:
    for number in range(10):
        vault.save(f"k{number}/a", Secret(f"of {number}"))
    [before] = run(server, "SELECT key_id FROM keyfob_data_keys")
    failed: list[Exception] = []
    stop = threading.Event()

    def write(number: int) -> None:
        mine = SealedDatabaseVault(database, "acme", masters)
        try:
            while not stop.is_set():
                mine.save(f"w{number}/a", Secret("written"))
                assert mine.load(f"w{number}/a") == Secret("written")
        except Exception as error:  # told on the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert vault.replace_data_key() >= 10
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert before not in run(server, "SELECT key_id FROM keyfob_data_keys")
    assert len(run(server, "SELECT key_id FROM keyfob_data_keys")) == 1
    again = SealedDatabaseVault(database, "acme", masters)
    assert [again.load(f"k{number}/a") for number in range(10)] == [Secret(f"of {n}") for n in range(10)]


# --- writes that come too late, and a database that is away -------------------------------------------------


@pytest.mark.logs
def test_a_slot_of_a_newer_holder_is_left_as_it_is(
    database: ServerDatabase, masters: MasterKeys, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ServerDatabase(server.url)
    ours, theirs = AdvisoryLocks(database, "acme"), AdvisoryLocks(other, "acme")
    mine = SealedDatabaseVault(database, "acme", masters, Fences(lock_name, ours.generation))
    newer = SealedDatabaseVault(other, "acme", masters, Fences(lock_name, theirs.generation))
    with ours.hold(lock_name("k1"), timeout=timedelta(0)):
        monkeypatch.setattr(ours, "_take_again", lambda _connection: None)
        holding = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory'"
        run(server, f"SELECT pg_terminate_backend(pid) FROM ({holding}) AS holding")
        with theirs.hold(lock_name("k1"), timeout=timedelta(seconds=10)):
            # Nobody has written since: what was received is saved, as it may be the only good token.
            mine.save("k1/b", Secret("received"))
            assert newer.load("k1/b") == Secret("received")
            newer.save("k1/b", Secret("newer"))
            with pytest.raises(Fault) as caught:
                mine.save("k1/b", Secret("late"))
            assert caught.value.code == "store_busy"
            assert newer.load("k1/b") == Secret("newer")
    ours.close()
    theirs.close()
    other.close()


def test_a_database_that_is_away_is_like_a_locked_keychain(
    vault: SealedDatabaseVault, server: Postgres
) -> None:
    vault.save("k1/a", Secret("one"))
    server.stop()
    try:
        for work in (lambda: vault.load("k1/a"), lambda: vault.save("k1/a", Secret("two"))):
            with pytest.raises(KeychainError) as caught:
                work()
            assert caught.value.code == "vault_unreachable"
        assert vault.probe().code == "vault_unreachable"
    finally:
        with suppress(Exception):
            server.start()
    assert vault.load("k1/a") == Secret("one")
