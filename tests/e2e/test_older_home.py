"""A home of a version before account descriptions and the key list: everything goes on without a new sign-in.

With real processes, the sealed vault and a real agent. The home is connected by this version and brought back
to the older form: rows with that version's fields, no key list, no descriptions.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from keyfob.adapters.vault.choice import SEALED_FILE
from keyfob.adapters.vault.sealed import SealedVault
from keyfob.core.secret import Secret
from keyfob.process.home import open_home
from support.agent_process import PASSPHRASE, Machine, machine
from support.running import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(180)]
NEWER_FIELDS = ("asked_until", "doubts", "doubted_since")


@pytest.fixture
def older() -> Iterator[Machine]:
    with machine() as made:
        made.connect("alice")
        made.connect("bob")
        make_older(made)
        yield made


def vault_of(home: Machine) -> SealedVault:
    opened = open_home({"KEYFOB_HOME": str(home.home)})
    return SealedVault(opened.id, opened.data / SEALED_FILE, lambda new: Secret(PASSPHRASE))


def make_older(home: Machine) -> None:
    data = home.home / "data"
    (data / "accounts.keys").unlink()
    vault = vault_of(home)
    with closing(sqlite3.connect(data / "accounts.db")) as store:
        for key, text in store.execute("SELECT key, record FROM accounts").fetchall():
            row = json.loads(text)
            for name in NEWER_FIELDS:
                del row[name]
            row["retry_asked"] = True
            row["account"]["share"] = None
            store.execute("UPDATE accounts SET record = ? WHERE key = ?", (json.dumps(row), key))
            vault.delete(f"{key}/account")
        store.execute("DELETE FROM named WHERE name = 'described'")
        store.execute("ALTER TABLE accounts DROP COLUMN token_rule")
        store.execute("PRAGMA user_version = 2")
        store.commit()


def empty_the_store(home: Machine) -> None:
    store = home.home / "data" / "accounts.db"
    store.write_bytes(b"")
    for suffix in ("-wal", "-shm"):
        store.with_name(f"accounts.db{suffix}").unlink(missing_ok=True)


def test_the_accounts_of_an_older_home_go_on_without_a_new_sign_in(older: Machine) -> None:
    listed = older.run("accounts", "--json").json["accounts"]
    assert [(each["id"], each["status"]) for each in listed] == [
        ("here/alice", "connected"),
        ("here/bob", "connected"),
    ]
    before = older.run("token", "here/alice").out
    assert before
    renewed = older.run("renew", "here/alice")
    assert renewed.code == 0, renewed.err
    after = older.run("token", "here/alice")
    assert (after.code, after.err) == (0, "")
    assert after.out not in ("", before)
    ended = older.run("disconnect", "here/bob", "--json").json
    assert ended["revoked"] == "yes"
    assert older.run("token", "here/bob").code == 3


def test_s83_the_accounts_of_an_older_home_are_missed_when_the_store_is_empty(older: Machine) -> None:
    assert older.run("accounts").code == 0
    empty_the_store(older)
    ran = older.run("accounts")
    assert (ran.code, ran.out) == (1, "")
    assert "keyfob doctor --recover" in ran.err


def test_s83_the_accounts_of_an_older_home_are_listed_again(older: Machine) -> None:
    assert older.run("accounts").code == 0
    lines = (older.home / "data" / "accounts.keys").read_text("ascii").splitlines()
    keys = [line.removeprefix("+") for line in lines]
    assert len(keys) == 2
    older.agent()
    vault = vault_of(older)
    until(lambda: all(vault.load(f"{key}/account") is not None for key in keys))
    older.end()
    empty_the_store(older)
    recovered = older.run("doctor", "--recover", "--json").json
    assert sorted(recovered["listed"]) == ["here/alice", "here/bob"]
    assert recovered["lost"] == 0
    renewed = older.run("renew", "here/bob")
    assert renewed.code == 0, renewed.err
