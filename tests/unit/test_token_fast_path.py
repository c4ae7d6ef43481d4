"""The shortest way of `keyfob token`: what it hands out is what the
engine hands out, and all else it leaves to it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.adapters.store.schema import MIGRATIONS
from keyfob.adapters.vault import system
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import Account, Connected, Disconnected, ErrorNote, Intent, NeedsSignIn, Pin, Record
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeychainError, SettingWrong
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build, system_ports
from keyfob.process.home import open_home
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.token_fast_path import token_without_engine
from support.cli_run import opens, run

PRESET = """
id = "here"
title = "Here"
tested = "software"
methods = ["oauth"]
[policy]
client_id = "keyfob"
{policy}
[client]
client_id = "keyfob"
[endpoints]
authorization_endpoint = "https://here.test/authorize"
token_endpoint = "https://here.test/token"
userinfo_endpoint = "https://here.test/userinfo"
[api]
base = "https://here.test"
placement = "header"
name = "X-Token"
prefix = "Key "
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
"""
NOW = datetime.now(UTC)


class Home:
    """A home with accounts at one provider, and a keychain in memory that the short way finds too."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEYFOB_HOME", str(folder))
        monkeypatch.delenv("KEYFOB_SOCK", raising=False)
        self.vault = MemoryVault()
        self.generation = 0
        monkeypatch.setattr(system, "SystemVault", self._system_vault)
        self.place = open_home()
        self.engine: Engine = build(system_ports(self.place, vault=self.vault))
        self.preset()
        self.account("alice")

    def _system_vault(self, home_id: str) -> MemoryVault:
        assert home_id == self.place.id
        return self.vault

    def preset(self, policy: str = "") -> None:
        folder = self.place.config / "providers"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "here.toml").write_text(PRESET.format(policy=policy), "utf-8")

    def account(self, label: str, **changes: Any) -> Grant:
        """Signed in an hour ago, for another hour; `changes` are the
        grant's. Each is newer than the one before.
        """
        self.generation += 1
        grant = replace(
            Grant(
                access=Secret(f"token-of-{label}"),
                refresh=Secret("refresh"),
                obtained_at=NOW - timedelta(hours=1),
                expires_at=NOW + timedelta(hours=1),
                scopes=("a", "b"),
                generation=self.generation,
            ),
            **changes,
        )
        key = f"key-{label}"
        endpoints = Endpoints(token_endpoint="https://here.test/token")
        pin = Pin(Server(None, endpoints), client_id="keyfob")
        GrantStore(self.vault).save(key, grant)
        self.engine.store.put(
            Record(
                Account(key, "here", label, "oauth", label, pin, created_at=NOW),
                Connected(),
                generation=grant.generation,
                obtained_at=grant.obtained_at,
                expires_at=grant.expires_at,
                renewable=True,
            )
        )
        return grant

    def reopened(self) -> Engine:
        """The engine as a command has it: a new one, which the command closes."""
        return build(system_ports(self.place, vault=self.vault))

    def rule(self) -> str | None:
        """What stands beside alice's row."""
        with closing(sqlite3.connect(self.place.data / "accounts.db")) as store:
            row = store.execute("SELECT token_rule FROM accounts WHERE key = 'key-alice'").fetchone()
            return None if row[0] is None else str(row[0])

    def write_rule(self, text: str | None) -> None:
        with closing(sqlite3.connect(self.place.data / "accounts.db")) as store:
            store.execute("UPDATE accounts SET token_rule = ? WHERE key = 'key-alice'", (text,))
            store.commit()

    def settings(self, text: str) -> None:
        (self.place.config / "settings.json").write_text(text, "utf-8")

    def change(self, label: str, **changes: Any) -> None:
        self.engine.store.update(f"key-{label}", lambda record: replace(record, **changes))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    made = Home(tmp_path / "h", monkeypatch)
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    "more",
    [(), ("--header",), ("--json",), ("--min-life", "600"), ("--min-life=0", "--json")],
    ids=lambda more: " ".join(more) or "plain",
)
@pytest.mark.parametrize("ref", ["here/alice", "here"])
def test_it_prints_what_the_whole_program_prints(
    home: Home, capfd: pytest.CaptureFixture[str], ref: str, more: tuple[str, ...]
) -> None:
    whole = run(["token", ref, *more], opens(home.engine))
    assert whole.code == 0, whole.err
    assert token_without_engine([ref, *more]) == 0
    assert capfd.readouterr().out == whole.out


def _ended(home: Home) -> None:
    home.change(
        "alice", status=NeedsSignIn(NOW, ErrorNote("grant_ended", "ended", Advice.SIGN_IN_AGAIN, NOW))
    )


def _damaged(home: Home) -> None:
    home.vault.save("key-alice/a", Secret("torn"))


def _wide(home: Home) -> None:
    home.place.data.chmod(0o755)


def _newer_store(home: Home) -> None:
    with home.engine.store.database.writing() as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


@pytest.mark.parametrize(
    "wrong",
    [
        _ended,
        _damaged,
        lambda home: home.settings('{"vault": "sealed"}'),
        _wide,
        _newer_store,
        lambda home: home.change("alice", status=Disconnected(NOW)),
        lambda home: home.account("bob"),
        lambda home: home.account("alice", expires_at=NOW - timedelta(seconds=1)),
        lambda home: home.account("alice", expires_at=NOW + timedelta(seconds=30)),
        lambda home: home.account("alice", obtained_at=NOW + timedelta(days=3),
            expires_at=NOW + timedelta(days=4)),
        lambda home: home.settings('{"theme": "drak"}'),
        lambda home: home.settings('{"named_app_consent": true,}'),
        lambda home: home.settings("[]"),
        lambda home: home.preset('share = false\nshare_reason = "Its terms let only this app use the '
                                 'token."'),
        lambda home: home.write_rule(None),
        lambda home: home.write_rule("{"),
        lambda home: home.preset("nonsense = 1"),
        lambda home: (home.place.config / "providers" / "here.toml").unlink(),
        lambda home: home.vault.delete("key-alice/a"),
    ],
    ids=[
        "ended", "damaged", "sealed", "wide", "newer", "disconnected", "ambiguous", "expired", "too short",
        "of the future", "wrong setting", "half settings", "no settings", "not shared", "no rule",
        "half a rule", "faulty preset", "no preset", "no entry",
    ],
)  # fmt: skip
def test_all_else_is_left_to_the_whole_program(
    home: Home, capfd: pytest.CaptureFixture[str], wrong: Callable[[Home], object]
) -> None:
    assert token_without_engine(["here"]) == 0  # the rule must not outlive what it was made from
    capfd.readouterr()
    wrong(home)
    assert token_without_engine(["here"]) is None
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_renewal_whose_answer_may_be_lost_is_the_engines_unless_somebody_is_renewing(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    home.engine.store.put_intent(Intent("key-alice", 1, "ab" * 32, NOW))
    assert token_without_engine(["here"]) is None
    with home.engine.locks.hold("account-key-alice", timeout=timedelta(0)):
        assert token_without_engine(["here"]) == 0
    assert capfd.readouterr().out == "token-of-alice\n"


def test_a_preset_that_forbids_sharing_is_a_good_one(home: Home) -> None:
    """So that it is the sharing, and no fault of the preset, that hands the question to the whole program."""
    home.preset('share = false\nshare_reason = "Its terms let only this app use the token."')
    assert not home.engine.providers.get("here").policy.share
    with pytest.raises(SettingWrong) as caught:
        home.engine.accounts.token("here")
    assert caught.value.code == "sharing_not_allowed"


@pytest.mark.skipif(os.name == "nt", reason="there everybody goes to the engine")
@pytest.mark.parametrize("asked", [(), ("--min-life", "86400")], ids=["expired", "more than there is"])
@pytest.mark.parametrize("renews", [True, False], ids=["renewed", "not renewed"])
def test_who_waited_for_another_takes_its_renewal(
    home: Home, capfd: pytest.CaptureFixture[str], renews: bool, asked: tuple[str, ...]
) -> None:
    import fcntl

    home.account("alice", access=Secret("old"), expires_at=NOW - timedelta(seconds=1))
    first = os.open(home.place.state / "locks" / "asking-key-alice.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(first, fcntl.LOCK_EX)

    def another() -> None:
        time.sleep(0.2)
        if renews:
            home.account("alice", access=Secret("new"))
        os.close(first)

    thread = threading.Thread(target=another)
    thread.start()
    # Whoever finds nothing new after the wait is the next to go on to the engine.
    assert token_without_engine(["here", *asked]) == (0 if renews else None)
    thread.join()
    assert capfd.readouterr().out == ("new\n" if renews else "")


@pytest.mark.parametrize(
    "words",
    [[], ["--help"], ["here", "--rejected-stdin"], ["here", "--min-life", "90000"], ["nobody"], ["-x"]],
)
def test_other_questions_are_not_its_to_answer(
    home: Home, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert token_without_engine(words) is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_keychain_that_fails_is_told_in_the_same_words(
    home: Home, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    def locked(name: str) -> Secret | None:
        raise KeychainError("The keychain is locked", code="keychain_locked")

    monkeypatch.setattr(home.vault, "load", locked)
    whole = run(["token", "here", *form], opens(home.engine))
    assert token_without_engine(["here", *form]) == whole.code == 4
    out, err = capfd.readouterr()
    assert out == ""
    assert err == whole.err


def test_s25_no_secret_is_in_the_rule(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    assert token_without_engine(["here", "--header"]) == 0
    assert capfd.readouterr().out == "X-Token: Key token-of-alice\n"
    text = home.rule()
    assert text is not None
    assert "token-of-alice" not in text
    rule = json.loads(text)
    assert set(rule) == {"by", "account", "headers", "made_of"}
    assert rule["headers"] == {"Bearer": "X-Token: Key ", "DPoP": "X-Token: Key "}


def test_a_key_that_may_be_a_pair_is_for_the_engine(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    home.account("alice", access=Secret("AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst"))
    assert token_without_engine(["here", "--header"]) is None
    assert token_without_engine(["here"]) == 0


def _forget(home: Home) -> None:
    home.write_rule(None)


def _changed_preset(home: Home) -> None:
    home.preset('note = "Changed."')


def _another_installation(home: Home) -> None:
    text = home.rule()
    assert text is not None
    home.write_rule(json.dumps(json.loads(text) | {"by": "9.9 /elsewhere"}))


@pytest.mark.parametrize("stale", [_forget, _changed_preset, _another_installation])
def test_a_rule_that_is_missing_or_stale_is_written_again_by_the_engine(
    home: Home, capfd: pytest.CaptureFixture[str], stale: Callable[[Home], None]
) -> None:
    """A row of an older home has none; presets change, and Keyfob with them."""
    stale(home)
    assert token_without_engine(["here"]) is None
    assert run(["token", "here"], opens(home.reopened())).out == "token-of-alice\n"
    assert token_without_engine(["here"]) == 0
    assert capfd.readouterr().out == "token-of-alice\n"


def test_a_rule_that_holds_is_not_written_again(home: Home) -> None:
    before = home.engine.store.data_version()
    home.engine.store.refresh("key-alice")
    assert home.engine.store.data_version() == before


def test_an_account_that_may_not_be_shared_has_no_rule(home: Home) -> None:
    home.preset('share = false\nshare_reason = "Its terms let only this app use the token."')
    home.engine.store.refresh("key-alice")
    assert home.rule() is None


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "DPoP", "user"])
def test_every_type_of_token_is_printed_as_the_engine_prints_it(
    home: Home, capfd: pytest.CaptureFixture[str], token_type: str
) -> None:
    home.account("alice", token_type=token_type)
    for form in ([], ["--json"], ["--header"]):
        whole = run(["token", "here", *form], opens(home.reopened()))
        code = token_without_engine(["here", *form])
        assert code in (0, None)
        assert code == 0 or form == ["--header"]
        assert capfd.readouterr().out == (whole.out if code == 0 else "")
