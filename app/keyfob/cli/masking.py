"""Runs a command and hides tokens in what it prints: `keyfob exec --mask`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import IO

HIDDEN = b"***"
PIECE = 64 * 1024  # bytes read at once
# Signals that ask the command to end reach it through us, if they were sent to this process alone.
_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Mask:
    """Replaces secrets in a stream that comes in pieces of any size."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = sorted({each for each in secrets if each}, key=len, reverse=True)
        self._any = re.compile(b"|".join(map(re.escape, self._secrets)) or b"(?!)")
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown after this piece. What may begin a secret is held back until it is known
        whether it does.
        """
        text = self._rest + piece
        held = len(text) - max((_overlap(text, secret) for secret in self._secrets), default=0)
        shown, at = [], 0
        for found in self._any.finditer(text):
            if found.start() >= held:
                break  # a part of what may be a longer secret
            shown += [text[at : found.start()], HIDDEN]
            at = found.end()
        self._rest = text[max(at, held) :]
        return b"".join((*shown, text[at : max(at, held)]))

    def end(self) -> bytes:
        """What was held back."""
        rest, self._rest = self._rest, b""
        return self._any.sub(HIDDEN, rest)


def _overlap(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of `text` are the beginning of `secret`."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0


def run_masked(
    program: str, command: Sequence[str], environment: Mapping[str, str], secrets: Sequence[str]
) -> int:
    """Run the command with its output masked. Returns its exit code, or 128 and the number of the signal that
    ended it. Its stdout and stderr are pipes. Raises OSError if it cannot be started.
    """
    hidden = [each.encode() for each in secrets]
    child = subprocess.Popen(  # noqa: S603  the command of the user
        [*command],
        executable=program,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    before = {}
    for name in _PASSED_ON:
        if (number := getattr(signal, name, None)) is not None:
            before[number] = signal.signal(number, lambda got, _: child.send_signal(got))
    # Ctrl-C reaches the command by itself. What it does about it is up to the command.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, _ignore)
    try:
        streams = [(child.stdout, 1), (child.stderr, 2)]
        pumps = [threading.Thread(target=_pump, args=(*each, Mask(hidden))) for each in streams]
        for pump in pumps:
            pump.start()
        code = child.wait()
        for pump in pumps:
            pump.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler, unlike SIG_IGN, is not inherited by the command."""


def _pump(source: IO[bytes] | None, target: int, mask: Mask) -> None:
    assert source is not None
    with source:
        gone = False
        while piece := os.read(source.fileno(), PIECE):
            gone = gone or not _write(target, mask.feed(piece))
        if not gone:
            _write(target, mask.end())


def _write(target: int, data: bytes) -> bool:
    """False if the reader has gone. The command's own output is read on, so that it ends as it would."""
    while data:
        try:
            data = data[os.write(target, data) :]
        except OSError:
            return False
    return True
