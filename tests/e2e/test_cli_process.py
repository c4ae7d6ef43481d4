"""The `keyfob` command as a process of its own: real keychain, real provider, exits, streams and signals."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from keyfob.demo.clients import DemoClient
from keyfob.demo.scripted_browser import ScriptedBrowser
from keyfob.demo.server import DemoServer
from support.running import KEYFOB, Processes, Ran, free_port, scripted_browser
from support.session import DesktopSession

pytestmark = [pytest.mark.network, pytest.mark.keychain]
SECRET = "canary-client-secret"


@dataclass
class Machine:
    """One home on one desktop session, with a browser that signs in as somebody."""

    env: dict[str, str]
    home: Path
    server: DemoServer
    processes: Processes = field(default_factory=Processes)

    def browser(self, person: str = "alice", allow: bool = True) -> dict[str, str]:
        return scripted_browser(self.home.parent, person, allow=allow)

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        return self.processes.start([*KEYFOB, *argv], self.env | env)

    def run(self, *argv: str, stdin: str = "", **env: str) -> Ran:
        return self.processes.run([*KEYFOB, *argv], self.env | env, stdin=stdin)

    def add(self, port: int = 0, *more: str) -> None:
        added = self.run(
            "providers", "add", "here", "--issuer", self.server.issuer, "--client-id", "keyfob-demo",
            "--redirect-port", str(port), *more, "--json",
        )  # fmt: skip
        assert added.json["methods"] == ["oauth", "device"], added.err

    def connect(self, *more: str, person: str = "alice", allow: bool = True) -> Ran:
        return self.run("connect", "here", *more, **self.browser(person, allow))


@pytest.fixture
def machine(session: DesktopSession, tmp_path: Path) -> Iterator[Machine]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    client = DemoClient("shop", "Shop", secret=SECRET)
    with DemoServer(
        tmp_path / "provider", port=0, access_lifetime=600, device_interval=1, clients=(client,)
    ) as server:
        # The short way of `token` leaves its connection to the keychain to the end of the process.
        warnings = "error,ignore::ResourceWarning"
        made = Machine(session.env | {"KEYFOB_HOME": str(home), "PYTHONWARNINGS": warnings}, home, server)
        yield made
        made.processes.end()


def read_until(process: subprocess.Popen[str], pattern: str, *, within: float = 20) -> re.Match[str]:
    """Reads stderr until the pattern is there."""
    assert process.stderr is not None
    text, end = "", time.monotonic() + within
    while time.monotonic() < end:
        if not select.select([process.stderr], [], [], 0.2)[0]:
            continue
        text += os.read(process.stderr.fileno(), 65536).decode()
        found = re.search(pattern, text)
        if found:
            return found
        if process.poll() is not None:
            break
    raise AssertionError(f"{pattern!r} did not come: {text}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_whole_life_of_an_account(machine: Machine) -> None:
    machine.add()
    assert "here" in {entry["id"] for entry in machine.run("providers", "list", "--json").json["providers"]}

    connected = machine.connect("--json")
    account = connected.json
    assert (account["id"], account["status"], account["name"]) == ("here/alice", "connected", "Alice")
    assert account["renewable"] is True
    assert "Your browser is open" in connected.err
    assert machine.run("accounts", "--json").json["accounts"] == [account]

    token = machine.run("token", "here")
    assert (token.code, token.err) == (0, "")
    assert re.fullmatch(r"\S{20,}\n", token.out)
    assert machine.run("token", "here/alice", "--header").out == f"Authorization: Bearer {token.out}"
    assert machine.run("test", "here", "--json").json["name"] == "Alice"

    renewed = machine.run("renew", "here", "--json").json
    assert renewed["last_renewed_at"] is not None
    newer = machine.run("token", "here").out
    assert newer != token.out
    # A refused token that is no longer the current one costs no renewal; the current one is replaced.
    assert machine.run("token", "here", "--rejected-stdin", stdin=token.out).out == newer
    newest = machine.run("token", "here", "--rejected-stdin", stdin=newer).out
    assert newest not in (newer, token.out)

    machine.server.revoke_everything("alice")
    ended = machine.run("renew", "here")
    assert (ended.code, ended.out) == (3, "")
    assert ended.last.startswith("keyfob: ")
    assert machine.run("status", "here", "--json").json["status"] == "needs_sign_in"
    assert (machine.run("token", "here", "--json").code, machine.run("token", "here").out) == (3, "")

    again = machine.run("reconnect", "here", "--json", **machine.browser())
    assert (again.json["id"], again.json["status"]) == ("here/alice", "connected")
    assert machine.run("rename", "here", "work", "--json").json["id"] == "here/work"

    gone = machine.run("disconnect", "here/work", "--json").json
    assert (gone["revoked"], gone["account"]["status"]) == ("yes", "disconnected")
    refused = machine.run("token", "here/work", "--json")
    assert (refused.code, refused.out, json.loads(refused.err)["code"]) == (3, "", "disconnected")

    kinds = [event["kind"] for event in machine.run("events", "--json").json["events"]]
    for kind in ("connected", "renewed", "needs_sign_in", "reconnected", "renamed", "disconnected"):
        assert kind in kinds
    assert machine.run("remove", "here/work").code == 0
    assert machine.run("accounts", "--json").json == {"accounts": []}


def test_no_secret_is_in_the_folders(machine: Machine) -> None:
    machine.add()
    added = machine.run(
        "providers", "add", "shop", "--issuer", machine.server.issuer, "--client-id", "shop",
        "--client-secret-stdin", "--redirect-port", "0", stdin=SECRET + "\n",
    )  # fmt: skip
    assert added.code == 0, added.err
    assert machine.run("connect", "shop", **machine.browser()).code == 0
    assert machine.connect().code == 0
    tokens = [machine.run("token", name).out.strip() for name in ("here", "shop")]
    for file in machine.home.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            for text in (SECRET, *tokens):
                assert text.encode() not in data, file


def test_two_people_and_an_ambiguous_name(machine: Machine) -> None:
    machine.add()
    assert machine.connect("--json").json["id"] == "here/alice"
    assert machine.connect("--json", "--label", "robots", person="bob").json["id"] == "here/robots"
    which = machine.run("token", "here")
    assert (which.code, which.out) == (2, "")
    assert "here/alice" in which.last
    assert "here/robots" in which.last
    # The wrong person's sign-in mends nothing and changes nothing.
    wrong = machine.run("reconnect", "here/robots", "--json", **machine.browser("alice"))
    assert (wrong.code, wrong.out, json.loads(wrong.err.splitlines()[-1])["code"]) == (
        9,
        "",
        "subject_mismatch",
    )
    assert machine.run("test", "here/robots", "--json").json["name"] == "Bob"


def test_the_address_may_be_pasted(machine: Machine) -> None:
    machine.add()
    process = machine.start("connect", "here", "--no-browser", "--json")
    found = read_until(process, r"(?s)(http://\S+/authorize\S+).*paste")
    # A browser elsewhere: it ends at an address that nothing answers.
    ends_at = ScriptedBrowser(within=machine.server.issuer).sign_in(found[1]).url
    assert process.stdin is not None
    for wrong in ("hello", ends_at.replace("state=", "state=x"), "http://127.0.0.1:1/callback?code=x"):
        process.stdin.write(wrong + "\n")
        process.stdin.flush()
        read_until(process, r"Paste the full address")
    assert process.poll() is None, "a pasted address that does not fit leaves the sign-in waiting"
    out, _ = process.communicate(ends_at + "\n", timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["id"] == "here/alice"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupting_a_sign_in_exits_6_and_frees_the_port(machine: Machine, number: int) -> None:
    port = free_port()
    machine.add(port)
    process = machine.start("connect", "here", "--no-browser")
    read_until(process, r"/authorize\S+")
    assert not is_free(port)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert (process.returncode, out) == (6, "")
    assert err.splitlines()[-1] == "keyfob: The sign-in was cancelled. Start again when you are ready."
    assert is_free(port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_a_renewal_waits_for_its_answer_and_keeps_it(machine: Machine, number: int) -> None:
    machine.add()
    assert machine.connect().code == 0
    headers = {"Origin": machine.server.issuer}
    assert (
        httpx.post(machine.server.issuer + "/playground/slow", headers=headers, trust_env=False).status_code
        == 303
    )
    process = machine.start("renew", "here")
    asked = machine.server.counters["requests"]
    while machine.server.counters["requests"] == asked:
        time.sleep(0.05)
    process.send_signal(number)
    read_until(process, r"Finishing, so that")
    process.send_signal(number)  # and once more, impatiently
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, "")
    assert err.splitlines()[-1] == "keyfob: Interrupted. Try again."
    httpx.post(machine.server.issuer + "/playground/slow", headers=headers, trust_env=False)
    # The rotated refresh token was kept: a spent one would end the whole grant here.
    assert machine.run("renew", "here").code == 0
    assert machine.server.counters["renewals"] == 2


def test_a_declined_and_an_overdue_sign_in_exit_6(machine: Machine) -> None:
    machine.add()
    declined = machine.connect("--json", allow=False)
    assert (declined.code, declined.out) == (6, "")
    assert json.loads(declined.err.splitlines()[-1])["code"] == "declined"
    overdue = machine.run("connect", "here", "--no-browser", "--timeout", "1", "--json")
    assert (overdue.code, overdue.out) == (6, "")
    assert json.loads(overdue.err.splitlines()[-1])["code"] == "timed_out"
    assert machine.run("accounts", "--json").json == {"accounts": []}


def test_a_taken_port_exits_8_and_names_its_holder(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        machine.add(port)
        taken = machine.connect()
    assert (taken.code, taken.out) == (8, "")
    assert str(port) in taken.last


def test_by_device_code(machine: Machine) -> None:
    machine.add()
    process = machine.start("connect", "here", "--method", "device", "--json")
    found = read_until(process, r"(?s)Open  (\S+)\nEnter (\S+)")
    ScriptedBrowser().sign_in(f"{found[1]}?user_code={found[2]}", "bob")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    account = json.loads(out)
    assert (account["id"], account["method"]) == ("here/bob", "device")
    assert machine.run("renew", "here").code == 0


def test_without_a_keychain_nothing_is_kept_and_the_exit_is_4(machine: Machine) -> None:
    machine.add()
    del machine.env["DBUS_SESSION_BUS_ADDRESS"]
    machine.env["XDG_RUNTIME_DIR"] = str(machine.home)
    refused = machine.connect("--json")
    assert (refused.code, refused.out) == (4, "")
    assert json.loads(refused.err.splitlines()[-1])["advice"] == "unlock_keychain"
    assert machine.run("accounts", "--json").json == {"accounts": []}
    looked = machine.run("doctor", "--json")
    assert (looked.code, looked.err) == (1, "")
    report = {line["name"]: line for line in json.loads(looked.out)["findings"]}
    assert report["keychain"]["ok"] is False
    assert report["keychain"]["remedy"]


@pytest.mark.parametrize("keychain", [True, False])
def test_the_headless_demo(machine: Machine, keychain: bool) -> None:
    if not keychain:
        del machine.env["DBUS_SESSION_BUS_ADDRESS"]
        machine.env["XDG_RUNTIME_DIR"] = str(machine.home)
    told = machine.run("demo", "--headless")
    assert told.code == 0, told.err
    assert told.err == ""  # the story is on one stream, in its order
    assert ("so secrets stay in memory" in told.out) is not keychain
    for words in (
        "1. Connect", "Connected as Alice", "Renewed: a new token", "4. And again", "needs you",
        "6. Reconnect", "7. Disconnect", "the provider confirmed the revocation", "2 sign-ins, 2 renewals",
    ):  # fmt: skip
        assert words in told.out
    assert machine.run("accounts", "--json").json == {"accounts": []}


def test_following_events_ends_well_with_ctrl_c(machine: Machine) -> None:
    machine.add()
    process = machine.start("events", "--follow", "--json")
    try:
        assert machine.connect().code == 0
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 10)[0], "an event of another process arrives"
        event = json.loads(process.stdout.readline())
        assert (event["account"], event["kind"]) == ("here/alice", "connected")
    finally:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
