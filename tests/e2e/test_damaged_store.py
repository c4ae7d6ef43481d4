"""S-83: a damaged account store takes away no more than what is damaged,
and accounts are listed again from the vault.

With real processes, the sealed vault and a real agent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.agent_process import Machine, machine
from support.running import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(180)]


@pytest.fixture
def home() -> Iterator[Machine]:
    """Two accounts of one provider, whose tokens live for some seconds."""
    with machine(access_lifetime=4) as made:
        made.connect("alice")
        made.connect("bob")
        yield made


def store(home: Machine) -> Path:
    return home.home / "data" / "accounts.db"


def vandalise(home: Machine, statement: str) -> None:
    with closing(sqlite3.connect(store(home))) as vandal:
        vandal.execute(statement)
        vandal.commit()


def row_of_bob(home: Machine) -> str:
    with closing(sqlite3.connect(store(home))) as reader:
        return str(reader.execute("SELECT record FROM accounts WHERE label = 'bob'").fetchone()[0])


def ids(home: Machine) -> list[str]:
    return [each["id"] for each in home.run("accounts", "--json").json["accounts"]]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE accounts SET record = '{}' WHERE label = 'bob'", "is damaged"),
        (
            "UPDATE accounts SET record = json_set(record, '$.account.paused', 1) WHERE label = 'bob'",
            "was written by a newer Keyfob",
        ),
    ],
    ids=["damaged", "too new"],
)
def test_s83_one_bad_row_takes_no_other_account_away(home: Machine, statement: str, said: str) -> None:
    vandalise(home, statement)
    before = row_of_bob(home)
    listed = home.run("accounts")
    assert listed.code == 0
    assert "here/alice" in listed.out
    assert "here/bob" not in listed.out
    assert f"here/bob {said}" in listed.err
    assert home.run("token", "here/alice").code == 0
    bad = home.run("token", "here/bob")
    assert (bad.code, bad.out) == (1, "")
    assert said in bad.err
    # `here` still names two accounts: alice's token is not handed out in bob's place.
    assert home.run("token", "here").code == 2
    findings = {each["name"]: each for each in json.loads(home.run("doctor", "--json").out)["findings"]}
    assert findings["store"]["ok"] is False
    assert "here/bob" in findings["store"]["text"]
    home.agent()
    served = home.run("token", "here/alice").out
    until(lambda: home.run("token", "here/alice").out != served)  # the agent renews
    assert home.run("token", "here/bob", unlocked=False).code == 1
    assert ids(home) == ["here/alice"]
    home.end()
    assert row_of_bob(home) == before
    recovered = home.run("doctor", "--recover", "--json").json
    if said == "is damaged":
        assert recovered["listed"] == ["here/bob"]
        assert home.run("token", "here/bob").code == 0
        with closing(sqlite3.connect(store(home))) as reader:
            kept = reader.execute("SELECT value FROM named WHERE name LIKE 'damaged/%'").fetchall()
        assert kept == [(before,)]
    else:
        assert (recovered["listed"], recovered["newer"]) == ([], ["here/bob"])
        assert row_of_bob(home) == before


def test_s83_an_empty_store_is_damage_and_its_accounts_are_listed_again(home: Machine) -> None:
    renamed = home.run("rename", "here/bob", "robert")
    assert renamed.code == 0, renamed.err
    assert home.run("disconnect", "here/alice").code == 0
    token = home.run("token", "here/robert").out
    store(home).write_bytes(b"")
    for suffix in ("-wal", "-shm"):
        store(home).with_name(f"accounts.db{suffix}").unlink(missing_ok=True)
    for argv in (("accounts",), ("token", "here/robert"), ("doctor",), ("agent",), ("connect", "here")):
        ran = home.run(*argv)
        assert (ran.code, ran.out) == (1, ""), argv
        assert "keyfob doctor --recover" in ran.err
    assert store(home).stat().st_size == 0
    recovered = home.run("doctor", "--recover", "--json").json
    assert sorted(recovered["listed"]) == ["here/alice", "here/robert"]
    assert recovered["lost"] == 0
    assert Path(recovered["kept"]).exists()
    accounts = {each["id"]: each for each in home.run("accounts", "--json").json["accounts"]}
    assert accounts["here/alice"]["status"] == "disconnected"
    assert accounts["here/robert"]["subject"]
    renewed = home.run("renew", "here/robert")
    assert renewed.code == 0, renewed.err
    assert home.run("token", "here/robert").out != token
    assert home.run("doctor", "--recover").out == "No account is missing.\n"


def test_s83_a_lost_wal_is_noticed(home: Machine) -> None:
    """The file is whole, as it was before its last accounts were added."""
    assert home.run("remove", "here/bob").code == 0
    older = store(home).read_bytes()
    home.connect("bob")
    store(home).write_bytes(older)
    for suffix in ("-wal", "-shm"):
        store(home).with_name(f"accounts.db{suffix}").unlink(missing_ok=True)
    listed = home.run("accounts", "--json")
    assert [each["id"] for each in listed.json["accounts"]] == ["here/alice"]
    assert "An account is missing" in listed.err
    assert home.run("doctor", "--recover", "--json").json["listed"] == ["here/bob"]
    assert ids(home) == ["here/alice", "here/bob"]
    assert home.run("token", "here/bob").code == 0


def test_s83_recovery_waits_until_nobody_has_the_store_open(home: Machine) -> None:
    home.agent()
    store_before = store(home).stat().st_ino
    ran = home.run("doctor", "--recover")
    assert (ran.code, ran.out) == (5, "")
    assert "stop the agent" in ran.err
    assert store(home).stat().st_ino == store_before


def test_s83_what_was_removed_stays_removed(home: Machine) -> None:
    removed = home.run("remove", "here/bob")
    assert removed.code == 0, removed.err
    assert home.run("doctor", "--recover").out == "No account is missing.\n"
    store(home).write_bytes(b"not a database " * 1000)
    recovered = home.run("doctor", "--recover", "--json").json
    assert (recovered["listed"], recovered["lost"]) == (["here/alice"], 0)
    assert Path(recovered["kept"]).read_bytes().startswith(b"not a database")
