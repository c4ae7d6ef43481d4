"""An agent that was stopped, as by Ctrl-Z or a computer short of
memory: whoever asks it goes on without it.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from keyfob.process.own_process import package_root
from support.agent_process import PASSPHRASE, Machine, machine

pytestmark = [pytest.mark.network, pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")]

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


def test_a_command_says_that_it_waits_and_does_the_work_itself(stopped: Machine) -> None:
    passphrase, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    terminal, theirs = pty.openpty()
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "keyfob", "token", "here"], stdout=subprocess.PIPE, stderr=theirs,
        env=stopped.env | {"KEYFOB_PASSPHRASE_FD": str(passphrase)}, pass_fds=(passphrase,),
    )  # fmt: skip
    os.close(theirs)
    os.close(passphrase)
    out, _ = process.communicate(timeout=60)
    took = time.monotonic() - started
    said = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert (process.returncode, said) == (0, "Waiting for the Keyfob agent…\r\n")
    assert len(out.strip()) > 20
    assert took < WITHIN


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
