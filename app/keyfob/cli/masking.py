"""Hides tokens in what a command prints: `keyfob exec --mask`."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from typing import IO

HIDDEN = b"***"
PIECE = 64 * 1024  # bytes read at once


class Hidden:
    """The secrets that masks hide. Thread-safe: more may be added while a mask works."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self.secrets: tuple[bytes, ...] = ()  # the longest first
        self.pattern = re.compile(b"(?!)")
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide these too."""
        with self._lock:
            known = {*self.secrets, *(each.encode() for each in secrets if each)}
            self.secrets = tuple(sorted(known, key=len, reverse=True))
            self.pattern = re.compile(b"|".join(map(re.escape, self.secrets)) or b"(?!)")


class Mask:
    """Replaces secrets in a stream that comes in pieces of any size."""

    def __init__(self, hidden: Hidden) -> None:
        self._hidden = hidden
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown after this piece. What may begin a secret is held back until it is known
        whether it does.
        """
        text = self._rest + piece
        held = len(text) - max((_overlap(text, secret) for secret in self._hidden.secrets), default=0)
        shown, at = [], 0
        for found in self._hidden.pattern.finditer(text):
            if found.start() >= held:
                break  # a part of what may be a longer secret
            shown += [text[at : found.start()], HIDDEN]
            at = found.end()
        self._rest = text[max(at, held) :]
        return b"".join((*shown, text[at : max(at, held)]))

    def end(self) -> bytes:
        """What was held back."""
        rest, self._rest = self._rest, b""
        return self._hidden.pattern.sub(HIDDEN, rest)


def _overlap(text: bytes, secret: bytes) -> int:
    """How many bytes at the end of `text` are the beginning of `secret`."""
    for length in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:length]):
            return length
    return 0


def pass_on(source: IO[bytes], target: int, hidden: Hidden) -> None:
    """Write what comes from a command's pipe to the descriptor `target`, masked. Closes the pipe."""
    mask = Mask(hidden)
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
