"""The agent's socket carried to another machine by `ssh -R` and `ssh -L`, with a real sshd on loopback:
accounts marked shareable cross it, the others do not, and nothing can be begun or changed from there.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.agent_process import Machine, machine, said_by
from support.agent_rig import get, post
from support.running import Ran, scripted_browser, until

pytestmark = pytest.mark.network


@dataclass
class There:
    """The other machine: a home with nothing in it, and the forwarded socket."""

    machine: Machine
    home: Path
    socket: Path

    def run(self, *argv: str) -> Ran:
        return self.machine.run(
            *argv, unlocked=False, KEYFOB_HOME=str(self.home), KEYFOB_SOCK=str(self.socket)
        )


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    with machine() as made:
        with_two_accounts(made)
        yield made


def with_two_accounts(made: Machine) -> None:
    """One that may be shared, and one that may not."""
    added = made.run(
        "providers", "add", "closed", "--issuer", made.server.issuer, "--client-id", "keyfob-demo",
        "--redirect-port", "0",
    )  # fmt: skip
    assert added.code == 0, added.err
    preset = made.home / "config" / "providers" / "closed.toml"
    text = preset.read_text()
    assert "[policy]" in text
    preset.write_text(text.replace("[policy]", '[policy]\nshare = false\nshare_reason = "Its terms say so"'))
    made.connect()
    assert made.run("connect", "closed", **scripted_browser(made.root)).code == 0


@pytest.fixture(scope="module")
def port(here: Machine) -> Iterator[int]:
    with sshd_at(here.root / "ssh") as number:
        yield number


@contextmanager
def sshd_at(folder: Path) -> Iterator[int]:
    """The port of a real sshd that lets in the key made for it."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if sshd is None:
        raise RuntimeError("install openssh-server: sshd is needed")
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    (folder / "config").write_text(
        f"Port {number}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile "
        f"{folder}/authorized\nPidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication "
        "no\nPermitRootLogin yes\nAllowStreamLocalForwarding yes\nStreamLocalBindUnlink yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd keeps its unprivileged half
    log = (folder / "log").open("wb")
    process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stdout=log, stderr=log)
    try:
        until(lambda: _listens(number) or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield number
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _listens(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) == 0


@contextmanager
def ssh_with(folder: Path, port: int, user: str, appears: Path, *forward: str) -> Iterator[None]:
    """An ssh client that forwards as told, until its end of the socket is there."""
    ssh = subprocess.Popen(
        [
            "ssh", "-F", "none", "-N", "-p", str(port), "-i", folder / "user", "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
            f"UserKnownHostsFile={folder}/known",
            "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR", *forward, f"{user}@127.0.0.1",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        until(lambda: appears.exists() or ssh.poll() is not None)
        assert ssh.poll() is None, ssh.communicate()[1]
        yield
    finally:
        ssh.terminate()
        ssh.communicate()
        appears.unlink(missing_ok=True)


@pytest.fixture(params=["shared.sock", "agent.sock"])
def there(here: Machine, port: int, request: pytest.FixtureRequest) -> Iterator[There]:
    """The other end of `ssh -R`: of the socket made for forwarding, and of the agent's own."""
    shared = here.root / "shared.sock"
    agent = here.agent("--shared-socket", str(shared))
    local = shared if request.param == "shared.sock" else here.socket
    remote = here.root / f"there-{request.param}"
    user = pwd.getpwuid(os.geteuid()).pw_name
    try:
        with ssh_with(here.root / "ssh", port, user, remote, "-R", f"{remote}:{local}"):
            home = here.root / "there"
            home.mkdir(mode=0o700, exist_ok=True)
            yield There(here, home, remote)
    finally:
        agent.terminate()
        assert agent.wait(20) == 0
        here.end()


def test_only_accounts_marked_shareable_cross(there: There) -> None:
    token = there.run("token", "here")
    assert (token.code, token.err) == (0, "")
    assert token.out == there.machine.run("token", "here", unlocked=False).out

    closed = there.run("token", "closed")
    assert (closed.code, closed.out) == (8, "")
    assert [row["id"] for row in there.run("accounts", "--json").json["accounts"]] == ["here/alice"]
    assert there.run("status", "here", "--json").json["status"] == "connected"
    assert there.run("status", "closed", "--json").code == 8


def test_nothing_is_begun_changed_or_watched_from_there(there: There) -> None:
    assert post(there.socket, "/v1/sign-ins", {"provider": "here"}).status == 403
    assert post(there.socket, "/v1/renew/here").status == 403
    assert get(there.socket, "/v1/events").status == 403
    assert get(there.socket, "/v1/sign-ins/x").status == 403
    for target in ("agent/stop", "agent/lock", "agent/unlock", "keys", "clients/here", "remove/here"):
        assert post(there.socket, f"/v1/{target}", {}).status == 403, target
    assert get(there.socket, "/v1/agent").status == 403


def test_a_command_says_on_which_machine_it_can_be_run(there: There) -> None:
    for words in (("disconnect", "here"), ("request", "here", "GET", "/"), ("rename", "here/alice", "x")):
        ran = there.run(*words)
        assert (ran.code, ran.out) == (7, ""), words
        assert ran.last == (
            "keyfob: here/alice is kept on another machine. Run this command on that machine."
        )
    renewed = there.run("renew", "here")
    assert (renewed.code, renewed.out) == (7, "")
    assert renewed.last.endswith(" Run this command on that machine.")
    stopped = there.run("agent", "--stop")
    assert (stopped.code, stopped.out) == (7, "")
    assert "another machine" in stopped.last
    assert there.run("agent", "--status").out == (
        "An agent is running, on another machine or as an older version.\n"
    )
    assert there.run("disconnect", "nobody").last.startswith("keyfob: There is no account nobody.")


def test_a_refused_token_is_replaced_from_there_once_it_is_older_than_half_a_minute(there: There) -> None:
    renewed = time.monotonic()
    assert there.machine.run("renew", "here", unlocked=False).code == 0
    before = there.run("token", "here").out.strip()
    answer = post(there.socket, "/v1/token/here/alice", {"rejected": before})
    assert (answer.status, answer.json["code"]) == (503, "rate_limited")
    assert there.run("token", "here").out.strip() == before
    if there.socket.name.endswith("shared.sock"):
        return  # one wait is enough
    time.sleep(int(answer.headers["retry-after"]) + 1)
    answer = post(there.socket, "/v1/token/here/alice", {"rejected": before})
    assert answer.status == 200
    assert answer.json["token"] not in ("", before)
    assert time.monotonic() - renewed > 30


@pytest.fixture
def own_user() -> tuple[str, list[str]]:
    """A user who is not root, and how a command is run as that user. Root may look at every process, which is
    not how a person's agent runs.
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name, []
    # It may read everything, since the interpreter may be in root's
    # home. That does not let it look into processes.
    return "nobody", [
        "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
        "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ]  # fmt: skip


def test_the_agents_own_socket_counts_as_forwarded_behind_sshd(own_user: tuple[str, list[str]]) -> None:
    """`ssh -L` from elsewhere to the agent's own socket: sshd's process
    for the user does not let anybody look at it.
    """
    user, as_user = own_user
    program = [*as_user, sys.executable, "-m", "keyfob"]
    with machine() as home, sshd_at(home.root / "ssh") as port:
        with_two_accounts(home)
        for each in [home.root, *home.root.rglob("*")]:
            shutil.chown(each, user)
        agent = home.start("agent", program=program)
        assert "answers your tools" in said_by(agent)
        here = home.root / "from-elsewhere.sock"
        with ssh_with(home.root / "ssh", port, user, here, "-L", f"{here}:{home.socket}"):
            assert get(here, "/v1/token/here").status == 200
            assert get(here, "/v1/token/closed").json["code"] == "sharing_not_allowed"
            assert [row["id"] for row in get(here, "/v1/accounts").json["accounts"]] == ["here/alice"]
            assert post(here, "/v1/renew/here").status == 403
            assert post(here, "/v1/sign-ins", {"provider": "here"}).status == 403
            assert get(here, "/v1/events").status == 403
        # The user's own command is not taken for one that forwards.
        renewed = home.start("renew", "here", program=program, unlocked=False)
        assert renewed.communicate(timeout=60)[1] == ""
        assert renewed.returncode == 0
        agent.terminate()
        assert agent.wait(20) == 0
