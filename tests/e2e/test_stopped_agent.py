"""An agent that was stopped, as by Ctrl-Z or a computer short of
memory: whoever asks it goes on without it.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from keyfob.process.own_process import package_root
from support.agent_process import PASSPHRASE, Machine, machine

pytestmark = [pytest.mark.network, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

SLOW = 13.0  # seconds that the provider takes to renew: longer than an agent may be silent
WITHIN = 25.0  # seconds: 10 for a sign of life, and the command's own work on a busy machine


@pytest.fixture
def stopped() -> Iterator[Machine]:
    with machine() as home:
        home.connect()
        agent = home.agent()
        agent.send_signal(signal.SIGSTOP)
        try:
            yield home
        finally:
            agent.send_signal(signal.SIGCONT)


def at_terminal(home: Machine, *words: str, unlocked: bool = True) -> tuple[int, str, str, float]:
    """The exit, stdout, what was said on the terminal, and the seconds that the command took."""
    passphrase, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    terminal, theirs = pty.openpty()
    started = time.monotonic()
    env = home.env | ({"KEYFOB_PASSPHRASE_FD": str(passphrase)} if unlocked else {})
    process = subprocess.Popen(
        [sys.executable, "-m", "keyfob", *words], stdout=subprocess.PIPE, stderr=theirs, env=env,
        pass_fds=(passphrase,), text=True,
    )  # fmt: skip
    os.close(theirs)
    os.close(passphrase)
    out, _ = process.communicate(timeout=90)
    took = time.monotonic() - started
    said = os.read(terminal, 4096).decode() if select.select([terminal], [], [], 0)[0] else ""
    os.close(terminal)
    return process.returncode, out, said, took


def test_a_command_says_that_it_waits_and_does_the_work_itself(stopped: Machine) -> None:
    code, out, said, took = at_terminal(stopped, "token", "here")
    assert (code, said) == (0, "Waiting for the Keyfob agent…\r\n")
    assert len(out.strip()) > 20
    assert took < WITHIN


def test_a_socket_that_nobody_accepts_at_is_given_up() -> None:
    """Connecting works, because the system keeps the connection for a program that does not take it."""
    with machine() as home, socket.socket(socket.AF_UNIX) as deaf:
        home.connect()
        home.socket.parent.mkdir(mode=0o700, exist_ok=True)
        deaf.bind(str(home.socket))
        deaf.listen(8)
        code, out, said, took = at_terminal(home, "token", "here")
        assert (code, said) == (0, "Waiting for the Keyfob agent…\r\n")
        assert len(out.strip()) > 20
        assert took < WITHIN


def be_slow_or_not(home: Machine) -> None:
    """The switch on the provider's own page."""
    issuer = home.server.issuer
    request = Request(f"{issuer}/playground/slow", method="POST", headers={"Origin": issuer})
    with suppress(HTTPError):  # it answers with another page
        urlopen(request, timeout=30).close()


def test_a_renewal_may_take_its_time_while_the_agent_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than silence is borne: the agent answers what it is asked in between, and renews once."""
    monkeypatch.setattr("keyfob.demo.web.SLOW_SECONDS", SLOW)
    with machine() as home:
        home.connect()
        old = home.run("token", "here").out.strip()
        home.agent()
        renewed = home.server.counters.get("renewals", 0)
        be_slow_or_not(home)
        # Without the passphrase: only the agent can have renewed it.
        code, out, said, took = at_terminal(home, "renew", "here", "--json", unlocked=False)
        be_slow_or_not(home)
        assert (code, said) == (0, "Waiting for the Keyfob agent…\r\n"), out
        assert SLOW <= took < SLOW + WITHIN
        assert home.server.counters["renewals"] == renewed + 1
        assert home.run("token", "here", unlocked=False).out.strip() not in ("", old)


def test_a_program_that_uses_the_package_goes_on(stopped: Machine) -> None:
    script = (
        f"import sys; sys.path.append({package_root()!r}); import keyfob; print(keyfob.accounts()[0]['id'])"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], env=stopped.env, capture_output=True, text=True, timeout=60,
        check=False
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("here/alice\n", "")  # nothing is said in another's program
    assert time.monotonic() - started < WITHIN
