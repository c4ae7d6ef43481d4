"""`--server`: keys, users, grants, audit and accounts of a gateway, from another computer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.engine import Engine
from support.cli_run import opens, run
from support.gateway_server import GatewayServer
from support.running import Ran
from support.sample_engine import sample_engine
from support.samples import sample_views

pytestmark = pytest.mark.network
ACCOUNT = sample_views()[0].id
Call = Callable[..., Ran]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GatewayServer]:
    acmes = replace(next(view for view in sample_views() if view.provider == "github"), label="acme-bot")
    engines: dict[str | None, Engine] = {
        None: sample_engine(tmp_path / "server"),
        "acme": sample_engine(tmp_path / "acme", [acmes]),
    }
    with GatewayServer(tmp_path, engines) as running:
        yield running


@pytest.fixture
def call(server: GatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A command on a desktop whose own transport is real, as the server's administrator."""
    from keyfob.adapters.network.transport import HttpTransport
    from keyfob.adapters.system.clock import now

    monkeypatch.setenv("KEYFOB_HOME", str(tmp_path / "desktop"))
    monkeypatch.delenv("KEYFOB_DATABASE_URL", raising=False)
    monkeypatch.setenv("KEYFOB_SERVER", server.url)
    monkeypatch.setenv("KEYFOB_SERVER_KEY", server.key("root", admin=True))
    desktop = sample_engine(tmp_path / "desktop", [], transport=HttpTransport(now))
    return lambda *argv, stdin="": run(argv, opens(desktop), stdin=stdin)


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


def test_keys_of_a_server(call: Call, tmp_path: Path) -> None:
    made = done(
        call("keys", "create", "--user", "alice", "--expires", "90d", "--scope", "read", "--json")
    ).json
    assert set(made) == {"key_id", "key"}
    assert made["key_id"] in done(call("keys", "list", "--user", "alice")).out
    assert done(call("keys", "show", made["key_id"], "--json")).json["scopes"] == ["read"]
    new = done(call("keys", "rotate", made["key_id"], "--overlap", "1h", "--json")).json
    assert done(call("keys", "revoke", new["key_id"])).out == f"Revoked {new['key_id']}\n"
    assert new["key_id"] not in call("keys", "list").out
    assert len(done(call("keys", "list", "--all", "--user", "alice", "--json")).json["keys"]) == 2
    assert not (tmp_path / "desktop" / "data" / "gateway.db").exists(), "nothing is done here"


def test_grants_of_a_server(call: Call, server: GatewayServer) -> None:
    made = done(
        call("grants", "create", ACCOUNT, "--method", "read", "--path", "/user", "--until", "9d", "--json")
    )
    assert made.json["url"] == f"{server.url}/{ACCOUNT}"
    assert made.json["key"].startswith("sk-")
    assert "path" not in made.json
    grant = made.json["grant_id"]
    assert grant in done(call("grants", "list")).out
    assert done(call("grants", "revoke", grant)).out == f"Ended {grant}\n"
    assert call("grants", "list", "--json").json == {"grants": []}
    acmes = done(call("grants", "create", "github", "--account-tenant", "acme", "--json")).json
    assert (acmes["account"], acmes["tenant_id"], acmes["account_tenant"]) == (
        "github/acme-bot",
        "acme",
        "acme",
    )
    assert "github/acme-bot (acme)" in call("grants", "list").out


def test_users_of_a_server(call: Call) -> None:
    assert done(call("users", "add", "alice", stdin="correct horse\n")).out == "Added alice\n"
    done(call("users", "passwd", "alice", stdin="battery staple\n"))
    done(call("users", "disable", "alice"))
    assert json.loads(done(call("users", "list", "--json")).out)["users"][0]["state"] == "disabled"
    short = call("users", "add", "bob", stdin="x\n")
    assert short.code == 2
    taken = call("users", "add", "alice", stdin="correct horse\n")
    assert (taken.code, taken.last.rpartition(". ")[2]) == (2, "Run: keyfob users passwd alice")


def test_who_did_what(call: Call) -> None:
    done(call("keys", "create", "--user", "alice"))
    rows = done(call("audit", "--user", "alice", "--since", "1h", "--json")).json["events"]
    assert [(row["kind"], row["by"]) for row in rows] == [("created", "user:root")]
    assert "user:root" in call("audit").out


def test_accounts_of_a_server(call: Call) -> None:
    assert ACCOUNT in done(call("accounts")).out
    assert done(call("disconnect", ACCOUNT, "--json")).json["account"]["status"] == "disconnected"
    assert call("disconnect", "github", "--json").code == 2
    assert call("disconnect", "github/nobody").code == 7
    assert call("disconnect", ACCOUNT, "--local").code == 2


def test_the_key_comes_by_stdin_too(
    call: Call, server: GatewayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEYFOB_SERVER_KEY")
    assert "KEYFOB_SERVER_KEY" in call("keys", "list").err
    key = server.key("other", admin=True)
    assert done(call("keys", "list", "--server-key-stdin", "--json", stdin=f"{key}\n")).json["keys"]
    added = call("users", "add", "alice", "--server-key-stdin", stdin=f"{key}\ncorrect horse\n")
    assert done(added).out == "Added alice\n"
    monkeypatch.delenv("KEYFOB_SERVER")
    assert call("keys", "list", "--server-key-stdin", stdin=f"{key}\n").code == 2


def test_refusals_say_what_to_do(call: Call, server: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = call("keys", "show", "aaaaaaaaaaaa")
    assert (unknown.code, unknown.last.count("keyfob keys list")) == (7, 1)
    for url in ("http://gateway.example.org", "https://user@gateway.example.org", "gateway.example.org"):
        assert call("keys", "list", "--server", url).code == 2
    monkeypatch.setenv("KEYFOB_SERVER_KEY", server.key("alice"))
    plain = call("keys", "list")
    assert (plain.code, "Only an administrator" in plain.err) == (8, True)
    monkeypatch.setenv("KEYFOB_SERVER_KEY", "sk-aaaaaaaaaaaa-" + "0" * 32)
    wrong = call("keys", "list", "--json")
    assert (wrong.code, wrong.out) == (8, "")
    assert "does not accept the key" in wrong.error["message"]
    monkeypatch.setenv("KEYFOB_SERVER", "http://127.0.0.1:9")
    assert call("keys", "list").code == 5
