"""A renewal's answer is lost, and nothing that could be saved is lost with it: the real commands, a real
GNOME Keyring and a server over real sockets that takes a spent refresh token again for some seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.vault.deadline import DeadlineVault
from keyfob.adapters.vault.system import SystemVault
from keyfob.process.home import open_home
from support.hostile import Talk
from support.misbehaving import Misbehaving
from support.running import Processes, finish, until
from support.session import DesktopSession
from support.whole_engine import Whole

pytestmark = [pytest.mark.network, pytest.mark.keychain]


class Bench:
    """A desktop session, a home in it with one connected account, and the commands that are run there."""

    def __init__(self, session: DesktopSession, folder: Path, provider: Misbehaving) -> None:
        self.session, self.provider = session, provider
        home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.vault = DeadlineVault(SystemVault(home.id), 10.0)
        self.whole = Whole(folder, provider, vault=self.vault)
        self.env = {**session.env, "KEYFOB_HOME": str(home.root)}
        self.folder = folder
        self.processes = Processes()
        self.whole.connect()

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._start(words, subprocess.PIPE)

    def on_a_terminal(self, *words: str) -> tuple[subprocess.Popen[str], int]:
        """The command, its stderr a terminal, and that terminal's other end."""
        ours, theirs = os.openpty()
        try:
            return self._start(words, theirs), ours
        finally:
            os.close(theirs)

    def _start(self, words: tuple[str, ...], stderr: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "keyfob", *words]
        return self.processes.start(
            command, self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stderr=stderr
        )

    def lock_after_the_next_commit(self) -> None:
        """The keychain is locked between the server's commit and our save."""

        def behaviour(talk: Talk) -> None:
            answer = self.provider.carry_out("/token", talk.request)
            self.session.lock_keyring()
            answer(talk)

        self.provider.next("/token", behaviour)

    def saved(self, generation: int) -> bool:
        return self.whole.grant().generation == generation

    def keyfob(self, *words: str) -> str:
        ran = finish(self.start(*words))
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def close(self) -> None:
        self.processes.end()
        self.whole.engine.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Misbehaving() as provider, DesktopSession() as session, session.applied():
        made = Bench(session, tmp_path, provider)
        yield made
        made.close()


def commits_and_waits(provider: Misbehaving) -> tuple[threading.Event, threading.Event]:
    """The next renewal is carried out, and its answer is held back: `committed`, `release`."""
    committed, release = threading.Event(), threading.Event()

    def behaviour(talk: Talk) -> None:
        answer = provider.carry_out("/token", talk.request)
        committed.set()
        release.wait(30)
        answer(talk)

    provider.next("/token", behaviour)
    return committed, release


@pytest.mark.timeout(120)
def test_killed_after_the_commit_the_very_next_token_asks_again_within_the_grace(bench: Bench) -> None:
    """No agent runs, and the old access token lives for another hour."""
    provider = bench.provider
    provider.grace = 15.0
    committed, release = commits_and_waits(provider)
    renewing = bench.start("renew", "here")
    assert committed.wait(30)
    renewing.kill()
    renewing.wait(10)
    release.set()
    token = bench.keyfob("token", "here")
    sent = provider.renewals()
    assert len(sent) == 2
    assert sent[0] == sent[1]  # the one whose answer was lost, once more
    assert token in provider.access
    assert token == bench.whole.grant().access.reveal()
    provider.grace = 0.0
    bench.keyfob("renew", "here")  # the session lives under strict rotation


@pytest.mark.timeout(120)
def test_while_another_process_renews_the_old_token_is_served_at_once(bench: Bench) -> None:
    before = bench.whole.grant().access.reveal()
    committed, release = commits_and_waits(bench.provider)
    renewing = bench.start("renew", "here")
    assert committed.wait(30)
    started = time.monotonic()
    assert bench.keyfob("token", "here") == before
    assert time.monotonic() - started < 10
    assert len(bench.provider.renewals()) == 1
    release.set()
    assert renewing.wait(30) == 0
    assert bench.keyfob("token", "here") != before


def said_first(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


ALARM = "The provider sent a new token for here/alice, but the keychain cannot save it. Unlock the keychain "


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_command_that_is_ended_while_the_keychain_is_locked_leaves_its_token_to_a_process_that_saves_it(
    bench: Bench, number: signal.Signals
) -> None:
    """A server without a grace: the rotated refresh token is all there is."""
    bench.lock_after_the_next_commit()
    started = time.monotonic()
    renewing = bench.start("renew", "here")
    assert ALARM in said_first(renewing)
    assert time.monotonic() - started < 15
    # Whoever kills it does so once somebody else has the token.
    key = bench.whole.engine.accounts.resolve("here").account.key
    until(lambda: bench.whole.engine.locks.held(f"saving-{key}"))
    renewing.send_signal(number)
    out, err = renewing.communicate(timeout=30)
    assert out == ""
    if number != signal.SIGKILL:
        assert renewing.returncode == 4, err
        last = err.splitlines()[-1]
        assert "is waiting in a separate Keyfob process, which saves it" in last
    asked = bench.start("token", "here")
    assert asked.wait(30) == 4  # and nothing is sent: what the vault holds is spent
    bench.session.unlock_keyring()
    until(lambda: bench.saved(2))
    until(lambda: not bench.whole.engine.locks.held(f"saving-{key}"))
    bench.keyfob("renew", "here")
    sent = bench.provider.renewals()
    assert len(sent) == 2
    assert sent[0] != sent[1]
    assert bench.keyfob("token", "here") in bench.provider.access


@pytest.mark.timeout(120)
def test_at_a_terminal_a_command_says_so_and_saves_as_soon_as_the_keychain_is_unlocked(
    bench: Bench,
) -> None:
    bench.lock_after_the_next_commit()
    renewing, terminal = bench.on_a_terminal("renew", "here")
    try:
        assert ALARM in os.read(terminal, 4096).decode()
        time.sleep(3)
        assert renewing.poll() is None
        bench.session.unlock_keyring()
        out, _ = renewing.communicate(timeout=40)
    finally:
        os.close(terminal)
    assert renewing.returncode == 0
    assert "Renewed here/alice" in out
    assert bench.saved(2)
    bench.keyfob("renew", "here")
    assert bench.keyfob("token", "here") in bench.provider.access
    # The process that held the grant looks whether it is saved, and ends.
    key = bench.whole.engine.accounts.resolve("here").account.key
    until(lambda: not bench.whole.engine.locks.held(f"saving-{key}"))


@pytest.mark.timeout(120)
def test_what_is_handed_over_is_revoked_when_the_account_is_disconnected_meanwhile(
    bench: Bench,
) -> None:
    bench.lock_after_the_next_commit()
    renewing = bench.start("renew", "here")
    assert ALARM in said_first(renewing)
    key = bench.whole.engine.accounts.resolve("here").account.key
    until(lambda: bench.whole.engine.locks.held(f"saving-{key}"))
    renewing.kill()
    renewing.communicate()
    bench.start("disconnect", "here").wait(60)
    bench.session.unlock_keyring()
    newest = next(iter(bench.provider.live))
    until(lambda: newest in bench.provider.revoked)
    until(lambda: not bench.whole.engine.locks.held(f"saving-{key}"))


@pytest.mark.timeout(120)
def test_s25_what_is_handed_over_is_in_no_argument_environment_or_file(bench: Bench) -> None:
    """S-25: the process that stands by gets the token by a pipe."""
    bench.provider.canary = "canary-of-a-renewal"
    bench.lock_after_the_next_commit()
    renewing = bench.start("renew", "here")
    assert ALARM in said_first(renewing)
    key = bench.whole.engine.accounts.resolve("here").account.key
    until(lambda: bench.whole.engine.locks.held(f"saving-{key}"))
    savers = [
        each
        for each in Path("/proc").iterdir()
        if each.name.isdecimal()
        and b"keyfob.saver" in _read(each / "cmdline")
        and str(bench.whole.home.root).encode() in _read(each / "environ")
    ]
    assert len(savers) == 1
    for part in ("cmdline", "environ"):
        assert bench.provider.canary.encode() not in _read(savers[0] / part)
    for file in bench.whole.home.root.rglob("*"):
        assert not file.is_file() or bench.provider.canary.encode() not in file.read_bytes()
    renewing.terminate()
    out, err = renewing.communicate(timeout=30)
    assert bench.provider.canary not in out + err
    bench.session.unlock_keyring()
    until(lambda: bench.saved(2))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
