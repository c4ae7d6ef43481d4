"""Many processes, one account: one renewal for all of them, and none
killed at a bad moment loses the session.

Each asker is the real command, `keyfob token`, with the sealed vault,
its passphrase on a descriptor. The server counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from keyfob.adapters.vault.choice import SEALED_FILE
from keyfob.adapters.vault.sealed import SealedVault
from keyfob.core.secret import Secret
from keyfob.process.home import open_home
from support.misbehaving import Misbehaving
from support.running import KEYFOB, Processes, finish
from support.whole_engine import Whole

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="kills by process handle, which Linux has"),
]
PASSPHRASE = "a passphrase for a test"
ANSWERING = 0.02  # s that the server takes, as over a real network


@dataclass
class Machine:
    """A home with a sealed vault and one connected account whose token has expired."""

    whole: Whole
    processes: Processes = field(default_factory=Processes)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("KEYFOB_", "DBUS_"))}
        env |= {"KEYFOB_HOME": str(self.whole.home.root), "KEYFOB_PASSPHRASE_FD": str(read)}
        try:
            return self.processes.start([*KEYFOB, *argv], env, stdin=subprocess.DEVNULL, pass_fds=(read,))
        finally:
            os.close(read)

    def token(self) -> str:
        ran = finish(self.start("token", "here"))
        assert ran.code == 0, ran.err
        return ran.out.strip()


def machine_at(folder: Path, provider: Misbehaving) -> Machine:
    home = open_home({"KEYFOB_HOME": str(folder / "home")})
    (home.config / "settings.json").write_text(json.dumps({"vault": "sealed"}))
    vault = SealedVault(home.id, home.data / SEALED_FILE, lambda new: Secret(PASSPHRASE))
    lifetime, provider.lifetime = provider.lifetime, 1
    whole = Whole(folder, provider, vault=vault)
    whole.connect()
    provider.lifetime = lifetime
    time.sleep(1.1)
    return Machine(whole)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Misbehaving() as provider:
        made = machine_at(tmp_path, provider)
        yield made
        made.processes.end()
        made.whole.engine.close()


@pytest.mark.timeout(180)
def test_sixteen_processes_cost_one_renewal_under_strict_rotation(machine: Machine) -> None:
    provider = machine.whole.provider
    asked = [machine.start("token", "here") for _ in range(16)]
    answers = [process.communicate(timeout=150) for process in asked]
    assert [process.returncode for process in asked] == [0] * 16, [err for _, err in answers]
    tokens = {out.strip() for out, _ in answers}
    assert len(tokens) == 1
    assert tokens <= provider.access
    assert len(provider.renewals()) == 1
    assert machine.whole.engine.accounts.view("here").status == "connected"


@pytest.mark.timeout(300)
def test_killed_at_any_moment_of_a_renewal_with_a_grace_it_stays_signed_in(machine: Machine) -> None:
    """A kill -9 at a random moment of each renewal. A server that takes a spent token again for some seconds,
    as many do, is enough for nothing to be lost, wherever the kill hits.
    """
    seen = kill_rounds(machine, grace=30.0, kills=60)
    print(f"\nwith a grace of 30 s: {seen}")
    assert seen.kills == 60
    assert seen.committed
    assert seen.lost == 0


@pytest.mark.timeout(300)
def test_the_window_that_is_left_without_a_grace_is_measured(machine: Machine) -> None:
    """A server that never takes a spent token again: what is lost is what was killed between the server's
    commit and our save, and nothing else.
    """
    seen = kill_rounds(machine, grace=0.0, kills=60)
    print(f"\nwithout a grace: {seen}")
    assert seen.kills == 60
    assert seen.lost <= seen.committed  # never one that was killed before its request


@dataclass
class Seen:
    kills: int = 0
    committed: int = 0  # of them, after the server had taken the refresh token
    lost: int = 0
    span: float = 0.0  # s from a renewal's start, within which the kill falls

    def __str__(self) -> str:
        window = 1000 * self.span * self.lost / self.kills
        return (
            f"{self.kills} kills within {1000 * self.span:.0f} ms of a renewal's start, {self.committed} "
            f"after the server's commit, {self.lost} sessions lost: a window of about {window:.0f} ms"
        )


def kill_rounds(machine: Machine, *, grace: float, kills: int) -> Seen:
    """Where a session is lost, a new one is begun."""
    whole, provider = machine.whole, machine.whole.provider
    provider.grace = grace
    provider.before["/token"] = lambda: time.sleep(ANSWERING)
    chance = random.Random()
    seen = Seen()
    read, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("KEYFOB_", "DBUS_"))}
    script = Path(__file__).parent.parent / "support" / "renewing_children.py"
    maker = subprocess.Popen(
        [sys.executable, str(script), str(whole.home.root), str(read)],
        env=env,
        pass_fds=(read,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(read)
    assert maker.stdin is not None
    assert maker.stdout is not None
    try:
        assert maker.stdout.readline().strip() == "ready"

        def begin() -> int:
            assert maker.stdin is not None
            assert maker.stdout is not None
            maker.stdin.write("here\n")
            maker.stdin.flush()
            return int(maker.stdout.readline())

        whole_ones = []
        for _ in range(5):
            started = time.monotonic()
            begin()
            assert maker.stdout.readline().strip() == "ended 0"
            whole_ones.append(time.monotonic() - started)
        seen.span = sorted(whole_ones)[3]
        while seen.kills < kills:
            spent = provider.spent()
            handle = os.pidfd_open(begin())  # not its number, which another process may have by then
            time.sleep(chance.uniform(0, seen.span))
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
            if maker.stdout.readline().strip() != "killed":
                continue  # it had ended before
            seen.kills += 1
            time.sleep(2 * ANSWERING)  # a request that is on its way is carried out
            seen.committed += provider.spent() > spent
            error = whole.renew()
            if error is not None:
                assert error.exit_code == 3, error
                seen.lost += 1
                whole.connect(account="here")
            assert whole.token() in provider.access
    finally:
        maker.stdin.close()
        maker.wait(10)
        maker.stdout.close()
    return seen
