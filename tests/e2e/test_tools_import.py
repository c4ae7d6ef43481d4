"""`keyfob import` and `export` whole: real keychain, real provider, files of other tools."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from support.running import scripted_browser
from support.session import DesktopSession
from support.workshop import Bench

pytestmark = [pytest.mark.network, pytest.mark.keychain]
KEY = "key-canary-of-the-workshop-0001"


def test_a_key_is_tried_then_kept_then_blanked(bench: Bench) -> None:
    bench.preset()
    bench.shop.keys.add(KEY)
    store = bench.home / ".git-credentials"
    store.write_text(f"http://robot:{KEY}@{bench.shop.host}\nhttps://me:other@git.example.org\n")
    shown = bench.keyfob("import")
    assert shown.code == 0
    assert f"…{KEY[-4:]}" in shown.err
    assert "needs --provider" in shown.err
    assert bench.keyfob("accounts", "--json").json == {"accounts": []}
    dry = bench.keyfob("import", "git-credentials", "--dry-run", "--blank", "--json")
    assert [each["way"] for each in dry.json["found"]] == ["api_key", "unknown"]
    assert KEY in store.read_text()

    moved = bench.keyfob("import", "git-credentials")
    assert moved.code == 0, moved.err
    assert "Connected as robot: workshop/robot" in moved.out
    assert "use --blank" in moved.err
    assert bench.token() == KEY
    assert KEY in store.read_text()

    again = bench.keyfob("import", "git-credentials", "--blank", "--json")
    assert [account["id"] for account in again.json["accounts"]] == ["workshop/robot"]
    assert len(bench.keyfob("accounts", "--json").json["accounts"]) == 1, "recognised, not doubled"
    assert store.read_text() == "https://me:other@git.example.org\n"
    backup = bench.home / ".git-credentials.before-keyfob"
    assert (again.json["blanked"], again.json["backups"]) == ([str(store)], [str(backup)])
    assert bench.files_with(KEY) == [backup]
    assert backup.stat().st_mode & 0o777 == 0o600
    for said in (shown, dry, moved, again):
        assert KEY not in said.out + said.err


def test_a_refused_key_stays_where_it_is(bench: Bench) -> None:
    bench.preset()
    store = bench.home / "creds"
    store.write_text(f"http://robot:{KEY}@{bench.shop.host}\n")
    refused = bench.keyfob("import", str(store), "--blank")
    assert (refused.code, refused.out) == (3, "")
    assert KEY in store.read_text()
    assert bench.keyfob("accounts", "--json").json == {"accounts": []}


def test_a_key_goes_only_to_the_host_it_was_kept_for(bench: Bench) -> None:
    """Also where the person names a provider: another host's key is not tried at it."""
    bench.preset()
    store = bench.home / "creds"
    store.write_text(f"https://robot:{KEY}@elsewhere.example.org\n")
    done = bench.keyfob("import", str(store), "--provider", "workshop", "--json")
    assert [each["way"] for each in done.json["found"]] == ["unknown"]
    assert bench.shop.tokens_seen("/api/user") == []


def test_a_key_of_ones_own_server_is_not_tried_at_the_public_one(bench: Bench) -> None:
    file = bench.home / ".env"
    file.write_text(f"GITLAB_TOKEN={KEY}\n")
    (found,) = bench.keyfob("import", str(file), "--json").json["found"]
    assert (found["way"], found["reason"]) == (
        "unknown",
        "GITLAB_TOKEN does not say which GitLab server it is for",
    )
    (found,) = bench.keyfob("import", str(file), "--provider", "gitlab", "--dry-run", "--json").json["found"]
    assert (found["way"], found["provider"]) == ("api_key", "gitlab")


def test_a_sign_in_that_another_tool_renews_is_shown_and_left(bench: Bench) -> None:
    file = bench.home / ".codex" / "auth.json"
    file.parent.mkdir()
    text = json.dumps({"OPENAI_API_KEY": None, "tokens": {"refresh_token": "rt-canary-of-codex-0002"}})
    file.write_text(text)
    done = bench.keyfob("import", "codex", "--blank", "--json")
    (found,) = done.json["found"]
    assert (found["way"], found["provider"], found["tail"]) == ("read_only", "openai-codex", "0002")
    assert "both would be signed out" in found["reason"]
    assert done.json["accounts"] == []
    assert file.read_text() == text
    assert "canary" not in done.out + done.err


def test_an_email_proxy_becomes_an_account_that_needs_one_sign_in(bench: Bench) -> None:
    file = bench.home / "emailproxy.config"
    file.write_text(
        "[Server setup]\n[me@example.org]\npermission_url = https://accounts.google.com/o/oauth2/auth\n"
        "token_url = https://oauth2.googleapis.com/token\noauth2_scope = https://mail.google.com/\n"
        "client_id = proxy-client\nclient_secret = client-canary-0003\nrefresh_token = gAAAA-canary\n"
    )
    done = bench.keyfob("import", "emailproxy", "--json")
    (account,) = done.json["accounts"]
    assert (account["id"], account["status"]) == ("google/me@example.org", "needs_sign_in")
    assert account["last_error"]["code"] == "imported"
    token = bench.keyfob("token", "google")
    assert (token.code, token.out) == (3, "")
    once = bench.keyfob("import", "emailproxy", "--json")
    assert len(bench.keyfob("accounts", "--json").json["accounts"]) == 1, once.out
    assert [path.name for path in bench.files_with("client-canary-0003")] == ["emailproxy.config"]


def test_what_cannot_be_imported_says_so(bench: Bench) -> None:
    assert bench.keyfob("import", "/no/such/file").code == 7
    notes = bench.home / "notes.txt"
    notes.write_text("the key is under the mat\n")
    assert bench.keyfob("import", str(notes)).code == 8
    assert bench.keyfob("import", str(notes), "--file", str(notes)).code == 8
    big = bench.home / "big"
    big.write_bytes(b"x" * (1024 * 1024 + 1))
    assert bench.keyfob("import", str(big)).code == 8
    assert "Nothing found" in bench.keyfob("import").out


def test_an_export_holds_no_secret_and_makes_the_accounts_elsewhere(
    bench: Bench, session: DesktopSession, tmp_path: Path
) -> None:
    bench.connect()
    bench.connect_key(KEY)
    tokens = [bench.token(f"workshop/{name}") for name in ("alice", "robot")]
    exported = bench.keyfob("export")
    for secret in (*tokens, KEY):
        assert secret not in exported.out
    (tmp_path / "other").mkdir()
    other = Bench.at(tmp_path / "other", session.env, bench.provider, bench.shop)
    file = other.home / "accounts.json"
    file.write_text(exported.out)
    seen = other.keyfob("import", str(file), "--dry-run")
    assert seen.code == 0
    assert "Workshop (alice)" in seen.err
    assert not (other.keyfob_home / "config" / "providers" / "workshop.toml").exists()
    done = other.keyfob("import", str(file), "--json")
    assert {each["id"]: each["status"] for each in done.json["accounts"]} == {
        "workshop/alice": "needs_sign_in",
        "workshop/robot": "needs_sign_in",
    }
    for person, code in (("bob", 9), ("alice", 0)):
        signed = other.keyfob("reconnect", "workshop/alice", **scripted_browser(tmp_path, person))
        assert signed.code == code, signed.err
    assert other.token("workshop/alice") != tokens[0]
    keyed = other.keyfob("reconnect", "workshop/robot", "--api-key-stdin", stdin=KEY + "\n")
    assert keyed.code == 0, keyed.err


@pytest.mark.parametrize(
    "preset",
    [
        'id = "evil"\ntitle = "Evil"\nmethods = ["oauth"]\nissuer = "http://evil.example.org"\n',
        "not toml at all [",
    ],
)
@pytest.mark.parametrize("name", ["evil", "../evil", "github"])
def test_an_exports_presets_are_judged(bench: Bench, name: str, preset: str) -> None:
    account = {"provider": name, "label": "me", "method": "oauth"}
    file = bench.home / "accounts.json"
    file.write_text(json.dumps({"keyfob_export": 1, "accounts": [account], "presets": {name: preset}}))
    bench.keyfob("import", str(file))
    folder = bench.keyfob_home / "config"
    assert list(folder.rglob("*.toml")) == []


STRANGER = """\
id = "hub"
title = "{title}"
methods = ["api_key"]
docs = "https://docs.example.org"
[policy]
client_id = "none"
register_at = "https://pages.example.org"
[api]
base = "https://api.evil.example"
hosts = ["uploads.evil.example:8443"]
[api_key]
[api_key.api]
base = "https://keys.evil.example"
[api_key.identity]
source = "request"
url = "https://keys.evil.example/me"
[api_key.identity.map]
subject = "id"
"""


@pytest.mark.parametrize("title", ["GitHub", "git hub", "\uff27\uff49\uff54\uff28\uff55\uff42"])
def test_s84_an_exports_preset_that_bears_anothers_name_is_shown_for_what_it_is(
    bench: Bench, title: str
) -> None:
    account = {"provider": "hub", "label": "me", "method": "api_key"}
    file = bench.home / "accounts.json"
    body = {"keyfob_export": 1, "accounts": [account]}
    file.write_text(json.dumps(body | {"presets": {"hub": STRANGER.format(title=title)}}))
    refused = bench.keyfob("import", str(file))
    assert refused.code == 8
    assert "send tokens to: api.evil.example, keys.evil.example, uploads.evil.example:8443\n" in refused.err
    assert "It is not the GitHub that Keyfob knows." in refused.err
    installed = bench.keyfob_home / "config" / "providers" / "hub.toml"
    assert not installed.exists()
    (found,) = bench.keyfob("import", str(file), "--dry-run", "--json").json["found"]
    assert found["preset"]["pretends"] == "GitHub"

    file.write_text(json.dumps(body | {"presets": {"hub": STRANGER.format(title="Hub")}}))
    taken = bench.keyfob("import", str(file))
    assert taken.code == 0, taken.err
    assert "send tokens to: api.evil.example, " in taken.err
    assert installed.exists()


def test_on_a_terminal_blanking_is_offered(bench: Bench) -> None:
    bench.preset()
    bench.shop.keys.add(KEY)
    store = bench.home / "creds"
    store.write_text(f"http://robot:{KEY}@{bench.shop.host}\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["keyfob", "import", str(store)],
        env=bench.env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    said, end = b"", time.monotonic() + 30
    while b"A backup stays" not in said and time.monotonic() < end:
        if select.select([ours], [], [], 0.5)[0]:
            said += os.read(ours, 4096)
    assert KEY in store.read_text()
    os.write(ours, b"y\n")
    end = time.monotonic() + 30
    while b"remove the backup: rm " not in said and time.monotonic() < end:
        if select.select([ours], [], [], 0.5)[0]:
            said += os.read(ours, 4096)
    process.wait(30)
    os.close(ours)
    assert process.returncode == 0
    assert KEY not in store.read_text()
    assert f"The backup still contains them: {store}.before-keyfob".encode() in said
    assert KEY.encode() not in said


def test_s79_a_file_that_changed_while_keys_were_moved_stays_as_it_is(bench: Bench) -> None:
    """The key is tried at its provider first; meanwhile a tool writes to its file."""
    bench.preset()
    bench.shop.keys.add(KEY)
    store = bench.home / "creds"
    line = f"http://robot:{KEY}@{bench.shop.host}\n"
    store.write_text(line)
    added = "https://me:new@git.example.org\n"
    bench.shop.on_user = lambda: store.write_text(line + added)
    done = bench.keyfob("import", str(store), "--blank")
    assert done.code == 8
    assert "Connected as robot" in done.out
    assert "has changed since Keyfob read it" in done.err
    assert store.read_text() == line + added
    assert list(bench.home.glob("*.before-keyfob*")) == []
    assert bench.token() == KEY
