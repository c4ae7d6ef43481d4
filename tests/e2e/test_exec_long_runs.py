"""`keyfob exec` for commands that run for long: AWS keys by an endpoint, with real clients, and files with a
token that go when the command ends, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import python_tools
from support.agent_process import Machine, machine
from support.running import until
from support.workshop import Bench

pytestmark = [pytest.mark.network, pytest.mark.keychain]
FIRST, SECOND = "AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst", "AKIAEXAMPLEEXAMPLE01:abcd/efgh+ijklmnopqrst"
# Gets its keys twice, as botocore does when they expire, with another sign-in in between.
BOTO = """
import botocore.session, json, os, subprocess, sys
def keys():
    found = botocore.session.Session().get_credentials()
    frozen = found.get_frozen_credentials()
    return [found.method, frozen.access_key, frozen.secret_key, frozen.token or ""]
first = keys()
again = ["keyfob", "reconnect", "workshop", "--method", "api_key", "--api-key-stdin"]
env = os.environ | {"PYTHONPATH": sys.argv[2]}
subprocess.run(again, input=sys.argv[1] + "\\n", text=True, check=True, stdout=sys.stderr, env=env)
print(json.dumps([first, keys(), os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]]))
"""


def test_botocore_gets_the_keys_that_are_current(bench: Bench) -> None:
    bench.connect_key(FIRST)
    bench.shop.keys.add(SECOND)
    python = str(python_tools.clients() / "python")
    done = bench.keyfob(
        "exec", "--aws", "workshop", "--", "env", "PYTHONPATH=", "PYTHONWARNINGS=ignore", python, "-c", BOTO,
        SECOND, bench.env["PYTHONPATH"],
    )  # fmt: skip
    assert done.code == 0, done.err
    first, second, uri = json.loads(done.out)
    assert first == ["container-role", *FIRST.split(":"), ""]
    assert second == ["container-role", *SECOND.split(":"), ""]
    # It is gone with the command.
    gone = bench.run("curl", "-sS", uri)
    assert gone.code == 7


def test_a_default_profile_of_aws_is_warned_of(bench: Bench) -> None:
    bench.connect_key(FIRST)
    (bench.home / ".aws").mkdir()
    file = bench.home / ".aws" / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = x\n")
    done = bench.keyfob("exec", "--aws", "workshop", "--mask", "--", "sh", "-c", f"echo {FIRST[21:]}")
    assert (done.code, done.out) == (0, "***\n")
    assert done.err == (
        f"Warning: {file} has a default profile with keys, and AWS tools use that instead of workshop. To "
        "use workshop, remove the profile or give it another name.\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--role", "R", "--", "true"], "--account-id and --role need --aws. Add --aws ACCOUNT."),
        (["--aws", "here", "--", "true"], "is not an AWS key pair."),
        (
            ["--aws", "here", "--role", "R", "--", "true"],
            "here is not an account of AWS IAM Identity Center.",
        ),
        (["--token-file", "here=1X", "--", "true"], "'1X' is not a variable name."),
        (
            ["--token-file", "here", "--token-file", "here", "--", "true"],
            "Two files use the variable HERE_TOKEN_FILE. Choose another variable for one of them: "
            "here/alice=NAME.",
        ),
        (["--token-file", "here", "--", "no-such-command"], "Command not found: no-such-command."),
    ],
)
def test_what_cannot_be(home: Machine, words: list[str], said: str) -> None:
    done = home.run("exec", *words)
    assert done.code in (2, 8, 127)
    assert done.out == ""
    assert said.rstrip(".") in done.last
    assert leftovers(home) == []


@pytest.fixture(scope="module")
def home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


def leftovers(home: Machine) -> list[Path]:
    """The folders of files with tokens that are there."""
    return [each for base in places(home) for each in base.glob("exec-*-*")]


def places(home: Machine) -> list[Path]:
    memory = Path(f"/dev/shm/keyfob-files-{os.getuid()}")
    return [memory, home.root / "runtime" / "keyfob-files", home.home / "run"]


@pytest.mark.parametrize("agent", [False, True])
def test_a_file_has_the_token_while_the_command_runs(home: Machine, agent: bool) -> None:
    running = home.agent() if agent else None
    runtime = home.root / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    script = 'f=$HERE_TOKEN_FILE; echo "$f"; cat "$f"; echo; stat -c %a "$f"; cat "$ID"; exit 7'
    files = ("--token-file", "here", "--id-token-file", "here/alice=ID")
    done = home.run(
        "exec", *files, "--", "sh", "-c", script, unlocked=not agent, XDG_RUNTIME_DIR=str(runtime)
    )
    assert done.code == 7, done.err
    path, token, mode, id_token = done.out.split()
    assert Path(path).is_relative_to(runtime / "keyfob-files")
    assert mode == "600"
    assert token == home.run("token", "here").out.strip()
    assert id_token == home.run("token", "here", "--id-token").out.strip()
    assert leftovers(home) == []
    if running is not None:
        running.terminate()
        assert running.wait(20) == 0


WAITS = "import os, time; print(os.getpid(), os.environ['T'], flush=True); time.sleep(60)"


def waiting(home: Machine) -> tuple[subprocess.Popen[str], Path, int]:
    """`keyfob exec` with a command that waits, the command's file with a token, and its process id."""
    process = home.start("exec", "--token-file", "here=T", "--", sys.executable, "-c", WAITS)
    assert process.stdout is not None
    pid, path = process.stdout.readline().split()
    assert Path(path).exists()
    return process, Path(path), int(pid)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_removes_the_file(home: Machine, number: signal.Signals) -> None:
    process, path, _ = waiting(home)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert not path.exists()
    assert leftovers(home) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_s88_the_next_run_removes_what_a_killed_one_left(home: Machine) -> None:
    process, path, command = waiting(home)
    process.kill()
    process.wait(30)
    os.kill(command, signal.SIGKILL)  # it runs on without us
    assert path.exists()
    assert home.run("exec", "--token-file", "here=T", "--", "true").code == 0
    until(lambda: leftovers(home) == [], "the file to be removed")


def test_a_renewed_token_gets_into_the_file(tmp_path: Path) -> None:
    """With tokens of 40 seconds and no agent, by the command's own process."""
    with machine(access_lifetime=40) as home:
        home.connect()
        script = (
            "import os, pathlib, time\n"
            "read, end = pathlib.Path(os.environ['T']).read_text, time.time() + 60\n"
            "first = read()\n"
            "while read() == first and time.time() < end: time.sleep(0.2)\n"
            "print(first, read())"
        )
        done = home.run("exec", "--token-file", "here=T", "--", sys.executable, "-c", script)
        assert done.code == 0, done.err
        first, second = done.out.split()
        assert first != second
        assert done.seconds < 40
