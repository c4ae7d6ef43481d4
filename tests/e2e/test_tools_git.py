"""git and `keyfob exec` with the real programs: clone and push over
HTTP, a refused token replaced, nothing left.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from support.workshop import Bench

pytestmark = [pytest.mark.network, pytest.mark.keychain]


def use(bench: Bench, helper: str = "keyfob") -> None:
    done = bench.run("git", "config", "--global", "credential.helper", helper)
    assert done.code == 0, done.err


def test_clone_and_push_with_the_accounts_token(bench: Bench) -> None:
    bench.connect()
    bench.shop.repository()
    use(bench)
    cloned = bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    assert cloned.code == 0, cloned.err
    box = bench.home / "box"
    assert (box / "README").read_text() == "found\n"
    token = bench.token()
    assert set(bench.shop.tokens_seen("/git/")) == {token}
    (box / "more").write_text("more")
    for words in (("add", "."), ("-c", "user.name=A", "-c", "user.email=a@b.org", "commit", "-qm", "two")):
        assert bench.run("git", "-C", str(box), *words).code == 0
    pushed = bench.run("git", "-C", str(box), "push", "-q")
    assert pushed.code == 0, pushed.err
    assert bench.files_with(token) == []


def test_a_private_repository_is_cloned_once_the_account_may(bench: Bench) -> None:
    """The server wants the scope email. Keyfob says what is lacking, and the one command that asks for it."""
    bench.preset("gitea")
    path = bench.keyfob_home / "config" / "providers" / "gitea.toml"
    narrow = path.read_text().replace('"profile", "email", ', '"profile", ')
    path.write_text(narrow + '\n[[access]]\nid = "repo"\ntitle = "Read repositories"\nscopes = ["email"]\n')
    bench.sign_in("connect", "gitea", "--method", "oauth")
    bench.shop.repository()
    bench.shop.git_needs = "email"
    clone = ("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    ask = "keyfob reconnect gitea/alice --access repo"

    wired = bench.keyfob("wire", "git", "--yes")
    assert wired.code == 0, wired.err
    assert "gitea/alice does not have the access that git needs (repo)" in wired.err
    assert f"To ask for it, run: {ask}" in wired.err
    refused = bench.run(*clone)
    assert refused.code != 0
    assert "403" in refused.err
    assert (
        f"keyfob: gitea/alice does not have the access that git needs (repo). To ask for it, run: {ask}."
        in (refused.err)
    )
    assert not (bench.home / "box").exists()

    bench.sign_in(*ask.split()[1:])
    cloned = bench.run(*clone)
    assert (cloned.code, cloned.err) == (0, "")
    assert (bench.home / "box" / "README").read_text() == "found\n"
    again = bench.keyfob("wire", "git", "--yes")
    assert "does not have" not in again.err
    told = json.loads(bench.keyfob("accounts", "--json").out)["accounts"]
    assert [row["access"] for row in told] == [[{"id": "repo", "title": "Read repositories"}]]
    assert "  Access     Read repositories\n" in bench.keyfob("status", "gitea").out


def test_a_refused_token_is_replaced_for_the_next_command(bench: Bench) -> None:
    bench.connect()
    bench.shop.repository()
    use(bench)
    old = bench.token()
    bench.shop.refused.add(old)
    first = bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    assert first.code != 0
    assert bench.provider.counters["renewals"] == 1
    second = bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    assert second.code == 0, second.err
    assert bench.token() != old
    assert bench.provider.counters["renewals"] == 1


def test_a_refused_key_that_cannot_renew_is_left_alone(bench: Bench) -> None:
    bench.connect_key("key-of-the-workshop-1234")
    asked = f"protocol=http\nhost={bench.shop.host}\nusername=x\npassword=key-of-the-workshop-1234\n\n"
    assert bench.run("git-credential-keyfob", "erase", stdin=asked).code == 0
    assert bench.keyfob("status", "workshop", "--json").json["status"] == "connected"


def test_other_hosts_and_plain_http_are_not_answered(bench: Bench) -> None:
    bench.connect(hosts=("git.example.org",))
    port = bench.shop.host.partition(":")[2]
    for asked in (
        "protocol=https\nhost=example.org\n\n",
        f"protocol=http\nhost=127.0.0.1.example.org:{port}\n\n",
        f"protocol=ssh\nhost={bench.shop.host}\n\n",
        f"protocol=https\nhost={bench.shop.host}.example.org\n\n",
        f"url=http://{bench.shop.host}@example.org/\n\n",
        "\n",
        "host=\n\n",
    ):
        done = bench.run("git-credential-keyfob", "get", stdin=asked)
        assert (done.code, done.out) == (0, ""), asked
    # Even an account's own host: a token never travels unencrypted to another computer.
    plain = bench.run("git-credential-keyfob", "get", stdin="protocol=http\nhost=git.example.org\n\n")
    assert plain.out == ""
    safe = bench.run("git-credential-keyfob", "get", stdin="protocol=https\nhost=git.example.org\n\n")
    assert f"password={bench.token()}\n" in safe.out


def test_two_accounts_are_told_apart_by_label_and_never_guessed(bench: Bench) -> None:
    bench.connect()
    bench.connect(person="bob")
    ask = f"protocol=http\nhost={bench.shop.host}\n"
    both = bench.run("git-credential-keyfob", "get", stdin=ask + "\n")
    assert both.out == ""
    assert "workshop/alice, workshop/bob" in both.err
    bob = bench.run("git-credential-keyfob", "get", stdin=ask + "username=bob\n\n")
    assert bob.out.startswith(f"username=bob\npassword={bench.token('workshop/bob')}\n")
    named = bench.run("git-credential-keyfob", "--account", "workshop/alice", "get", stdin=ask + "\n")
    assert f"password={bench.token('workshop/alice')}\n" in named.out


def test_expiry_and_the_authtype_capability(bench: Bench) -> None:
    bench.connect()
    token = bench.token()
    ask = f"protocol=http\nhost={bench.shop.host}\n"
    plain = bench.run("git-credential-keyfob", "--authtype", "Bearer", "get", stdin=ask + "\n")
    assert plain.out.startswith("username=alice\npassword=")
    assert "password_expiry_utc=" in plain.out
    asked = "capability[]=authtype\n" + ask + "\n"
    able = bench.run("git-credential-keyfob", "--authtype=Bearer", "get", stdin=asked)
    assert able.out.splitlines()[:3] == ["capability[]=authtype", "authtype=Bearer", f"credential={token}"]
    assert "password=" not in able.out
    for done in (plain, able):
        assert "quit" not in done.out
        assert token not in done.err


def test_a_provider_whose_terms_keep_its_tokens(bench: Bench) -> None:
    bench.connect("closed", share=False)
    ask = f"protocol=http\nhost={bench.shop.host}\n\n"
    done = bench.run("git-credential-keyfob", "get", stdin=ask)
    assert (done.code, done.out) == (0, "")
    assert "terms" in done.err
    refused = bench.keyfob("exec", "closed", "--", "true")
    assert refused.code == 8
    assert "does not let other tools" in refused.err


def test_an_ended_sign_in_says_so_and_answers_nothing(bench: Bench) -> None:
    bench.connect()
    assert bench.keyfob("disconnect", "workshop").code == 0
    done = bench.run("git-credential-keyfob", "get", stdin=f"protocol=http\nhost={bench.shop.host}\n\n")
    assert (done.code, done.out) == (0, "")
    assert "is disconnected" in done.err


def test_wrong_usage_and_actions_of_later_gits(bench: Bench) -> None:
    assert bench.run("git-credential-keyfob").code == 2
    assert bench.run("git-credential-keyfob", "--nonsense", "get").code == 2
    for action in ("store", "somethingnew"):
        done = bench.run("git-credential-keyfob", action, stdin="protocol=https\nhost=x\npassword=y\n\n")
        assert (done.code, done.out, done.err) == (0, "", "")


# --- exec ---------------------------------------------------------------------------------------------------


def test_exec_gives_the_token_to_one_command(bench: Bench) -> None:
    bench.connect()
    bench.connect(person="bob")
    tokens = [bench.token(f"workshop/{name}") for name in ("alice", "bob")]
    script = "import os, json; print(json.dumps([os.environ.get('WORKSHOP_TOKEN'), os.environ.get('BOBS')]))"
    done = bench.keyfob("exec", "workshop/alice", "workshop/bob=BOBS", "--", "python3", "-c", script)
    assert json.loads(done.out) == tokens
    assert done.err == ""
    assert bench.keyfob("exec", "workshop/alice", "--", "sh", "-c", "exit 42").code == 42
    assert (
        bench.keyfob("exec", "workshop/alice", "--", "sh", "-c", "cat; echo --json", stdin="in").out
        == "in--json\n"
    )
    assert bench.keyfob("exec", "workshop/alice", "--", "no-such-command-here").code == 127
    assert bench.keyfob("exec", "workshop/alice", "--", str(bench.home)).code == 126
    twice = bench.keyfob("exec", "workshop/alice", "workshop/bob", "--", "true")
    assert (twice.code, twice.out) == (2, "")
    assert "WORKSHOP_TOKEN" in twice.err
    for words in (
        ["workshop/alice=9X", "--", "true"],
        ["workshop/alice"],
        ["--", "true"],
        ["workshop/alice", "--"],
    ):
        assert bench.keyfob("exec", *words).code == 2, words
    gone = bench.keyfob("exec", "workshop/alice", "nobody", "--", "touch", "started")
    assert gone.code == 7
    assert not (bench.home / "started").exists()


def test_exec_reads_a_file_of_variables_and_hides_the_tokens(bench: Bench) -> None:
    bench.connect()
    bench.connect(person="bob")
    file = bench.home / "work.env"
    file.write_text("A=keyfob://workshop/alice\nB=keyfob://workshop/bob\nMODE=fast\n")
    show = ("sh", "-c", "printf '%s %s %s %s' $A $B $MODE $WORKSHOP_TOKEN; printf $B >&2")
    plain = bench.keyfob("exec", "--env-file", str(file), "workshop/alice", "--", *show)
    alice, bob = (bench.token(f"workshop/{name}") for name in ("alice", "bob"))
    assert (plain.out, plain.err) == (f"{alice} {bob} fast {alice}", bob)
    masked = bench.keyfob("exec", "--mask", "--env-file", str(file), "--", *show)
    assert (masked.out, masked.err) == ("*** *** fast ", "***")
    twice = bench.keyfob("exec", "--env-file", str(file), "workshop/alice=A", "--", "true")
    assert (twice.code, "the variable A" in twice.err) == (2, True)
    file.write_text("MODE=fast\n")
    empty = bench.keyfob("exec", "--env-file", str(file), "--", "true")
    assert (empty.code, empty.err) == (
        2,
        "keyfob: The files name no account, and there is none before --. See `keyfob exec --help`.\n",
    )
    assert bench.keyfob("exec", "workshop/alice=PATH", "--", "true").code == 2


def test_exec_becomes_the_command(bench: Bench) -> None:
    """Its pid, its signals and a broken pipe are the command's own."""
    bench.connect()
    words = ["keyfob", "exec", "workshop", "--", "sh", "-c", "echo $$; exec sleep 60"]
    process = subprocess.Popen(words, env=bench.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    token = bench.token()
    assert token.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert f"WORKSHOP_TOKEN={token}".encode() in Path(f"/proc/{process.pid}/environ").read_bytes()
    open_files = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert not [name for name in open_files if "accounts.db" in name or "socket" in name]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    piped = bench.run("sh", "-c", "keyfob exec workshop -- yes | head -1")
    assert (piped.code, piped.out, piped.err) == (0, "y\n", "")
