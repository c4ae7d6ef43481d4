"""`keyfob agent --status`, `--lock`, `--unlock` and `--stop`, with an agent that has an encrypted file."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent_process import PASSPHRASE, Machine, machine
from support.agent_rig import get, post
from support.running import KEYFOB, Ran, finish

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def one_home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


@pytest.fixture
def home(one_home: Machine) -> Iterator[Machine]:
    yield one_home
    one_home.end()


def run(home: Machine, *argv: str) -> Ran:
    return home.run(*argv, unlocked=False)


def unlock(home: Machine, passphrase: str, *more: str) -> Ran:
    read, write = os.pipe()
    os.write(write, passphrase.encode() + b"\n")
    os.close(write)
    try:
        process = home.processes.start(
            [*KEYFOB, "agent", "--unlock", *more], home.env | {"KEYFOB_PASSPHRASE_FD": str(read)},
            pass_fds=(read,),
        )  # fmt: skip
    finally:
        os.close(read)
    return finish(process)


def test_status_and_stop(home: Machine) -> None:
    none = run(home, "agent", "--status")
    assert (none.code, none.out) == (0, "No agent is running. Commands work without it.\n")
    assert run(home, "agent", "--status", "--json").json == {"running": False, "installed": False}
    assert run(home, "agent", "--stop").out == "No agent is running.\n"

    agent = home.agent()
    found = run(home, "agent", "--status", "--json").json
    assert (found["running"], found["pid"], found["window"]) == (True, agent.pid, False)
    assert (found["vault"], found["vault_open"], found["locked"]) == ("sealed", True, False)
    said = run(home, "agent", "--status").out
    assert f"process {agent.pid}), since" in said
    assert "Tokens are in an encrypted file." in said
    doctor = {line["name"]: line for line in run(home, "doctor", "--json").printed["findings"]}
    assert (doctor["keychain"]["level"], doctor["keychain"]["text"]) == (
        "ok", "Encrypted file: open in the agent",
    )  # fmt: skip
    assert f"process {agent.pid})" in doctor["agent"]["text"]

    assert run(home, "agent", "--stop").out == "The agent has stopped.\n"
    assert agent.wait(10) == 0
    assert not home.socket.exists()


def test_a_locked_agent_gives_out_nothing_until_the_passphrase_comes(home: Machine) -> None:
    agent = home.agent()
    token = run(home, "token", "here").out
    assert token
    assert run(home, "token", "here").out == token  # now from the agent's memory, too
    assert run(home, "agent", "--lock").out == "The agent is locked. It gives out no tokens.\n"

    for words in (("token", "here"), ("exec", "here", "--", "true"), ("renew", "here"), ("test", "here")):
        refused = run(home, *words)
        assert (refused.code, refused.out) == (4, ""), words
        assert refused.last == "keyfob: The agent is locked. To unlock it, run `keyfob agent --unlock`."
    assert get(home.socket, "/v1/token/here").json["code"] == "agent_locked"
    with pytest.raises(AssertionError):
        home.connect("bob")
    assert "It is locked and gives out no tokens." in run(home, "agent", "--status").out
    lines = {line["name"]: line for line in run(home, "doctor", "--json").printed["findings"]}
    assert (lines["keychain"]["ok"], lines["agent"]["level"]) == (False, "warn")

    wrong = unlock(home, "not the passphrase")
    assert (wrong.code, wrong.out) == (4, "")
    assert "The passphrase is wrong." in wrong.last
    # Without a passphrase it stays closed, whoever asks.
    assert post(home.socket, "/v1/agent/unlock").json["code"] == "passphrase_needed"
    assert run(home, "token", "here").code == 4

    assert unlock(home, PASSPHRASE, "--json").json["locked"] is False
    assert run(home, "token", "here").out == token
    assert unlock(home, PASSPHRASE).out == "The agent is unlocked.\n"  # again changes nothing
    agent.terminate()
    assert agent.wait(20) == 0


def test_what_there_is_no_agent_for(home: Machine) -> None:
    for action in ("--lock", "--unlock"):
        ran = run(home, "agent", action)
        assert (ran.code, ran.out) == (7, "")
        assert ran.last == "keyfob: No agent is running. To start it, run `keyfob agent`."
    assert run(home, "agent", "--status", "--print-socket").code == 2
    assert run(home, "agent", "--json").code == 2


def test_an_agent_that_does_not_answer_is_named(home: Machine) -> None:
    agent = home.agent()
    agent.send_signal(signal.SIGSTOP)
    try:
        for words in (("agent", "--status"), ("agent", "--stop"), ("agent", "--lock")):
            began = time.monotonic()
            ran = run(home, *words)
            assert (ran.code, ran.out) == (5, "")
            assert ran.last.startswith(f"keyfob: The agent (process {agent.pid}) does not answer.")
            assert f"kill -9 {agent.pid}" in ran.last
            assert time.monotonic() - began < 20
        lines = {line["name"]: line for line in run(home, "doctor", "--json").printed["findings"]}
        assert (lines["agent"]["level"], lines["agent"]["ok"]) == ("fail", False)
        assert str(agent.pid) in lines["agent"]["remedy"]
    finally:
        agent.send_signal(signal.SIGCONT)
    # It goes on as if nothing had been.
    assert run(home, "token", "here").code == 0


def test_the_system_starts_the_agent_until_that_is_undone(home: Machine, tmp_path: Path) -> None:
    """With a systemctl that writes down what it is asked."""
    asked = tmp_path / "asked"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    systemctl.chmod(0o755)
    env = {"PATH": f"{systemctl.parent}:{home.env['PATH']}", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    agent = home.agent()
    installed = home.run("agent", "--install", unlocked=False, **env)
    assert installed.code == 0, installed.err
    assert "The agent that was running has stopped." in installed.out
    assert agent.wait(10) == 0
    assert asked.read_text() == "--user daemon-reload\n--user enable --now keyfob-agent.socket\n"
    units = {path.name: path.read_text() for path in (tmp_path / "config" / "systemd" / "user").iterdir()}
    assert f"ListenStream={home.socket}\n" in units["keyfob-agent.socket"]
    assert f"KEYFOB_HOME={home.home}" in units["keyfob-agent.service"]
    assert home.run("agent", "--status", unlocked=False, **env).out == (
        "No agent is running. Commands work without it.\nIt starts when a tool asks for it.\n"
    )
    # The command of the unit is one that runs, as systemd would run it.
    (line,) = [line for line in units["keyfob-agent.service"].splitlines() if line.startswith("ExecStart=")]
    program = shlex.split(line.removeprefix("ExecStart="))
    shown = home.processes.run([*program, "--print-socket"], home.env)
    assert shown.out == f"{home.socket}\n"

    undone = home.run("agent", "--uninstall", "--json", unlocked=False, **env).json
    assert (undone["installed"], len(undone["files"])) == (False, 2)
    assert list((tmp_path / "config" / "systemd" / "user").iterdir()) == []
    assert home.run("agent", "--uninstall", unlocked=False, **env).out == "The agent is not installed.\n"


def test_without_systemd_the_install_says_what_to_do(home: Machine, tmp_path: Path) -> None:
    refused = home.run(
        "agent", "--install", unlocked=False, PATH=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "config")
    )
    assert (refused.code, refused.out) == (8, "")
    assert refused.last == "keyfob: systemctl was not found. Start the agent yourself with `keyfob agent`."
    assert not list((tmp_path / "config" / "systemd" / "user").iterdir())
