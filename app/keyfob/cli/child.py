"""Runs a command as a child of this process: for `keyfob exec` with something that must last as long as the
command does.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from keyfob.cli.masking import Hidden, pass_on
from keyfob.process.own_process import forbid_core_dumps, restore_limits

# Signals that ask the command to end reach it through us, if they were sent to this process alone.
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Relay:
    """Sends the signals that this process gets to the command, the early ones when it has started."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler. Ctrl-C reaches the command by itself, once there is one. What it does about it is
        up to the command. Unlike SIG_IGN, a handler is not inherited by it.
        """
        if self._child is None:
            self._early.append(number)

    def follow(self, child: subprocess.Popen[bytes]) -> None:
        """From now on, signals are for this command."""
        self._child = child
        for number in self._early:
            child.send_signal(number)


@contextmanager
def relayed_signals() -> Iterator[Relay]:
    """While in `with`, no signal but SIGKILL ends this process. For the main thread."""
    relay = Relay()
    before = {signal.SIGINT: signal.signal(signal.SIGINT, relay.interrupt)}
    for name in _PASSED_ON:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` stays in force
            before[number] = signal.signal(number, relay.pass_on)
    try:
        yield relay
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    program: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    relay: Relay,
    hidden: Hidden | None = None,
) -> int:
    """Run the command. Returns its exit code, or 128 and the number of the signal that ended it. With
    `hidden`, its stdout and stderr are pipes, and what it prints is masked. Raises OSError if it cannot be
    started.
    """
    piped = None if hidden is None else subprocess.PIPE
    restore_limits()  # for the command; this process holds tokens
    try:
        child = subprocess.Popen(  # noqa: S603  the command of the user
            [*command], executable=program, env=dict(environment), stdout=piped, stderr=piped
        )
    finally:
        forbid_core_dumps()
    relay.follow(child)
    pumps = []
    for source, target in ((child.stdout, 1), (child.stderr, 2)):
        if source is not None and hidden is not None:
            pumps.append(threading.Thread(target=pass_on, args=(source, target, hidden)))
    for pump in pumps:
        pump.start()
    code = child.wait()
    for pump in pumps:
        pump.join()
    return code if code >= 0 else 128 - code
