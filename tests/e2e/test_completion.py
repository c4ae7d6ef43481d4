"""Completion in the real shells: what a person gets who presses Tab."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.session import DesktopSession
from support.workshop import Bench, bench_at, program

pytestmark = [pytest.mark.network, pytest.mark.keychain]


@pytest.fixture(scope="module")
def bench(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("completion")
    with bench_at(folder, session.env) as made:
        made.connect()
        for shell in ("bash", "zsh", "fish"):
            done = made.keyfob("completion", shell)
            assert done.code == 0, done.err
            (made.home / f"completion.{shell}").write_text(done.out)
        yield made


def tab(bench: Bench, shell: list[str], lines: list[str], typed: str, wanted: str) -> str:
    """What the terminal shows after `typed` and Tab, until `wanted` is there."""
    ours, theirs = pty.openpty()
    env = {**bench.env, "TERM": "dumb", "PS1": "> ", "HISTFILE": "", "COLUMNS": "200"}
    process = subprocess.Popen(
        shell, env=env, cwd=bench.home, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""

    def until(text: bytes, seconds: float) -> bool:
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
        return text in seen

    try:
        for line in [*lines, "echo rea''dy"]:
            os.write(ours, line.encode() + b"\n")
        assert until(b"ready", 30), seen
        time.sleep(0.5)  # the prompt after it
        seen = b""
        os.write(ours, typed.encode() + b"\t")
        if not until(wanted.encode(), 15):
            os.write(ours, b"\t")  # shells list several matches at the second Tab
            until(wanted.encode(), 15)
        return seen.decode("utf-8", "replace")
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


CASES = [
    ("keyfob reco", "reconnect"),
    ("keyfob token work", "workshop/alice"),
    ("keyfob connect codeb", "codeberg"),
    ("keyfob wire kub", "kubectl"),
    ("keyfob exec work", "workshop/alice"),
    ("keyfob exec workshop -- basenam", "basename"),
    ("keyfob events --account work", "workshop/alice"),
    ("keyfob import netr", "netrc"),
    ("keyfob settings set callb", "callback_port"),
    ("keyfob settings set theme da", "dark"),
]


@pytest.mark.parametrize(("typed", "wanted"), CASES)
def test_bash(bench: Bench, typed: str, wanted: str) -> None:
    shell = [program("bash", "bash"), "--norc", "--noprofile", "-i"]
    assert wanted in tab(bench, shell, ["source ./completion.bash"], typed, wanted)


@pytest.mark.parametrize(("typed", "wanted"), CASES)
def test_zsh(bench: Bench, typed: str, wanted: str) -> None:
    """As a file on the fpath, the way it is installed."""
    folder = bench.home / "zsh-functions"
    folder.mkdir(exist_ok=True)
    (folder / "_keyfob").write_text((bench.home / "completion.zsh").read_text())
    lines = [f"fpath=({folder} $fpath)", "autoload -Uz compinit", "compinit -u -D"]
    assert wanted in tab(bench, [program("zsh", "zsh"), "-f", "-i"], lines, typed, wanted)


@pytest.mark.parametrize(("typed", "wanted"), CASES)
def test_fish(bench: Bench, typed: str, wanted: str) -> None:
    """Asked as fish itself asks when Tab is pressed."""
    folder = bench.home / ".config" / "fish" / "completions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keyfob.fish").write_text((bench.home / "completion.fish").read_text())
    done = bench.run(program("fish", "fish"), "-c", f"complete -C '{typed}'")
    assert done.code == 0, done.err
    assert wanted in [line.partition("\t")[0] for line in done.out.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_hold_nothing_of_the_accounts(bench: Bench, shell: str) -> None:
    text = Path(bench.home / f"completion.{shell}").read_text()
    assert "workshop" not in text
    assert bench.token() not in text
