"""What the account store on SQLite promises beyond what all do."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from contract.account_store_contract import AccountStoreContract
from keyfob.adapters.store import account_table, database, event_table
from keyfob.adapters.store.sqlite import SqliteAccountStore, set_aside
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import Fault, Usage
from keyfob.core.secret import Secret
from support.memory_store import MemoryAccountStore
from support.records import a_record, a_revocation, an_event, an_intent

CANARY = "canary-91c2-refresh-token"


class TestMemoryAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self) -> MemoryAccountStore:
        return MemoryAccountStore()


class TestSqliteAccountStore(AccountStoreContract):
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "accounts.db"

    @pytest.fixture
    def store(self, path: Path) -> Iterator[SqliteAccountStore]:
        store = SqliteAccountStore(path)
        yield store
        store.close()

    def test_what_one_has_written_another_sees_at_once(self, store: SqliteAccountStore, path: Path) -> None:
        with closing(SqliteAccountStore(path)) as other:
            before = other.data_version()
            store.put(a_record())
            store.log(an_event())
            assert other.get("k1") == a_record()
            assert len(other.events()) == 1
            assert other.data_version() != before

    def test_everything_is_there_after_a_restart(self, store: SqliteAccountStore, path: Path) -> None:
        store.put(a_record())
        store.put_intent(an_intent())
        store.close()
        with closing(SqliteAccountStore(path)) as again:
            assert again.get("k1") == a_record()
            assert again.intent("k1") == an_intent()

    def test_what_was_put_survives_the_death_of_its_process(self, path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path;"
            "from support.records import a_record, an_intent;"
            "from keyfob.adapters.store.sqlite import SqliteAccountStore;"
            "store = SqliteAccountStore(Path(sys.argv[1]));"
            "store.put(a_record()); store.put_intent(an_intent()); os._exit(9)"
        )
        tests = str(Path(__file__).resolve().parent.parent)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], env={**os.environ, "PYTHONPATH": tests}, check=False
        )
        assert done.returncode == 9
        with closing(SqliteAccountStore(path)) as store:
            assert store.get("k1") == a_record()
            assert store.intent("k1") == an_intent()

    def test_processes_that_open_a_new_store_at_once_all_get_it_and_lose_no_update(self, path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_open_and_count, args=(path,)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [p.exitcode for p in processes] == [0] * 4
        with closing(SqliteAccountStore(path)) as store:
            record = store.get("k1")
            assert record is not None
            assert record.epoch == 40

    def test_writes_are_durable_before_they_return(self, store: SqliteAccountStore) -> None:
        with store.database.connection() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_the_history_is_bounded(self, store: SqliteAccountStore, monkeypatch: pytest.MonkeyPatch) -> None:
        assert event_table.HISTORY_MOST == 10_000
        monkeypatch.setattr(event_table, "HISTORY_MOST", 50)
        logged = [store.log(an_event(n)) for n in range(60)]
        assert list(store.events(limit=1000)) == logged[-50:]

    def test_all_its_files_are_for_the_owner_alone(self, store: SqliteAccountStore, path: Path) -> None:
        store.put(a_record())
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
        assert modes == dict.fromkeys(
            ("accounts.db", "accounts.db-wal", "accounts.db-shm", "accounts.keys"), 0o600
        )

    def test_a_wider_mode_is_repaired(self, path: Path) -> None:
        SqliteAccountStore(path).close()
        path.chmod(0o644)
        with closing(SqliteAccountStore(path)) as store:
            store.put(a_record())
            assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}

    # --- versions -------------------------------------------------------------------------------------------

    def test_a_store_of_version_1_is_migrated_with_all_that_is_in_it(self, path: Path) -> None:
        script = Path(__file__).parent / "data" / "store_v1.sql"
        with closing(sqlite3.connect(path)) as old:
            old.executescript(script.read_text())
        with closing(SqliteAccountStore(path)) as store:
            assert store.get("k1") == a_record()
            assert store.intent("k1") == an_intent()
            assert list(store.revocations()) == [a_revocation()]
            assert list(store.events(account_key="k1")) == [replace(an_event(1), seq=1)]
            assert store.read("attempt/1") == "one"
        with closing(sqlite3.connect(path)) as new:
            assert new.execute("PRAGMA user_version").fetchone() == (len(database.MIGRATIONS),)
            asked = {"key": "k1", "after": 0, "limit": 3}
            plan = new.execute("EXPLAIN QUERY PLAN " + event_table.EVENTS_OF_ACCOUNT, asked).fetchall()
            assert "events_account" in str(plan)

    def test_a_migration_that_fails_leaves_the_old_store(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        SqliteAccountStore(path).close()
        broken = (*database.MIGRATIONS, "CREATE TABLE extra (a); NONSENSE")
        with monkeypatch.context() as patch:
            patch.setattr(database, "MIGRATIONS", broken)
            with pytest.raises(Fault):
                SqliteAccountStore(path)
        with closing(SqliteAccountStore(path)) as store:
            store.put(a_record())

    def test_a_store_of_a_newer_keyfob_is_left_alone(self, path: Path) -> None:
        SqliteAccountStore(path).close()
        with closing(sqlite3.connect(path)) as newer:
            newer.execute("PRAGMA user_version = 999")
        before = path.read_bytes()
        with pytest.raises(Fault) as caught:
            SqliteAccountStore(path)
        assert caught.value.code == "store_too_new"
        assert path.read_bytes() == before

    # --- damage ---------------------------------------------------------------------------------------------

    def test_a_damaged_file_is_copied_aside_and_never_replaced(self, path: Path) -> None:
        rubbish = b"not a database " * 1000
        path.write_bytes(rubbish)
        for _ in range(2):
            with pytest.raises(Fault) as caught:
                SqliteAccountStore(path)
            assert caught.value.code == "store_damaged"
            assert path.read_bytes() == rubbish
        aside = path.with_name("accounts.db.damaged")
        assert aside.read_bytes() == rubbish
        assert aside.stat().st_mode & 0o777 == 0o600

    def test_damage_within_is_told_when_it_is_met(self, path: Path) -> None:
        with closing(SqliteAccountStore(path)) as store:
            for number in range(200):
                store.put(a_record(f"k{number}", label=f"l{number}"))
        data = bytearray(path.read_bytes())
        page = int.from_bytes(data[16:18], "big")
        for at in range(page, len(data), page):
            data[at : at + page] = b"\xff" * min(page, len(data) - at)
        path.write_bytes(data)
        with pytest.raises(Fault) as caught, closing(SqliteAccountStore(path)) as store:
            store.records()
        assert caught.value.code == "store_damaged"

    @pytest.mark.parametrize(
        "value",
        ["", "{", "[]", "{}", '{"account":1}', "null", b"\xff", 7, "[" * 100_000, '"\\ud800"'],
        ids=str,
    )
    def test_s83_a_row_that_cannot_be_read_takes_no_other_away(
        self, store: SqliteAccountStore, path: Path, value: object
    ) -> None:
        for key, label in (("k1", "alice"), ("k2", "bob")):
            store.put(a_record(key, label=label))
        _vandalise(path, "UPDATE accounts SET record = ? WHERE key = 'k2'", value)
        assert list(store.records()) == [a_record("k1")]
        (unread,) = store.unread()
        assert (unread.key, unread.account_id, unread.fault.code) == ("k2", "demo/bob", "store_damaged")
        assert "demo/bob" in unread.fault.message
        before = _rows(path)
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
        store.update("k1", lambda record: replace(record, epoch=5))
        assert _rows(path)["k2"] == before["k2"]

    def test_s83_text_that_is_not_utf_8_takes_no_other_row_away(
        self, store: SqliteAccountStore, path: Path
    ) -> None:
        store.put(a_record("k1"))
        store.put(a_record("k2", label="bob"))
        _vandalise(path, "UPDATE accounts SET record = CAST(? AS TEXT) WHERE key = 'k2'", b'{"\xff":1}')
        assert list(store.records()) == [a_record("k1")]
        assert [each.key for each in store.unread()] == ["k2"]

    @pytest.mark.parametrize(
        "place", ["$.paused", "$.account.paused", "$.account.pin.server.paused", "$.status.is"]
    )
    def test_s83_a_row_of_a_newer_keyfob_is_left_alone(
        self, store: SqliteAccountStore, path: Path, place: str
    ) -> None:
        """A field that is not known is not damage, and no write drops it."""
        store.put(a_record("k1"))
        store.put(a_record("k2", label="bob"))
        _vandalise(path, "UPDATE accounts SET record = json_set(record, ?, 'paused') WHERE key = 'k2'", place)
        before = _rows(path)
        assert [each.fault.code for each in store.unread()] == ["store_too_new"]
        assert list(store.records()) == [a_record("k1")]
        for work in (
            lambda: store.put(a_record("k2", label="bob")),
            lambda: store.update("k2", lambda record: replace(record, epoch=5)),
        ):
            with pytest.raises(Fault) as caught:
                work()
            assert caught.value.code == "store_too_new"
        assert _rows(path) == before

    def test_s83_other_rows_that_cannot_be_read_are_left_out(
        self, store: SqliteAccountStore, path: Path
    ) -> None:
        for key in ("k1", "k2"):
            store.put_intent(an_intent(key))
            store.put_revocation(replace(a_revocation(), entry=f"revoke/{key}"))
            store.log(replace(an_event(), account_key=key))
        _vandalise(path, "UPDATE intents SET intent = '{' WHERE key = 'k2'")
        _vandalise(path, "UPDATE revocations SET revocation = '{' WHERE entry = 'revoke/k2'")
        _vandalise(path, "UPDATE events SET at = 'soon' WHERE account_key = 'k2'")
        assert [each.key for each in store.intents()] == ["k1"]
        assert store.intent("k2") is None
        assert [each.entry for each in store.revocations()] == ["revoke/k1"]
        assert [each.account_key for each in store.events()] == ["k1"]

    @pytest.mark.parametrize("spoil", ["empty", "absent", "no tables"])
    def test_s83_an_empty_store_that_had_accounts_is_damage(self, path: Path, spoil: str) -> None:
        with closing(SqliteAccountStore(path)) as store:
            store.put(a_record())
        path.with_name("accounts.db-wal").write_bytes(b"what may be left")
        path.unlink()
        if spoil == "empty":
            path.touch(0o600)
        elif spoil == "no tables":
            path.with_name("accounts.db-wal").unlink()
            with closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA journal_mode = WAL")
        for _ in range(2):
            with pytest.raises(Fault) as caught:
                SqliteAccountStore(path)
            assert caught.value.code == "store_damaged"
        if spoil != "no tables":
            assert path.with_name("accounts.db-wal").read_bytes() == b"what may be left"
        aside = set_aside(path)
        assert (aside is not None and aside.exists()) or spoil == "absent"
        with closing(SqliteAccountStore(path, anew=True)) as store:
            assert [(each.key, each.account_id) for each in store.unread()] == [("k1", "")]
            store.restore(a_record())
            assert list(store.unread()) == []
        with closing(SqliteAccountStore(path)) as store:
            assert store.get("k1") == a_record()

    def test_s83_a_store_that_has_fallen_back_misses_what_was_added(self, path: Path) -> None:
        """As after the -wal was lost: the file is whole, and older."""
        with closing(SqliteAccountStore(path)) as store:
            store.put(a_record("k1"))
        older = path.read_bytes()
        with closing(SqliteAccountStore(path)) as store:
            store.put(a_record("k2", label="bob"))
            store.put(a_record("k3", label="carol"))
            store.remove("k3")
            assert list(store.unread()) == []
        path.write_bytes(older)
        with closing(SqliteAccountStore(path)) as store:
            assert [each.key for each in store.unread()] == ["k2"]
            assert [record.account.key for record in store.records()] == ["k1"]

    def test_s83_a_restored_row_keeps_a_copy_of_the_damaged_one(
        self, store: SqliteAccountStore, path: Path
    ) -> None:
        store.put(a_record())
        _vandalise(path, "UPDATE accounts SET record = '{half'")
        store.restore(a_record())
        assert store.get("k1") == a_record()
        assert store.read("damaged/k1") == "{half"

    def test_s83_a_key_list_with_a_line_cut_off(self, store: SqliteAccountStore, path: Path) -> None:
        store.put(a_record())
        with path.with_suffix(".keys").open("a") as file:
            file.write("rubbish\n+k")
        assert list(store.unread()) == []

    def test_a_store_that_another_holds_too_long_is_busy(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.1)
        with closing(SqliteAccountStore(path)) as store, closing(sqlite3.connect(path)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            with pytest.raises(Fault) as caught:
                store.put(a_record())
            assert caught.value.code == "store_busy"
            assert store.get("k1") is None  # readers never wait
            hog.rollback()
            store.put(a_record())

    def test_a_folder_that_does_not_exist_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(Fault) as caught:
            SqliteAccountStore(tmp_path / "absent" / "accounts.db")
        assert caught.value.code == "store_unwritable"

    def test_a_closed_store_says_so(self, store: SqliteAccountStore) -> None:
        store.close()
        with pytest.raises(Fault, match="closed"):
            store.records()

    # --- no secret ------------------------------------------------------------------------------------------

    def test_s25_a_secret_is_never_stored_wherever_it_is_put(
        self, store: SqliteAccountStore, path: Path
    ) -> None:
        secret = Secret(CANARY)
        record = a_record()
        attacks = [
            lambda: store.put(replace(record, key_tail=secret)),  # type: ignore[arg-type]
            lambda: store.put(replace(record, account=replace(record.account, name=secret))),  # type: ignore[arg-type]
            lambda: store.put(
                replace(
                    record,
                    account=replace(record.account, pin=replace(record.account.pin, inputs={"a": secret})),  # type: ignore[dict-item]
                )
            ),
            lambda: store.put_intent(replace(an_intent(), refresh_hash=secret)),  # type: ignore[arg-type]
            lambda: store.put_revocation(replace(a_revocation(), entry=secret)),  # type: ignore[arg-type]
            lambda: store.log(replace(an_event(), message=secret)),  # type: ignore[arg-type]
            lambda: store.write("x", secret),  # type: ignore[arg-type]
        ]
        for attack in attacks:
            with suppress(TypeError, Fault):
                attack()
        assert list(store.records()) == []
        assert list(store.events()) == []
        with store.database.connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for file in path.parent.iterdir():
            assert CANARY.encode() not in file.read_bytes()

    def test_s25_a_faults_text_does_not_show_what_is_stored(
        self, store: SqliteAccountStore, path: Path
    ) -> None:
        store.put(a_record())
        with closing(sqlite3.connect(path)) as vandal:
            body = json.dumps({"account": {CANARY: CANARY}})
            vandal.execute("UPDATE accounts SET record = ?", (body,))
            vandal.commit()
        with pytest.raises(Fault) as caught:
            store.get("k1")
        assert CANARY not in f"{caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"


def _vandalise(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as vandal:
        vandal.execute(statement, values)
        vandal.commit()


def _rows(path: Path) -> dict[str, object]:
    with closing(sqlite3.connect(path)) as reader:
        return dict(reader.execute("SELECT key, CAST(record AS BLOB) FROM accounts"))


def _open_and_count(path: Path) -> None:
    with closing(SqliteAccountStore(path)) as store:
        with suppress(Usage):
            if store.get("k1") is None:
                _first(store)
        for _ in range(10):
            store.update("k1", lambda r: replace(r, epoch=r.epoch + 1))


def _first(store: SqliteAccountStore) -> None:
    """Insert once, whoever comes first, without undoing another's counting."""
    with store.database.writing() as connection:
        if account_table.get_row(connection, "k1") is None:
            account_table.put_row(connection, a_record(), lambda record: None)


def test_a_logged_event_has_every_column() -> None:
    """A field added to LoggedEvent needs a migration: this fails until it has one."""
    assert set(LoggedEvent.__dataclass_fields__) == {
        "at",
        "account_id",
        "account_key",
        "kind",
        "message",
        "code",
        "seq",
    }
