"""A renewal's answer is lost, and nothing that could be saved is lost with it: the real commands, a real GNOME Keyring
and a server over real sockets that takes a spent refresh token again for some seconds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.home import open_home
from keyfob.adapters.vault_choice import SystemVault
from keyfob.adapters.vault_deadline import DeadlineVault
from support.hostile import Talk
from support.misbehaving import Misbehaving
from support.session import DesktopSession
from support.whole_engine import Whole

pytestmark = [pytest.mark.network, pytest.mark.keychain]


class Desk:
    """A desktop session, a home in it with one connected account, and the commands that are run there."""

    def __init__(self, session: DesktopSession, folder: Path, provider: Misbehaving) -> None:
        self.session, self.provider = session, provider
        home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.vault = DeadlineVault(SystemVault(home.id), 10.0)
        self.whole = Whole(folder, provider, vault=self.vault)
        self.env = {**session.env, "KEYFOB_HOME": str(home.root)}
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.whole.connect()

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "keyfob", *words],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def keyfob(self, *words: str) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out.strip()

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.whole.engine.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Misbehaving() as provider, DesktopSession() as session, session.applied():
        made = Desk(session, tmp_path, provider)
        yield made
        made.close()


def commits_and_waits(provider: Misbehaving) -> tuple[threading.Event, threading.Event]:
    """The next renewal is carried out, and its answer is held back: `committed`, `release`."""
    committed, release = threading.Event(), threading.Event()

    def behaviour(talk: Talk) -> None:
        with provider._guard:
            answer = provider._answer("/token", talk.request)
        committed.set()
        release.wait(30)
        answer(talk)

    provider.next("/token", behaviour)
    return committed, release


@pytest.mark.timeout(120)
def test_killed_after_the_commit_the_very_next_token_asks_again_within_the_grace(desk: Desk) -> None:
    """No agent runs, and the old access token lives for another hour."""
    provider = desk.provider
    provider.grace = 15.0
    committed, release = commits_and_waits(provider)
    renewing = desk.start("renew", "here")
    assert committed.wait(30)
    renewing.kill()
    renewing.wait(10)
    release.set()
    token = desk.keyfob("token", "here")
    sent = provider.renewals()
    assert len(sent) == 2
    assert sent[0] == sent[1]  # the one whose answer was lost, once more
    assert token in provider.access
    assert token == desk.whole.grant().access.reveal()
    provider.grace = 0.0
    desk.keyfob("renew", "here")  # the session lives under strict rotation


@pytest.mark.timeout(120)
def test_while_another_process_renews_the_old_token_is_served_at_once(desk: Desk) -> None:
    before = desk.whole.grant().access.reveal()
    committed, release = commits_and_waits(desk.provider)
    renewing = desk.start("renew", "here")
    assert committed.wait(30)
    started = time.monotonic()
    assert desk.keyfob("token", "here") == before
    assert time.monotonic() - started < 10
    assert len(desk.provider.renewals()) == 1
    release.set()
    assert renewing.wait(30) == 0
    assert desk.keyfob("token", "here") != before
