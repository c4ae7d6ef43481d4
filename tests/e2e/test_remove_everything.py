"""`keyfob remove --everything` with a real keychain: nothing of this home is left anywhere, and everything of
another home is.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import secretstorage

from keyfob.adapters.vault.secret_service import SecretServiceVault
from keyfob.core.secret import Secret
from support.agent_process import said_by
from support.running import KEYFOB, Ran
from support.session import DesktopSession
from support.workshop import Bench, bench_at

pytestmark = [pytest.mark.network, pytest.mark.keychain]
# What `systemctl --user` would do; this computer has no session of systemd's.
SYSTEMCTL = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def bench(session: DesktopSession, tmp_path: Path) -> Iterator[Bench]:
    with bench_at(tmp_path, session.env) as made:
        (made.bin / "systemctl").write_text(SYSTEMCTL)
        (made.bin / "systemctl").chmod(0o755)
        yield made


def other_home(bench: Bench) -> Bench:
    """Another home in the same keychain, with an account."""
    folder = bench.keyfob_home.parent / "other"
    folder.mkdir(mode=0o700)
    made = replace(bench, env=bench.env | {"KEYFOB_HOME": str(folder)}, keyfob_home=folder)
    made.connect()
    return made


def entries(session: DesktopSession, bench: Bench, home_id: str) -> list[str]:
    """The names in the keychain, read by another program than the one that deleted them."""
    with session.bus() as connection:
        items = list(secretstorage.Collection(connection).get_all_items())
        names = [str(item.get_attributes().get("service")) for item in items]
    return sorted(name for name in names if name.startswith(f"keyfob/{home_id}/"))


def id_of(bench: Bench) -> str:
    return (bench.keyfob_home / "data" / "home-id").read_text().strip()


def remove(bench: Bench, *words: str, **env: str) -> Ran:
    return bench.keyfob("remove", "--everything", *words, **env)


def fill(bench: Bench) -> None:
    """Two accounts, a private key, wired tools, the agent's unit, start at login, menu entry, nxm links."""
    bench.connect()
    bench.connect_key("key-of-second", "second")
    assert bench.keyfob("jwk", "generate", "--provider", "workshop").code == 0
    assert bench.keyfob("wire", "git", "workshop", "--yes").code == 0
    assert bench.keyfob("settings", "set", "start_at_login", "on").code == 0
    assert bench.keyfob("agent", "--install").code == 0
    assert bench.keyfob("desktop-entry", "install").code == 0
    assert bench.keyfob("nexus", "links", "on").code == 0


def test_s110_nothing_of_this_home_is_left_and_all_of_the_other(
    bench: Bench, session: DesktopSession
) -> None:
    """Two homes share a keychain. Accounts are revoked at their provider; the tools' files are as before."""
    config = bench.home / ".gitconfig"
    config.write_text("[user]\n\tname = Alice\n")
    fill(bench)
    other = other_home(bench)
    mine, theirs = id_of(bench), id_of(other)
    before, token = entries(session, bench, theirs), other.token()
    assert len(entries(session, bench, mine)) >= 5
    assert "keyfob" in config.read_text()
    done = remove(bench, "--yes")
    assert done.code == 0, done.err
    assert "Removed workshop/alice. The provider confirmed that it is revoked.\n" in done.out
    assert done.out.endswith("Keyfob has nothing left here.\n")
    assert "2 accounts: " in done.err
    assert "the setup of git, whose files are restored" in done.err
    assert "the program for nxm links: " in done.err
    (menu,) = (line.partition(": ")[2] for line in done.err.splitlines() if "the menu entry" in line)
    assert menu.endswith(".desktop")
    assert not Path(menu).exists()
    assert entries(session, bench, mine) == []
    assert entries(session, bench, theirs) == before
    assert not bench.keyfob_home.exists()
    assert config.read_text() == "[user]\n\tname = Alice\n"
    rest = sorted(str(path.relative_to(bench.home)) for path in bench.home.rglob("*") if path.is_file())
    assert rest == [".gitconfig"]
    assert other.token() == token


def test_units_of_another_home_stay(bench: Bench) -> None:
    other = other_home(bench)
    assert other.keyfob("settings", "set", "start_at_login", "on").code == 0
    assert other.keyfob("agent", "--install").code == 0
    bench.connect()
    files = sorted(path for path in bench.home.rglob("*") if path.is_file())
    assert len(files) == 3
    assert remove(bench, "--yes", "--local").code == 0
    assert sorted(path for path in bench.home.rglob("*") if path.is_file()) == files


def test_it_asks_and_a_script_must_say_yes(bench: Bench) -> None:
    bench.connect()
    refused = remove(bench)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith("Check the list above. To delete all of it, add --yes.\n")
    assert answered(bench, b"n\n") == 6
    assert answered(bench, b"\n") == 6
    assert bench.token()
    assert answered(bench, b"y\n") == 0
    assert not bench.keyfob_home.exists()


def answered(bench: Bench, answer: bytes) -> int:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [str(bench.bin / "keyfob"), "remove", "--everything"], env=bench.env, stdin=follower,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.write(leader, answer)
        _, err = process.communicate(timeout=60)
    os.close(leader)
    os.close(follower)
    assert b"Delete all of this? [y/N]" in err
    return process.returncode


def test_json_says_what_was_found_and_done(bench: Bench, session: DesktopSession) -> None:
    fill(bench)
    done = remove(bench, "--yes", "--local", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["found"]["tools"] == ["git"]
    assert told["found"]["vault"] == "GNOME Keyring"
    assert told["found"]["keychain_entries"] >= 5
    assert told["found"]["presets"] == 2
    ended = {each["id"]: (each["revoked"], each["reason"]) for each in told["accounts"]}
    assert ended["workshop/alice"] == ("unsupported", "local")
    assert told["left"] == []
    again = remove(bench, "--yes", "--json")
    assert (again.code, json.loads(again.out)["found"]["accounts"]) == (0, [])
    assert (
        remove(bench).out == "Keyfob has nothing here: no account, no entry in GNOME Keyring, no settings.\n"
    )
    assert not bench.keyfob_home.exists()


def test_s110_with_a_locked_keychain_nothing_is_deleted(bench: Bench, session: DesktopSession) -> None:
    fill(bench)
    before = sorted(path for path in bench.home.rglob("*"))
    session.lock_keyring()
    try:
        done = remove(bench, "--yes")
    finally:
        session.unlock_keyring()
    assert (done.code, done.out) == (4, "")
    assert sorted(path for path in bench.home.rglob("*")) == before
    assert bench.token()
    assert remove(bench, "--yes").code == 0


def test_settings_can_stay(bench: Bench) -> None:
    bench.connect()
    assert bench.keyfob("settings", "set", "callback_port", "9899").code == 0
    assert remove(bench, "--yes", "--keep-settings").code == 0
    assert [path.name for path in bench.keyfob_home.iterdir()] == ["config"]
    assert bench.keyfob("settings", "get", "callback_port").out == "9899\n"
    assert bench.keyfob("accounts", "--json").json == {"accounts": []}


@pytest.mark.parametrize("after", [0.3, 0.7, 1.2, 2.0])
def test_s110_killed_in_the_middle_it_completes_when_run_again(
    bench: Bench, session: DesktopSession, after: float
) -> None:
    fill(bench)
    mine = id_of(bench)
    words = [str(bench.bin / "keyfob"), "remove", "--everything", "--yes"]
    process = subprocess.Popen(words, env=bench.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    done = remove(bench, "--yes")
    assert done.code == 0, done.err
    assert entries(session, bench, mine) == []
    assert not bench.keyfob_home.exists()
    assert [path for path in bench.home.rglob("*") if path.is_file()] == []


def test_a_running_agent_stops(bench: Bench) -> None:
    bench.connect()
    with subprocess.Popen(
        [*KEYFOB, "agent"], env=bench.env, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    ) as agent:
        assert said_by(agent)
        done = remove(bench, "--yes")
        assert done.code == 0, done.err
        agent.communicate(timeout=30)
    assert agent.returncode == 0
    assert not bench.keyfob_home.exists()


def test_s110_what_cannot_be_deleted_is_named_and_the_rest_is_gone(
    bench: Bench, session: DesktopSession
) -> None:
    """A tool's file that somebody else changed to something that cannot be written: the home's folders
    stay, so that it can be run again.
    """
    fill(bench)
    mine, config = id_of(bench), bench.home / ".gitconfig"
    kept = config.read_bytes()
    config.unlink()
    config.mkdir()
    done = remove(bench, "--yes", "--json")
    assert (done.code, done.out) == (8, "")
    told = json.loads(done.err.splitlines()[-1])
    assert told["code"] == "not_all_removed"
    assert told["left"][0]["what"] == "the setup of git"
    assert entries(session, bench, mine) == []
    config.rmdir()
    config.write_bytes(kept)
    again = remove(bench, "--yes")
    assert again.code == 0, again.err
    assert not bench.keyfob_home.exists()


def test_what_the_store_does_not_know_is_deleted_too(bench: Bench, session: DesktopSession) -> None:
    """The store was lost; the keychain lists what is there."""
    fill(bench)
    mine = id_of(bench)
    with session.applied():
        vault = SecretServiceVault(mine)
        vault.save("unknown/a", Secret("left by an older version"))
        vault.close()
    for path in (bench.keyfob_home / "data").glob("accounts.*"):
        path.unlink()
    done = remove(bench, "--yes")
    assert done.code == 0, done.err
    assert entries(session, bench, mine) == []


def test_the_encrypted_file_goes_without_its_passphrase_if_nothing_is_revoked(bench: Bench) -> None:
    (bench.keyfob_home / "config").mkdir(mode=0o700)
    (bench.keyfob_home / "config" / "settings.json").write_text('{"vault": "sealed"}')
    read, writer = os.pipe()
    os.write(writer, b"a passphrase")
    os.close(writer)
    bench.preset()
    bench.shop.keys.add("key")
    with subprocess.Popen(
        [*KEYFOB, "connect", "workshop", "--method", "api_key", "--api-key-stdin"], pass_fds=(read,),
        env=bench.env | {"KEYFOB_PASSPHRASE_FD": str(read)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        _, err = process.communicate("key\n", timeout=60)
    os.close(read)
    assert process.returncode == 0, err
    assert remove(bench, "--yes").code == 4
    assert (bench.keyfob_home / "data" / "vault.sealed").exists()
    done = remove(bench, "--yes", "--local")
    assert done.code == 0, done.err
    assert "the encrypted file, with all tokens in it" in done.err
    assert not bench.keyfob_home.exists()
