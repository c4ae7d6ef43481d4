"""Standard streams that are closed or full, for every command: one line, an exit from the table, and nothing
but data on stdout.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator

import pytest

from keyfob.cli.main import VERBS
from support.agent_process import PASSPHRASE, Machine, machine
from support.running import KEYFOB, Ran, finish

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's"),
]

# What each command is called with, to succeed without a change and print something; others take no argument.
CALLS = {
    "connect": "connect here --api-key-stdin",  # refused
    "status": "status here",
    "token": "token here",
    "exec": "exec here -- true",
    "credential": "credential kubectl here",
    "request": "request here GET /userinfo",
    "wire": "wire --list",
    "unwire": "unwire git --yes",
    "renew": "renew here",
    "test": "test here",
    "rename": "rename here alice",
    "reconnect": "reconnect nobody",
    "disconnect": "disconnect nobody",
    "remove": "remove nobody",
    "agent": "agent --status",
    "providers": "providers list",
    "jwk": "jwk list",
    "web-keys": "web-keys list",
    "client-metadata": "client-metadata bluesky --client-id https://x.example/c.json",
    "import": "import --help",
    "completion": "completion bash",
    "demo": "demo --help",
    "serve": "serve --help",  # it would serve
    "models": "models list",
}
FULL = "keyfob: The output cannot be written: No space left on device. Write it to another file or disk.\n"
REFUSED = ("connect", "reconnect", "disconnect", "remove", "window", "nosuchverb")
SILENT = ("exec",)  # prints nothing of its own


@pytest.fixture(scope="module")
def home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


def run(home: Machine, call: str, redirection: str) -> Ran:
    read, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    try:
        process = home.processes.start(
            ["sh", "-c", f"{shlex.join(KEYFOB)} {call} {redirection}"],
            home.env | {"KEYFOB_PASSPHRASE_FD": str(read)},
            pass_fds=(read,),
        )
    finally:
        os.close(read)
    return finish(process)


@pytest.mark.parametrize("verb", [*VERBS, "nosuchverb", "--help", "--version"])
def test_a_full_disk_is_said_in_one_line(home: Machine, verb: str) -> None:
    call = CALLS.get(verb, verb)
    full = run(home, call, ">/dev/full")
    if verb in REFUSED:
        assert full.code in range(2, 10)
        assert full.last.startswith("keyfob: ")
    elif verb not in SILENT:
        assert full.code == 8, full.err
        assert full.err.endswith(FULL)
    assert full.err.count("keyfob: ") == (0 if verb in SILENT else 1)
    # What is said on stderr is lost, and never on stdout.
    lost = run(home, call, "2>/dev/full")
    assert lost.code in range(10), lost.code
    assert lost.out == "" or verb not in REFUSED
    assert "keyfob: " not in lost.out


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>&- >/dev/full"])
@pytest.mark.parametrize("verb", ["token", "accounts", "request", "renew", "reconnect", "doctor"])
def test_closed_streams_change_neither_the_exit_nor_stdout(
    home: Machine, verb: str, redirection: str
) -> None:
    plain, ran = run(home, CALLS.get(verb, verb), ""), run(home, CALLS.get(verb, verb), redirection)
    full = "/dev/full" in redirection and verb not in REFUSED
    assert ran.code == (8 if full else plain.code), ran.err
    assert "Traceback" not in ran.out + ran.err
    assert "keyfob: " not in ran.out
    if ">&-" not in redirection.split() and not full and verb in ("token", "accounts", "request"):
        assert bool(ran.out) is bool(plain.out)


def helper(home: Machine, name: str, words: str, asked: str, redirection: str) -> Ran:
    program = shlex.join([sys.executable, "-m", f"keyfob.cli.{name}"])
    shell = f"printf {shlex.quote(asked)} | {program} {words} {redirection}"
    return finish(home.processes.start(["sh", "-c", shell], home.env))


@pytest.mark.parametrize("name", ["git_credential", "docker_credential", "keyring_command"])
def test_a_tools_helper_says_a_full_disk_in_one_line(home: Machine, name: str) -> None:
    host = home.server.issuer.removeprefix("http://")
    words, asked = {
        "git_credential": ("get", f"protocol=http\\nhost={host}\\n\\n"),
        "docker_credential": ("get", f"http://{host}\\n"),
        "keyring_command": (f"get http://{host} alice", ""),
    }[name]
    agent = home.agent()
    plain = helper(home, name, words, asked, "")
    token = run(home, "token here", "").out.strip()
    assert (plain.code, plain.err) == (0, "")
    assert token in plain.out
    full = helper(home, name, words, asked, ">/dev/full")
    assert (full.code, full.out, full.err) == (8, "", FULL)
    # stderr that takes nothing changes no answer, and nothing of it gets to stdout.
    assert helper(home, name, words, asked, "2>/dev/full").out == plain.out
    assert helper(home, name, words, asked, "2>&-").out == plain.out
    lost = helper(home, name, "nonsense", "", "2>/dev/full")
    assert lost.code in (0, 2)
    assert lost.out == ""
    closed = helper(home, name, words, asked, ">&-")
    assert (closed.out, closed.err) == ("", "")
    agent.terminate()
    assert agent.wait(20) == 0


def test_with_json_the_object_says_it(home: Machine) -> None:
    ran = run(home, "accounts --json", ">/dev/full")
    assert ran.code == 8
    assert '"code": "file_unwritable"' in ran.err


def test_through_the_agent_too(home: Machine) -> None:
    agent = home.agent()
    ran = run(home, "token here", ">/dev/full")
    assert (ran.code, ran.err) == (8, FULL)
    assert run(home, "token here", "| true").err == ""
    agent.terminate()
    assert agent.wait(20) == 0
