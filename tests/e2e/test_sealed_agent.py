"""An encrypted file that only the agent can open: every command works through the agent, without the
passphrase.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.demo.scripted_browser import ScriptedBrowser
from support.agent_process import Machine, machine
from support.running import Ran, finish, scripted_browser, until

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def served() -> Iterator[Machine]:
    with machine() as home:
        home.connect()
        home.agent()
        yield home


def run(home: Machine, *argv: str, stdin: str = "", **env: str) -> Ran:
    """Without the passphrase."""
    return home.run(*argv, stdin=stdin, unlocked=False, **env)


def connect(home: Machine, person: str, *more: str) -> Any:
    return run(home, "connect", "here", "--json", *more, **scripted_browser(home.root, person)).json


def test_a_sign_in_opens_the_commands_browser_and_saves_the_account_at_the_agent(served: Machine) -> None:
    account = connect(served, "bob", "--label", "bob2", "--only-scope", "openid")
    assert (account["id"], account["scopes"]) == ("here/bob2", ["openid"])
    assert run(served, "token", "here/bob2").out.strip()


def test_the_progress_is_printed_as_of_a_sign_in_of_its_own(served: Machine) -> None:
    ran = run(served, "reconnect", "here/alice", **scripted_browser(served.root))
    assert (ran.code, ran.out) == (0, "Signed in again as Alice: here/alice\n")
    assert "Your browser is open." in ran.err
    assert "Keyfob renews the token automatically." in ran.err


def test_the_address_can_be_pasted(served: Machine) -> None:
    process = served.start("reconnect", "here/alice", "--no-browser", unlocked=False)
    url = _address(process)
    elsewhere = ScriptedBrowser(within=served.server.issuer)  # as a browser on another machine
    ran = finish(process, stdin=f"nonsense\n{elsewhere.sign_in(url).url}\n")
    assert (ran.code, ran.out) == (0, "Signed in again as Alice: here/alice\n"), ran.err
    assert "Paste the full address of the browser's last page." in ran.err


def test_ctrl_c_cancels_the_sign_in_at_the_agent(served: Machine) -> None:
    process = served.start("connect", "here", "--no-browser", unlocked=False)
    _address(process)
    process.send_signal(2)
    ran = finish(process)
    assert (ran.code, ran.out) == (6, "")
    # A new sign-in gets the callback port at once.
    assert run(served, "reconnect", "here/alice", **scripted_browser(served.root)).code == 0


def test_the_wrong_person_is_refused_with_the_same_words_and_exit(served: Machine) -> None:
    ran = run(served, "reconnect", "here/alice", **scripted_browser(served.root, "bob"))
    assert (ran.code, ran.out) == (9, "")
    assert "You signed in as Bob, not as here/alice." in ran.last


def test_a_device_code_is_shown(served: Machine) -> None:
    process = served.start("reconnect", "here/alice", "--method", "device", "--timeout", "60", unlocked=False)
    assert process.stderr is not None
    assert any(line.startswith("Enter ") for line in iter(process.stderr.readline, ""))
    process.send_signal(2)
    assert finish(process).code == 6


def test_the_other_commands(served: Machine) -> None:
    tested = run(served, "test", "here/alice")
    assert tested.code == 0, tested.err
    assert tested.out.startswith("here/alice works: the provider says that you are Alice (")
    assert run(served, "test", "here/alice", "--json").json["ok"] is True
    renamed = run(served, "rename", "here/alice", "work", "--json").json
    assert renamed["id"] == "here/work"
    assert run(served, "rename", "here/work", "alice").out == "Renamed here/work to here/alice\n"
    refused = run(served, "rename", "here/alice", "???", "--json")
    assert (refused.code, refused.error["code"]) == (2, "label_wrong")


def test_keys(served: Machine) -> None:
    made = run(served, "jwk", "generate", "--json").json
    assert made["alg"] == "ES256"
    listed = run(served, "jwk", "list", "--json").json["keys"]
    assert [key["kid"] for key in listed] == [made["kid"]]
    assert made["kid"] in run(served, "jwk", "list").out
    assert [key["kid"] for key in run(served, "jwk", "export").json["keys"]] == [made["kid"]]
    assert run(served, "jwk", "remove", made["kid"][:6]).out == f"Removed {made['kid']}\n"
    missing = run(served, "jwk", "remove", made["kid"])
    assert (missing.code, missing.out) == (7, "")


GIT = """\
id = "gitbox"
title = "Git box"
methods = ["api_key"]
[policy]
client_id = "none"
[api]
base = "https://git.example.org"
[api_key.api]
base = "https://git.example.org"
[api_key.identity]
source = "none"
"""


def test_import_moves_a_key(served: Machine) -> None:
    presets = served.home / "config" / "providers"
    (presets / "gitbox.toml").write_text(GIT)
    store = served.root / ".git-credentials"
    store.write_text("https://robot:key-of-robot-1234@git.example.org\n")
    moved = run(served, "import", str(store), "--blank", "--json").json
    assert moved["failed"] == []
    (account,) = moved["accounts"]
    assert account["provider"] == "gitbox"
    assert run(served, "token", account["id"]).out == "key-of-robot-1234\n"
    assert store.read_text() == ""


def test_import_keeps_an_app_registration(served: Machine) -> None:
    """Its secret belongs in the encrypted file; without one, an older secret is deleted there."""
    described = {
        "provider": "dropbox", "label": "moved", "method": "oauth", "subject": "7", "name": "Al",
        "scopes": [], "inputs": {}, "client_id": "their-own-app",
    }  # fmt: skip
    file = served.root / "export.json"
    file.write_text(json.dumps({"keyfob_export": 1, "accounts": [described], "presets": {}}))
    moved = run(served, "import", str(file), "--json").json
    assert [each["id"] for each in moved["accounts"]] == ["dropbox/moved"]
    process = served.start("connect", "dropbox", "--no-browser", unlocked=False)
    assert "client_id=their-own-app" in _address(process)
    process.send_signal(2)
    assert finish(process).code == 6


def test_providers_add_keeps_the_client_secret(served: Machine) -> None:
    words = ("--issuer", served.server.issuer, "--client-id", "with-a-secret", "--redirect-port", "0")
    added = run(
        served, "providers", "add", "secretive", *words, "--client-secret-stdin", stdin="secret-of-app\n"
    )
    assert added.code == 0, added.err
    # A sign-in begins only with the secret that the preset says there is.
    process = served.start("connect", "secretive", "--no-browser", unlocked=False)
    assert "client_id=with-a-secret" in _address(process)
    process.send_signal(2)
    assert finish(process).code == 6
    files = [each for each in served.home.rglob("*") if each.is_file()]
    assert [each for each in files if b"secret-of-app" in each.read_bytes()] == []


def test_a_client_that_cannot_be_is_refused_and_the_preset_is_not_kept(served: Machine) -> None:
    words = ("--issuer", served.server.issuer, "--client-id", "x", "--redirect-port", "0")
    refused = run(served, "providers", "add", "faulty", *words, "--client-secret-stdin", stdin="not-äscii\n")
    assert refused.code in (2, 8)
    assert refused.out == ""
    assert not (served.home / "config" / "providers" / "faulty.toml").exists()


def test_disconnect_and_remove(served: Machine) -> None:
    connect(served, "bob", "--label", "gone")
    name = run(served, "accounts", "--json").json["accounts"][-1]["id"]
    ended = run(served, "disconnect", name)
    assert (ended.code, ended.out.startswith(f"Disconnected {name}. The provider confirmed")) == (0, True)
    assert run(served, "token", name).code == 3
    again = run(served, "disconnect", name, "--json").json
    assert (again["id"], again["revoked"]) == (name, "yes")
    removed = run(served, "remove", name, "--json").json
    assert removed["id"] == name
    assert run(served, "status", name).code == 7


def test_without_an_agent_the_words_say_what_to_do() -> None:
    with machine() as home:
        home.connect()
        add = ("providers", "add", "new", "--issuer", home.server.issuer, "--client-id", "x")
        secret = (*add, "--client-secret-stdin")
        others = (("test", "here"), ("reconnect", "here", "--no-browser"), ("jwk", "generate"), secret)
        for words in others:
            ran = run(home, *words, stdin="secret\n" if words is secret else "")
            assert (ran.code, ran.out) == (4, ""), words
            assert "keyfob agent" in ran.last, ran.err
        ended = run(home, "disconnect", "here")
        assert (ended.code, ended.out) == (4, "")
        assert "here/alice is disconnected, but its tokens are still stored" in ended.last
        # What the words promise happens once an agent can open the file.
        home.agent()
        until(lambda: "confirmed" in run(home, "events").out, "the revocation")


def _address(process: subprocess.Popen[str]) -> str:
    """What the command prints for a browser."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip().startswith("http"):
            return line.strip()
    raise AssertionError("no address")
