"""A home on a disk that is read-only or full: what needs no writing works, and the remedy names the disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent_process import Machine, machine
from support.running import Ran, finish

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a tmpfs, which is Linux's"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk"),
]
DISK = "Free some disk space, and make sure that Keyfob can write to its data folder."


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, timeout=30, capture_output=True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Machine]:
    """Connected, and then moved to a small disk of its own."""
    with machine() as made:
        made.connect()
        kept = tmp_path / "kept"
        shutil.move(made.home, kept)
        made.home.mkdir(mode=0o700)
        mount("-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(made.home))
        try:
            shutil.copytree(kept, made.home, dirs_exist_ok=True)
            yield made
        finally:
            made.end()
            subprocess.run(["umount", "--lazy", str(made.home)], check=True, timeout=30)


def findings(home: Machine) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in json.loads(home.run("doctor", "--json").out)["findings"]}


@pytest.mark.parametrize("left", ["closed well", "after a crash"])
def test_a_read_only_disk(home: Machine, left: str) -> None:
    if left == "after a crash":
        agent = home.agent()
        home.kill(agent)
        assert (home.home / "data" / "accounts.db-shm").exists()
    expected = home.run("token", "here").out
    if left == "after a crash":
        home.kill(home.agent())
    mount("-o", "remount,ro", str(home.home))
    served = home.run("token", "here")
    assert (served.code, served.out) == (0, expected), served.err
    (account,) = home.run("accounts", "--json").json["accounts"]
    assert account["status"] == "connected"
    assert home.run("status", "here", "--json").json["id"] == "here/alice"
    found = findings(home)
    assert found["store"]["ok"] is True
    assert found["keychain"]["ok"] is False
    assert found["keychain"]["remedy"] == DISK
    sent = home.server.counters.get("renewals", 0)
    renewed = home.run("renew", "here")
    assert renewed.out == ""
    assert renewed.code in (1, 4)
    assert DISK in renewed.err
    assert home.server.counters.get("renewals", 0) == sent
    renamed = home.run("rename", "here", "bob")
    assert renamed.code == 1
    assert DISK in renamed.err


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk(home: Machine) -> None:
    """With an agent that was there before: it serves the token that lives."""
    home.agent()
    expected = home.run("token", "here", unlocked=False).out
    filler = home.home / "filler"
    with pytest.raises(OSError, match="No space"):
        fill(filler)
    served = home.run("token", "here", unlocked=False)
    assert (served.code, served.out) == (0, expected), served.err
    assert len(home.run("accounts", "--json").json["accounts"]) == 1
    found = findings(home)
    assert found["keychain"]["ok"] is False
    assert found["keychain"]["remedy"] == DISK
    sent = home.server.counters.get("renewals", 0)
    renewed = home.run("renew", "here")
    assert (renewed.code, renewed.out) == (4, "")
    assert DISK in renewed.err
    assert home.server.counters.get("renewals", 0) == sent
    filler.unlink()
    assert home.run("renew", "here").code == 0
    assert home.server.counters["renewals"] == sent + 1
    assert home.run("token", "here", unlocked=False).out != expected


HELPERS = ("git_credential", "docker_credential", "keyring_command")


def helper(home: Machine, name: str, *, unlocked: bool) -> Ran:
    host = home.server.issuer.removeprefix("http://")
    words, asked = {
        "git_credential": (["get"], f"protocol=http\nhost={host}\n\n"),
        "docker_credential": (["get"], f"http://{host}\n"),
        "keyring_command": (["get", f"http://{host}", "alice"], ""),
    }[name]
    program = [sys.executable, "-m", f"keyfob.cli.{name}"]
    return finish(home.start(*words, program=program, unlocked=unlocked), stdin=asked)


def test_tools_helpers_on_a_full_disk(home: Machine) -> None:
    """With an agent they serve the token that lives. What they cannot do, they say in one line."""
    agent = home.agent()
    token = home.run("token", "here", unlocked=False).out.strip()
    with pytest.raises(OSError, match="No space"):
        fill(home.home / "filler")
    for name in HELPERS:
        served = helper(home, name, unlocked=False)
        assert (served.code, served.err) == (0, ""), name
        assert token in served.out
    host = home.server.issuer.removeprefix("http://")
    erase = home.start("erase", program=[sys.executable, "-m", "keyfob.cli.git_credential"], unlocked=False)
    refused = finish(erase, stdin=f"protocol=http\nhost={host}\npassword={token}\n\n")
    assert (refused.code, refused.out, refused.err.count("\n")) == (0, "", 1)
    assert DISK.rstrip(".") in refused.err
    home.kill(agent)
    for name, code in zip(HELPERS, (0, 1, 1), strict=True):
        refused = helper(home, name, unlocked=True)
        # Docker reads a failure's reason from stdout.
        said, empty = (refused.out, refused.err) if "docker" in name else (refused.err, refused.out)
        assert (refused.code, empty) == (code, ""), name
        assert said.count("\n") == 1, said
        assert said.startswith("keyfob: "), said


def test_a_disk_that_is_full_when_a_command_starts(home: Machine) -> None:
    with pytest.raises(OSError, match="No space"):
        fill(home.home / "filler")
    ran = home.run("token", "here")
    assert (ran.code, ran.out) == (1, "")
    assert DISK in ran.err
