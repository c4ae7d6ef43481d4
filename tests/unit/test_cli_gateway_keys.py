"""`keyfob keys`, `users` and `audit`, over a database of their own."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyfob.engine import build
from keyfob.gateway.auth import create_auth_provider
from keyfob.gateway.auth.local import LocalAuth, StoredUsers
from keyfob.gateway.auth.one_key import OneKeyAuth
from keyfob.gateway.auth.recorded import RecordedRefusals
from keyfob.gateway.auth.tables import ApiKey, close_database, open_database
from keyfob.gateway.auth.uses import Uses
from support.cli_run import opens, run
from support.fake_ports import fake_ports
from support.running import Ran

Call = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEYFOB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KEYFOB_DATABASE_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def call(home: Path, tmp_path: Path) -> Call:
    engine = build(fake_ports(tmp_path))
    return lambda *argv, stdin="": run(argv, opens(engine), now=lambda: datetime.now(UTC), stdin=stdin)


def created(call: Call, *words: str) -> dict[str, str]:
    ran = call("keys", "create", "--user", "alice", *words, "--json")
    assert ran.code == 0, ran.err
    found: dict[str, str] = json.loads(ran.out)
    return found


def accepts(home: Path, key: str) -> bool:
    provider = create_auth_provider("database", database_url=f"sqlite:///{home / 'data' / 'gateway.db'}")
    assert provider is not None
    found = asyncio.run(provider.authenticate(key)).authenticated
    provider.close()
    return found


def test_a_key_from_its_creation_to_its_end(call: Call, home: Path) -> None:
    made = created(call, "--name", "laptop", "--tenant", "acme", "--expires", "90d", "--scope", "read")
    assert set(made) == {"key_id", "key"}
    assert accepts(home, made["key"])
    shown = json.loads(call("keys", "show", made["key_id"], "--json").out)
    assert (shown["user_id"], shown["name"], shown["tenant_id"]) == ("alice", "laptop", "acme")
    assert (shown["scopes"], shown["state"]) == (["read"], "active")
    rotated = json.loads(call("keys", "rotate", made["key_id"], "--json").out)
    assert accepts(home, rotated["key"])
    assert accepts(home, made["key"]), "the old key works for another day"
    assert call("keys", "revoke", rotated["key_id"]).out == f"Revoked {rotated['key_id']}\n"
    assert not accepts(home, rotated["key"])
    listed = json.loads(call("keys", "list", "--json").out)["keys"]
    assert [row["key_id"] for row in listed] == [made["key_id"]]
    everything = json.loads(call("keys", "list", "--all", "--json").out)["keys"]
    assert {row["key_id"]: row["state"] for row in everything}[rotated["key_id"]] == "revoked"
    assert made["key"] not in call("keys", "list", "--all").out + call("keys", "show", made["key_id"]).out


def test_text_prints_the_key_alone_on_stdout(call: Call, home: Path) -> None:
    ran = call("keys", "create", "--user", "alice")
    assert ran.out.startswith("sk-")
    assert ran.out.count("\n") == 1
    assert "cannot show it again" in ran.err
    assert accepts(home, ran.out.strip())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_the_users_own(call: Call, home: Path) -> None:
    created(call)
    for file in (home / "data").glob("gateway.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_old_and_unused_keys_are_reported(call: Call, home: Path) -> None:
    made = created(call)
    sessions = open_database(f"sqlite:///{home / 'data' / 'gateway.db'}")
    with sessions.begin() as session:
        session.get_one(ApiKey, made["key_id"]).created_at = datetime.now(UTC) - timedelta(days=91)
    close_database(sessions)
    (row,) = json.loads(call("keys", "list", "--json").out)["keys"]
    assert row["remarks"] == ["old", "unused"]
    assert "90 days old: replace it; not used for 90 days" in call("keys", "list").out


def test_the_doctor_reports_them(call: Call, home: Path) -> None:
    def found() -> list[dict[str, object]]:
        rows = json.loads(call("doctor", "--json").out)["findings"]
        return [row for row in rows if row["name"] == "gateway"]

    assert found() == []
    assert not (home / "data" / "gateway.db").exists(), "looking makes no database"
    old, _ = created(call), created(call)
    (row,) = found()
    assert (row["level"], row["text"], row["remedy"]) == ("ok", "2 keys for callers", None)
    sessions = open_database(f"sqlite:///{home / 'data' / 'gateway.db'}")
    with sessions.begin() as session:
        session.get_one(ApiKey, old["key_id"]).created_at = datetime.now(UTC) - timedelta(days=91)
    provider = RecordedRefusals(OneKeyAuth("sk-" + "x" * 40), Uses(sessions))
    for _ in range(3):
        assert not asyncio.run(provider.authenticate("wrong")).authenticated
    assert not asyncio.run(provider.validate_token("wrong"))
    assert asyncio.run(provider.validate_token("sk-" + "x" * 40))
    provider.close()
    close_database(sessions)
    (row,) = found()
    assert (row["ok"], row["level"]) == (True, "warn")
    assert row["text"] == (
        "2 keys for callers, 1 key at least 90 days old, 1 key not used for 90 days, "
        "4 attempts refused in the last day"
    )
    assert "keyfob keys rotate" in str(row["remedy"])
    refused = json.loads(call("audit", "--kind", "refused", "--json").out)["events"]
    assert [(event["count"], event["detail"]) for event in refused] == [(4, "not_accepted")]
    assert "gateway" in call("doctor", "--report").out


@pytest.mark.parametrize(
    "words", [("show", "nothing"), ("rotate", "nothing"), ("revoke", "nothing"), ("revoke", "' OR 1=1 --")]
)
def test_a_key_that_is_not_there(call: Call, words: tuple[str, ...]) -> None:
    ran = call("keys", *words)
    assert (ran.code, ran.out) == (7, "")
    assert "keyfob keys list" in ran.err


def test_wrong_usage(call: Call) -> None:
    assert call("keys", "create").code == 2
    assert call("keys", "create", "--user", "alice", "--expires", "soon").code == 2
    assert call("keys", "create", "--user", "").code == 8
    assert "There are no keys" in call("keys", "list").out


def test_users(call: Call, home: Path) -> None:
    assert "There are no users" in call("users", "list").out
    assert call("users", "add", "alice", "--tenant", "acme", stdin="correct horse\n").out == "Added alice\n"
    again = call("users", "add", "alice", stdin="correct horse\n")
    assert again.code == 2
    assert "keyfob users passwd alice" in again.err
    assert call("users", "add", "bob", stdin="short\n").code == 8
    assert call("users", "passwd", "nobody", stdin="correct horse\n").code == 7

    def login(password: str) -> str | None:
        sessions = open_database(f"sqlite:///{home / 'data' / 'gateway.db'}")
        found = asyncio.run(LocalAuth(StoredUsers(sessions), "x" * 32).login("alice", password))
        close_database(sessions)
        return found

    assert login("correct horse") is not None
    assert call("users", "passwd", "alice", stdin="battery staple\n").code == 0
    assert login("correct horse") is None
    assert login("battery staple") is not None
    assert call("users", "disable", "alice").out == "Disabled alice\n"
    assert login("battery staple") is None
    (row,) = json.loads(call("users", "list", "--json").out)["users"]
    assert (row["user_id"], row["tenant_id"], row["state"]) == ("alice", "acme", "disabled")
    assert "hash" not in json.dumps(row)


def test_audit(call: Call) -> None:
    assert call("audit").out == "Nothing happened.\n"
    made = created(call)
    call("keys", "revoke", made["key_id"])
    call("users", "add", "bob", stdin="correct horse\n")
    rows = json.loads(call("audit", "--json").out)["events"]
    assert [(row["kind"], row["user_id"]) for row in rows] == [
        ("user_added", "bob"),
        ("revoked", "alice"),
        ("created", "alice"),
    ]
    assert [
        row["kind"] for row in json.loads(call("audit", "--kind", "revoked", "--json").out)["events"]
    ] == ["revoked"]
    assert json.loads(call("audit", "--user", "carol", "--json").out) == {"events": []}
    assert len(json.loads(call("audit", "--limit", "1", "--json").out)["events"]) == 1
    assert json.loads(call("audit", "--since", "2999-01-01T00:00:00Z", "--json").out) == {"events": []}
    assert "revoked a key" in call("audit", "--key", made["key_id"]).out


def test_a_database_that_cannot_be_reached(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYFOB_DATABASE_URL", "sqlite:////nowhere/gateway.db")
    ran = call("keys", "list")
    assert (ran.code, ran.out) == (5, "")
    monkeypatch.setenv("KEYFOB_DATABASE_URL", "mysql://user:hunter22@host/name")
    ran = call("keys", "list")
    assert ran.code == 8
    assert "hunter22" not in ran.err
