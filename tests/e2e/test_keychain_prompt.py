"""S-70: a locked keychain, or one that was never set up, and a person who is there: the system's own prompt
opens, in a terminal as in the window, and what was asked for goes on. With a real GNOME Keyring and its real
prompter.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import secretstorage

from keyfob.demo.server import DemoServer
from support.app_run import Stage
from support.running import Ran, scripted_browser, until
from support.session import PASSWORD, DesktopSession

pytestmark = [pytest.mark.keychain, pytest.mark.screen, pytest.mark.timeout(240)]

UNLOCKS = (["type", "--delay", "20", PASSWORD], ["key", "Return"])
SETS_UP = (UNLOCKS[0], ["key", "Tab"], *UNLOCKS)
CLOSES = (["key", "Escape"],)
AT_ONCE = 6.0  # seconds: a command's start on a busy machine, and far less than a prompt's minute
SAYS = "Unlock your keychain in the window that opened (waiting up to 60 s)"


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with DesktopSession() as made:
        made.start_screen()
        yield made


@pytest.fixture
def unset_session() -> Iterator[DesktopSession]:
    """Its keychain has never been used."""
    with DesktopSession(keyring=False) as made:
        made.start_keyring(unlocked=False)
        made.start_screen()
        yield made


@contextmanager
def demo_stage(tmp_path: Path, session: DesktopSession, lifetime: int = 3600) -> Iterator[Stage]:
    """A home that knows the demo provider, which runs here."""
    with (
        DemoServer(tmp_path / "provider", port=0, access_lifetime=lifetime) as server,
        Stage(tmp_path, session, server.issuer) as stage,
    ):
        stage.settings(first_start_done=True)
        stage.add("demo", "--replace", client_id="keyfob-demo")
        yield stage


@pytest.fixture
def stage(tmp_path: Path, session: DesktopSession) -> Iterator[Stage]:
    with demo_stage(tmp_path, session) as made:
        connect(made)
        yield made


def connect(stage: Stage) -> None:
    """With a browser made of code."""
    ran = stage.run("connect", "demo", **scripted_browser(stage.folder))
    assert ran.code == 0, ran.err


@dataclass
class Terminal:
    """A command whose stderr is a terminal."""

    process: subprocess.Popen[str]
    screen: int

    def ran(self, timeout: float = 90) -> Ran:
        out, _ = self.process.communicate(timeout=timeout)
        told = b""
        os.set_blocking(self.screen, False)
        try:
            while more := os.read(self.screen, 65536):
                told += more
        except OSError:
            pass  # the terminal's other end is closed
        os.close(self.screen)
        return Ran(self.process.returncode, out, told.decode().replace("\r\n", "\n"))


def terminal(stage: Stage, *argv: str, display: bool = True) -> Terminal:
    screen, inside = os.openpty()
    env = {k: v for k, v in stage.env.items() if display or k != "DISPLAY"}
    process = subprocess.Popen(
        [sys.executable, "-m", "keyfob", *argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=inside,
        text=True,
    )
    os.close(inside)
    return Terminal(process, screen)


@contextmanager
def person(session: DesktopSession, *keys: list[str]) -> Iterator[None]:
    thread = threading.Thread(target=session.answer_prompt, args=keys)
    thread.start()
    yield
    thread.join(60)


def test_a_command_has_the_person_unlock_the_keychain(stage: Stage) -> None:
    session = stage.session
    session.lock_keyring()
    for argv in (["token", "demo"], ["renew", "demo"], ["jwk", "generate", "--provider", "demo"]):
        with person(session, *UNLOCKS):
            ran = terminal(stage, *argv).ran()
        assert ran.code == 0, ran.err
        assert ran.out
        assert SAYS in ran.err
        session.lock_keyring()


def test_a_prompt_that_is_closed_is_not_opened_again(stage: Stage) -> None:
    stage.session.lock_keyring()
    with person(stage.session, *CLOSES):
        ran = terminal(stage, "token", "demo").ran()
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.count(SAYS) == 1
    assert "The keychain was not unlocked." in ran.err.splitlines()[-1]


def test_whoever_ends_the_command_waits_for_no_prompt(stage: Stage) -> None:
    stage.session.lock_keyring()
    command = terminal(stage, "token", "demo")
    stage.session.see_prompt()
    began = time.monotonic()
    command.process.send_signal(signal.SIGTERM)
    assert command.ran().code != 0
    assert time.monotonic() - began < AT_ONCE


def test_without_a_screen_or_a_terminal_it_fails_at_once_and_says_what_to_do(stage: Stage) -> None:
    stage.session.lock_keyring()
    began = time.monotonic()
    ran = terminal(stage, "token", "demo", display=False).ran()
    assert ran.code == 4
    assert "keyfob settings set vault sealed" in ran.err
    piped = stage.run("token", "demo")
    assert piped.code == 4
    assert "Unlock your keychain and try again." in piped.err
    assert time.monotonic() - began < 2 * AT_ONCE
    assert not stage.session.prompt_shows()


def test_a_command_has_the_person_set_the_keychain_up(tmp_path: Path, unset_session: DesktopSession) -> None:
    with demo_stage(tmp_path, unset_session) as stage:
        told = stage.run("doctor").out
        assert "The keychain has not been set up yet" in told
        assert "Run `keyfob doctor` in a terminal on your desktop" in told
        with person(unset_session, *SETS_UP):
            ran = terminal(stage, "doctor").ran()
        assert "Choose a password for your keychain in the window that opened" in ran.err
        assert "GNOME Keyring: written, read and deleted" in ran.out


def test_with_an_agent_the_command_asks_and_the_agent_answers(stage: Stage) -> None:
    agent = stage.start("agent")
    until(lambda: (stage.home / "run" / "agent.sock").exists(), "the agent")
    stage.session.lock_keyring()
    with person(stage.session, *UNLOCKS):
        ran = terminal(stage, "token", "demo", "--min-life", "3000").ran()
    assert ran.code == 0, ran.err
    assert SAYS in ran.err
    agent.terminate()
    assert agent.wait(30) == 0


def test_the_keychain_s_own_program_shows_whose_entries_they_are(stage: Stage) -> None:
    def labels() -> set[str]:
        with stage.session.bus() as connection:
            items = secretstorage.Collection(connection).search_items({"username": "keyfob"})
            return {item.get_label() for item in items}

    # Nobody knew whose it would be when the sign-in tried whether the keychain can be written.
    assert labels() == {"Keyfob: demo/alice", "Keyfob"}
    assert stage.run("rename", "demo", "work").code == 0
    for _ in range(2):  # the two slots, in turn
        assert stage.run("renew", "demo").code == 0
    assert labels() - {"Keyfob: demo/alice"} == {"Keyfob: demo/work"}


# --- the window ---------------------------------------------------------------------------------------------


def test_the_window_sees_a_lock_shows_it_everywhere_and_has_it_unlocked(
    tmp_path: Path, session: DesktopSession
) -> None:
    with demo_stage(tmp_path, session, lifetime=20) as stage:
        connect(stage)
        with stage.window() as window:
            window.row("demo/alice", "connected")
            session.lock_keyring()
            window.find(name="Unlock…: Your keychain is locked", seconds=5)
            window.row("demo/alice", "stale")
            window.shot("keychain-locked-banner")
            served = stage.run("status", "demo", "--json", KEYFOB_SOCK=str(stage.home / "run" / "agent.sock"))
            assert served.json["status"] == "stale", "tools that ask the window hear the same"
            # Once a renewal was due, commands say so too.
            until(lambda: stage.account("demo")["last_error"], "the refused renewal to be noted", 45)
            account = stage.account("demo")
            assert account["last_error"]["code"] == "keychain_locked"
            assert account["status"] == "stale"
            assert not session.prompt_shows(), "a renewal opens no prompt"
            window.press("Unlock…: Your keychain is locked")
            window.find(has="Waiting for your answer")
            session.answer_prompt(*CLOSES)
            window.find(name="The keychain was not unlocked.")
            window.press("Unlock…: Your keychain is locked")
            session.answer_prompt(*UNLOCKS)
            window.gone(name="Unlock…: Your keychain is locked")
            window.row("demo/alice", "connected", seconds=10)
            assert stage.account("demo")["last_error"] is None


def test_a_keychain_that_hangs_is_shown_within_one_look(tmp_path: Path, session: DesktopSession) -> None:
    with demo_stage(tmp_path, session, lifetime=20) as stage:
        connect(stage)
        with stage.window() as window:
            window.row("demo/alice", "connected")
            session.hang_keyring()
            window.find(name="Try again: Your keychain is not responding", seconds=37 + 10 + 5)
            session.resume_keyring()
            window.gone(name="Try again: Your keychain is not responding", seconds=45)
            window.row("demo/alice", "connected", seconds=20)


def test_the_window_has_the_person_set_the_keychain_up(tmp_path: Path, unset_session: DesktopSession) -> None:
    with demo_stage(tmp_path, unset_session) as stage, stage.window() as window:
        window.press("Set up…: Your keychain is not set up yet")
        unset_session.answer_prompt(*SETS_UP)
        window.gone(name="Set up…: Your keychain is not set up yet")
        connect(stage)
        window.row("demo/alice", "connected")


def test_the_demo_plays_in_memory_where_there_is_no_keychain(tmp_path: Path) -> None:
    with DesktopSession(keyring=False) as session:
        session.start_screen()
        with Stage(tmp_path, session) as stage, stage.window("demo") as window:
            window.find(has="They are lost when you quit", seconds=30)
            assert not window.there(has="No keychain was found")
            assert not (stage.home / "data" / "accounts.db").exists()
