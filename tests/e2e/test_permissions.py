"""Programs that are allowed from a terminal, while nobody has a window open to be asked."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.agent_process import Machine, machine
from support.running import KEYFOB, Ran

pytestmark = pytest.mark.network

ASKS = """\
import http.client, socket, sys
connection = http.client.HTTPConnection("keyfob")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect({socket!r})
connection.request("GET", "/v1/token/here")
print(connection.getresponse().read().decode())
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        (made.home / "config" / "settings.json").write_text('{"vault": "sealed", "named_app_consent": true}')
        made.agent()
        yield made


def ask(home: Machine, *command: str, **env: str) -> Any:
    ran = home.processes.run(command, home.env | env)
    assert ran.code == 0, ran.err
    return Ran(0, ran.out, ran.err).json


def permissions(home: Machine, *words: str) -> Ran:
    return home.run("permissions", *words, unlocked=False)


@pytest.fixture(params=["file", "code", "own file"])
def command(home: Machine, request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """How a program is started that asks the agent."""
    code = ASKS.format(socket=str(home.socket))
    if request.param == "code":
        return [sys.executable, "-I", "-c", code]
    script = tmp_path / "a report.py"
    script.write_text(f"#!{sys.executable}\n{code}")
    script.chmod(0o755)
    return [sys.executable, str(script)] if request.param == "file" else [str(script)]


def test_the_refusal_names_the_command_that_allows_the_program(home: Machine, command: list[str]) -> None:
    refused = ask(home, *command)
    assert refused["code"] == "consent_refused"
    named = re.search(r"with `keyfob (permissions --allow .*? here/alice)`", refused["detail"])
    assert named is not None, refused
    allowed = permissions(home, *shlex.split(named[1])[1:])
    assert allowed.code == 0, allowed.err
    assert allowed.out.endswith(" may use the token of here/alice.\n")
    assert ask(home, *command)["account"] == "here/alice"

    (row,) = permissions(home, "--json").json["permissions"]
    listed = permissions(home).out
    if "-c" in command:
        assert f"{row['executable']} -c …" in listed
    left = permissions(home, "--revoke", row["id"], "--json").json
    assert left == {"on": True, "permissions": []}
    assert ask(home, *command)["code"] == "consent_refused"


def test_a_script_is_allowed_by_its_name_alone_for_an_hour(home: Machine, tmp_path: Path) -> None:
    script = tmp_path / "report"
    script.write_text(f"#!{sys.executable}\n{ASKS.format(socket=str(home.socket))}")
    script.chmod(0o755)
    path = f"{tmp_path}:{home.env['PATH']}"
    allowed = home.run(
        "permissions", "--allow", "report", "here", "--hour", "--json", unlocked=False, PATH=path
    ).json
    assert (allowed["script"], allowed["reply"]) == (str(script), "hour")
    assert allowed["until"] is not None
    assert ask(home, "report", PATH=path)["account"] == "here/alice"
    assert permissions(home, "--revoke", allowed["id"]).code == 0


def test_what_cannot_be_allowed_is_named(home: Machine) -> None:
    missing = permissions(home, "--allow", "no-such-program", "here")
    assert (missing.code, missing.out) == (2, "")
    assert "There is no program no-such-program." in missing.last
    assert permissions(home, "--allow", "sh", "nobody").code == 7
    assert permissions(home, "--hour").code == 2
    assert permissions(home, "--json").json["permissions"] == []


def test_a_program_that_gives_access_is_asked_about_as_for_a_token(home: Machine, tmp_path: Path) -> None:
    """Whoever may not have the token gets no key for the gateway either."""
    script = tmp_path / "giver"
    keyfob = shlex.join([*KEYFOB, "grants", "create", "here", "--name", "mine", "--json"])
    script.write_text(f"#!/bin/sh\n{keyfob}\nexit $?\n")
    script.chmod(0o755)
    refused = home.processes.run([str(script)], home.env)
    assert (refused.code, refused.out) == (8, "")
    assert "giver may not use the token of here/alice" in refused.err
    assert home.run("grants", "list", "--all", "--json", unlocked=False).json == {"grants": []}
    allowed = permissions(home, "--allow", str(script), "here", "--hour", "--json").json
    made = home.processes.run([str(script)], home.env)
    assert made.code == 0, made.err
    assert made.json["account"] == "here/alice"
    assert permissions(home, "--revoke", allowed["id"]).code == 0
