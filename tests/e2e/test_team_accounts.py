"""The account store of a team in a real PostgreSQL, and what it promises beyond the contract."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import psycopg
import pytest

from contract.account_store_contract import AccountStoreContract
from keyfob.adapters.database import account_store
from keyfob.adapters.database.account_store import DatabaseAccountStore
from keyfob.adapters.database.advisory_locks import AdvisoryLocks
from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.fences import Fences
from keyfob.core.errors import Fault, SettingWrong, Usage
from keyfob.core.secret import Secret
from keyfob.service.accounts.grant_store import lock_name
from support.postgres import Postgres
from support.records import a_record, an_event, an_intent

pytestmark = pytest.mark.servers
TABLES = "accounts, changes, intents, revocations, events, named, locks"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


class Make(Protocol):
    """The store of a tenant, as another process has it."""

    def __call__(self, tenant: str | None = "acme") -> DatabaseAccountStore: ...


@pytest.fixture
def make(server: Postgres) -> Iterator[Make]:
    made: list[ServerDatabase] = []

    def one(tenant: str | None = "acme") -> DatabaseAccountStore:
        made.append(ServerDatabase(server.url))
        return DatabaseAccountStore(made[-1], tenant)

    one().check()  # the tables are there
    run(server, "TRUNCATE " + ", ".join(f"keyfob_{name}" for name in TABLES.split(", ")))
    yield one
    for database in made:
        database.close()


@pytest.fixture
def store(make: Make) -> DatabaseAccountStore:
    return make()


def run(server: Postgres, sql: str, *words: object) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql, words)
        return cursor.fetchall() if cursor.description else []


class TestDatabaseAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self, store: DatabaseAccountStore) -> DatabaseAccountStore:
        return store

    def test_what_one_has_written_another_sees_at_once(self, store: DatabaseAccountStore, make: Make) -> None:
        other = make()
        before = other.data_version()
        store.put(a_record())
        assert other.get("k1") == a_record()
        assert other.data_version() != before

    def test_s63_tenants_are_walls(self, make: Make) -> None:
        """Rows of the same keys and names, a prefix of the other's name, and the operator's."""
        stores = [make("acme"), make("acme2"), make(None)]
        for number, store in enumerate(stores):
            store.put(replace(a_record(), epoch=number))
            store.put_intent(an_intent())
            store.write("name", str(number))
            store.log(an_event())
        for number, store in enumerate(stores):
            assert list(store.records()) == [replace(a_record(), epoch=number)]
            assert store.read("name") == str(number)
            assert len(store.events()) == 1
        stores[0].remove("k1")
        stores[0].write("name", None)
        assert [len(store.records()) for store in stores] == [0, 1, 1]
        assert [len(store.intents()) for store in stores] == [0, 1, 1]

    def test_the_history_is_bounded(
        self, store: DatabaseAccountStore, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(account_store, "HISTORY_MOST", 10)
        monkeypatch.setattr(account_store, "PRUNE_EVERY", 1)
        other = make("other")
        other.log(an_event())
        logged = [store.log(an_event()).seq for _ in range(25)]
        assert [event.seq for event in store.events()] == logged[-10:]
        assert len(other.events()) == 1

    @pytest.mark.parametrize("value", ["", "{", "[]", "{}", "null", "[" * 100_000, '"\\ud800"'], ids=str)
    def test_s83_a_row_that_cannot_be_read_takes_no_other_away(
        self, store: DatabaseAccountStore, server: Postgres, value: str
    ) -> None:
        store.put(a_record("k1"))
        store.put(a_record("k2", label="bob"))
        run(server, "UPDATE keyfob_accounts SET record = %s WHERE key = 'k2'", value)
        assert list(store.records()) == [a_record("k1")]
        (unread,) = store.unread()
        assert (unread.key, unread.account_id, unread.fault.code) == ("k2", "demo/bob", "store_damaged")
        for work in (
            lambda: store.get("k2"),
            lambda: store.put(a_record("k2", label="bob")),
            lambda: store.update("k2", lambda record: record),
        ):
            with pytest.raises(Fault) as caught:
                work()
            assert caught.value.code == "store_damaged"
        with pytest.raises(Usage):
            store.put(a_record("k3", label="bob"))  # its name is still its own
        store.restore(a_record("k2", label="bob"))
        assert store.read("damaged/k2") == value
        assert len(store.records()) == 2

    @pytest.mark.parametrize("text", ["'; DROP TABLE keyfob_accounts; --", "%s", ":key", "a\\'b", "%(key)s"])
    def test_s75_sql_in_a_value_is_text(self, store: DatabaseAccountStore, text: str) -> None:
        store.put(a_record(label=text))
        store.write(text, text)
        store.log(replace(an_event(), message=text))
        assert store.records()[0].account.label == text
        assert (store.read(text), list(store.names(text))) == (text, [text])
        assert store.events()[-1].message == text

    def test_s25_a_secret_is_never_stored(self, store: DatabaseAccountStore) -> None:
        with pytest.raises(TypeError):
            store.put(a_record(label=Secret("canary")))  # type: ignore[arg-type]
        assert list(store.records()) == []

    def test_a_closed_store_says_so(self, server: Postgres) -> None:
        database = ServerDatabase(server.url)
        store = DatabaseAccountStore(database, None)
        database.close()
        with pytest.raises(Fault, match="closed"):
            store.records()


def test_updates_of_many_processes_are_all_kept(server: Postgres, store: DatabaseAccountStore) -> None:
    store.put(a_record())
    made = multiprocessing.get_context("spawn")
    processes = [made.Process(target=count_up, args=(server.url, list(sys.path))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    record = store.get("k1")
    assert record is not None
    assert record.epoch == 60


def count_up(url: str, path: list[str]) -> None:
    sys.path[:] = path
    database = ServerDatabase(url)
    store = DatabaseAccountStore(database, "acme")
    for _ in range(20):
        store.update("k1", lambda record: replace(record, epoch=record.epoch + 1))
    database.close()


def test_gateways_that_start_at_once_on_an_empty_database_all_get_it(server: Postgres) -> None:
    run(server, "CREATE DATABASE fresh")
    url = server.url.replace("/postgres?", "/fresh?")
    failed: list[Exception] = []

    def start() -> None:
        database = ServerDatabase(url)
        try:
            DatabaseAccountStore(database, None).put_intent(an_intent())
        except Exception as error:  # told on the test's own thread
            failed.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_database_of_a_newer_keyfob_is_left_alone(server: Postgres) -> None:
    run(server, "CREATE DATABASE newer")
    url = server.url.replace("/postgres?", "/newer?")
    database = ServerDatabase(url)
    DatabaseAccountStore(database, None).put(a_record())
    database.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE keyfob_accounts_version SET version_num = '9999'")
    database = ServerDatabase(url)
    with pytest.raises(Fault) as caught:
        DatabaseAccountStore(database, None).records()
    database.close()
    assert caught.value.code == "store_too_new"


def test_a_connection_that_was_cut_is_replaced(store: DatabaseAccountStore, server: Postgres) -> None:
    store.put(a_record())
    run(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
    )
    store.update("k1", lambda record: replace(record, epoch=5))
    assert store.records()[0].epoch == 5


def test_a_transaction_that_is_cut_midway_is_undone_and_made_again(
    store: DatabaseAccountStore, server: Postgres
) -> None:
    store.put(a_record())
    tries: list[int] = []

    def change(record):  # type: ignore[no-untyped-def]
        tries.append(record.epoch)
        if len(tries) == 1:
            run(
                server,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'",
            )
        return replace(record, epoch=record.epoch + 1)

    store.update("k1", change)
    assert tries == [0, 0]
    assert store.records()[0].epoch == 1


def test_a_server_that_is_away_is_said_and_comes_back(store: DatabaseAccountStore, server: Postgres) -> None:
    store.put(a_record())
    server.stop()
    try:
        with pytest.raises(Fault) as caught:
            store.records()
        assert caught.value.code == "store_unreachable"
    finally:
        server.start()
    assert list(store.records()) == [a_record()]


def test_a_disk_that_is_read_only_keeps_what_was_there(store: DatabaseAccountStore, server: Postgres) -> None:
    store.put(a_record())
    run(server, "ALTER DATABASE postgres SET default_transaction_read_only = on")
    database = ServerDatabase(server.url)
    reader = DatabaseAccountStore(database, "acme")
    try:
        assert list(reader.records()) == [a_record()]
        with pytest.raises(Fault) as caught:
            reader.put(a_record("k2", label="bob"))
        assert caught.value.code == "store_unwritable"
    finally:
        database.close()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")


@pytest.mark.logs
def test_a_holder_that_lost_its_lock_learns_of_it_before_it_writes(
    server: Postgres, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network was gone, another one took the lock: nothing of the first one reaches the account."""
    make().put(a_record())
    databases = [ServerDatabase(server.url), ServerDatabase(server.url)]
    ours, theirs = (AdvisoryLocks(each, "acme") for each in databases)
    store = DatabaseAccountStore(databases[0], "acme", Fences(lock_name, ours.generation))
    with ours.hold(lock_name("k1"), timeout=timedelta(0)):
        store.put_intent(an_intent())
        # Nothing of its own takes the lock again: the watch's next look finds a connection that fails.
        monkeypatch.setattr(ours, "_take_again", lambda _connection: None)
        holding = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory'"
        run(server, f"SELECT pg_terminate_backend(pid) FROM ({holding}) AS holding")
        with theirs.hold(lock_name("k1"), timeout=timedelta(seconds=10)):
            for work in (
                lambda: store.put_intent(an_intent()),
                lambda: store.clear_intent("k1"),
                lambda: store.update("k1", lambda record: replace(record, epoch=9)),
            ):
                with pytest.raises(Fault) as caught:
                    work()
                assert caught.value.code == "store_busy"
            store.put(a_record("k2", label="bob"))  # another account is not in the way
    assert [record.epoch for record in make().records()] == [0, 0]
    assert len(make().intents()) == 1
    for locks, database in zip((ours, theirs), databases, strict=True):
        locks.close()
        database.close()


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "mysql://host/x", "not an address", ""])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(SettingWrong):
        ServerDatabase(url)
