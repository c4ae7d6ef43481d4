"""The locks of several gateways in a real PostgreSQL: holders that die, lost connections, a pooler."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import psycopg
import pytest

from contract.locks_contract import LONG, NONE, SHORT, LocksContract
from keyfob.adapters.database.advisory_locks import COMES_BACK, AdvisoryLocks
from keyfob.adapters.database.database import ServerDatabase
from keyfob.core.errors import Fault, SettingWrong, Transient
from support.pgbouncer import PgBouncer
from support.postgres import Postgres

pytestmark = pytest.mark.servers

HOLDER = """
import sys
from datetime import timedelta
from keyfob.adapters.database.advisory_locks import AdvisoryLocks
from keyfob.adapters.database.database import ServerDatabase
with AdvisoryLocks(ServerDatabase(sys.argv[1]), "acme").hold("account-k1", timeout=timedelta(seconds=20)):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


class Make(Protocol):
    """Locks of a tenant, as another process has them."""

    def __call__(self, tenant: str, url: str | None = None) -> AdvisoryLocks: ...


@pytest.fixture
def make(server: Postgres) -> Iterator[Make]:
    made: list[tuple[AdvisoryLocks, ServerDatabase]] = []

    def one(tenant: str, url: str | None = None) -> AdvisoryLocks:
        database = ServerDatabase(url or server.url)
        made.append((AdvisoryLocks(database, tenant), database))
        return made[-1][0]

    yield one
    for locks, database in made:
        locks.close()
        database.close()
    run(server, "TRUNCATE keyfob_locks")


@pytest.fixture
def locks(make: Make) -> AdvisoryLocks:
    return make("acme")


def run(server: Postgres, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def cut_lock_connections(server: Postgres) -> int:
    """Ends every connection that has a lock, as an administrator would; how many."""
    holding = "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory'"
    return len(run(server, f"SELECT pg_terminate_backend(pid) FROM ({holding}) AS holding"))


@contextmanager
def holder(server: Postgres) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds acme's account-k1."""
    command = [sys.executable, "-c", HOLDER, server.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


class TestAdvisoryLocks(LocksContract):
    @pytest.fixture
    def locks(self, locks: AdvisoryLocks) -> AdvisoryLocks:
        return locks

    def test_another_process_is_kept_out_and_seen(self, locks: AdvisoryLocks, server: Postgres) -> None:
        with holder(server) as process:
            assert locks.held("account-k1")
            with pytest.raises(Transient), locks.hold("account-k1", timeout=SHORT):
                pytest.fail("two holders")
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            with locks.hold("account-k1", timeout=LONG):
                assert locks.held("account-k1")
        assert not locks.held("account-k1")

    def test_another_tenants_lock_of_the_same_name_is_another(self, make: Make) -> None:
        ours, theirs = make("acme"), make("other")
        with ours.hold("a", timeout=NONE), theirs.hold("a", timeout=NONE):
            pass
        with ours.hold("a", timeout=NONE):
            assert not theirs.held("a")

    def test_threads_are_served_in_the_order_they_came(self, locks: AdvisoryLocks) -> None:
        order: list[int] = []

        def work(number: int) -> None:
            with locks.hold("a", timeout=LONG):
                order.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        with locks.hold("a", timeout=NONE):
            for number, thread in enumerate(threads):
                thread.start()
                while len(locks.turns.queues["a"]) < number + 2:
                    time.sleep(0.002)
        for thread in threads:
            thread.join()
        assert order == list(range(6))

    def test_asking_twice_from_one_thread_is_busy_and_no_deadlock(self, locks: AdvisoryLocks) -> None:
        with locks.hold("a", timeout=NONE), pytest.raises(Transient), locks.hold("a", timeout=SHORT):
            pytest.fail("two holders")

    @pytest.mark.parametrize("name", ["'; DROP TABLE keyfob_locks; --", "x" * 500, "", "ä/ö", "%s"])
    def test_s75_any_name_is_just_a_name(self, locks: AdvisoryLocks, name: str) -> None:
        with locks.hold(name, timeout=NONE):
            assert locks.held(name)

    def test_nothing_is_left_on_the_server(self, locks: AdvisoryLocks, server: Postgres) -> None:
        for number in range(5):
            with locks.hold(f"n{number}", timeout=NONE):
                pass
            locks.retire(f"n{number}")
        assert locks.turns.queues == {}
        assert run(server, "SELECT * FROM keyfob_locks") == []
        assert run(server, "SELECT * FROM pg_locks WHERE locktype = 'advisory'") == []


def test_a_killed_holder_frees_it(locks: AdvisoryLocks, server: Postgres) -> None:
    with holder(server) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        began = time.monotonic()
        with locks.hold("account-k1", timeout=LONG):
            # It might have lost its connection alone.
            assert COMES_BACK <= time.monotonic() - began < COMES_BACK + 3


def test_a_lock_does_not_expire_while_its_holder_lives(make: Make, server: Postgres) -> None:
    """However long a provider takes: no statement, transaction or idle timeout of the server ends it."""
    run(server, "ALTER SYSTEM SET idle_session_timeout = '1s'")
    run(server, "ALTER SYSTEM SET idle_in_transaction_session_timeout = '1s'")
    run(server, "SELECT pg_reload_conf()")
    try:
        ours, theirs = make("acme"), make("acme")
        with ours.hold("a", timeout=NONE):
            before = run(server, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
            with pytest.raises(Transient), theirs.hold("a", timeout=timedelta(seconds=4)):
                pytest.fail("it expired")
            assert run(server, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == before
    finally:
        run(server, "ALTER SYSTEM RESET ALL")
        run(server, "SELECT pg_reload_conf()")


@pytest.mark.logs
def test_a_holder_whose_connection_is_cut_takes_its_lock_again(make: Make, server: Postgres) -> None:
    ours, theirs = make("acme"), make("acme")
    with ours.hold("a", timeout=NONE):
        generation = ours.generation("a")
        assert cut_lock_connections(server) == 1
        with pytest.raises(Transient), theirs.hold("a", timeout=timedelta(seconds=COMES_BACK + 2)):
            pytest.fail("two holders")
        assert ours.generation("a") == generation
        assert theirs.held("a")
    began = time.monotonic()
    with theirs.hold("a", timeout=LONG):
        assert time.monotonic() - began < 1  # it was released as always


@pytest.mark.logs
def test_a_holder_keeps_its_lock_over_a_restart_of_the_server(make: Make, server: Postgres) -> None:
    ours, theirs = make("acme"), make("acme")
    with ours.hold("a", timeout=NONE):
        server.stop()
        with pytest.raises(Fault) as caught:
            theirs.held("b")
        assert caught.value.code == "store_unreachable"
        server.start()
        with pytest.raises(Transient), theirs.hold("a", timeout=timedelta(seconds=COMES_BACK + 2)):
            pytest.fail("two holders")
    with theirs.hold("a", timeout=LONG):
        pass


@pytest.mark.logs
def test_a_holder_that_does_not_come_back_loses_its_lock(
    make: Make, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is gone for longer: the other one has a higher generation, by which its writes win."""
    ours, theirs = make("acme"), make("acme")
    theirs.held("a")  # connected before nobody can
    with ours.hold("a", timeout=NONE):
        first = ours.generation("a")

        def gone(_url: str) -> psycopg.Connection:
            raise psycopg.OperationalError

        monkeypatch.setattr("keyfob.adapters.database.advisory_locks.connect", gone)
        cut_lock_connections(server)
        with theirs.hold("a", timeout=LONG):
            second = theirs.generation("a")
            monkeypatch.undo()
            time.sleep(1)  # ours connects again, and must not disturb
            assert theirs.held("a")
        assert first is not None
        assert second == first + 1
    assert not theirs.held("a")


def test_a_pooler_that_shares_sessions_is_refused(server: Postgres, make: Make) -> None:
    with PgBouncer(server.url, "transaction") as url:
        pooled = make("acme", url)
        with pytest.raises(SettingWrong) as caught, pooled.hold("a", timeout=NONE):
            pytest.fail("held over a shared session")
    assert caught.value.code == "database_pooled"


def test_a_pooler_that_gives_each_client_a_session_is_fine(
    server: Postgres, make: Make, locks: AdvisoryLocks
) -> None:
    with PgBouncer(server.url, "session") as url:
        pooled = make("acme", url)
        with pooled.hold("a", timeout=NONE):
            assert locks.held("a")
            with pytest.raises(Transient), locks.hold("a", timeout=SHORT):
                pytest.fail("two holders")
