"""The log file: one plain line for each record, rotated, readable only by its owner.

Secrets are kept out of the log by construction (`core.secret.Secret`, requests that do not print themselves).
The patterns here are the last line of defence, for what a library might log. Each entry point sets the log up
once. Nothing from outside can break or forge a line, or send terminal escapes.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from keyfob.core.text import plain

FILE = "keyfob.log"
SIZE_MOST = 1_000_000  # bytes of a file
FILES = 3  # the current one and two before it
LINE_MOST = 4_000  # characters
# These log URLs, headers or prompts at their lower levels.
QUIET = ("httpx", "httpcore", "asyncio", "keyring", "PIL", "urllib3", "filelock", "werkzeug", "authlib")

_NAMES = (
    "access_token|refresh_token|id_token|token|code|state|nonce|code_verifier|client_secret|client_assertion|"
    "assertion|device_code|request_uri|password|api_key|apikey|secret|private_jwk|Authorization|Cookie|DPoP"
)
_PATTERNS = (
    # JWTs, signed and encrypted (RFC 7515, RFC 7516)
    (re.compile(r"eyJ[\w-]{5,}(?:\.[\w-]*){1,4}"), "[redacted]"),
    (re.compile(r"\b(Bearer|DPoP|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), r"\1 [redacted]"),
    (
        re.compile(
            rf"(?<![\w-])({_NAMES})([\"']?\s*(?:=|:(?!//))\s*[\"']?)(?!\[redacted\])[^\s&\"',;}})]+",
            re.IGNORECASE,
        ),
        r"\1\2[redacted]",
    ),
    (re.compile(r"(\w://)[^\s/@]+@"), r"\1[redacted]@"),
)


def redact(text: str) -> str:
    """`text` without what looks like a token, a code, a credential or a password."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class PlainFormatter(logging.Formatter):
    """`2026-11-20T18:00:00.123Z WARNING keyfob.service.accounts.keeper:
    words`, on one line with any traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, with secrets redacted and control characters taken out."""
        parts = [record.getMessage()]
        if record.exc_info and record.exc_info[1] is not None:
            parts += [line.strip() for line in traceback.format_exception(record.exc_info[1])]
        if record.stack_info:
            parts.append(record.stack_info)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        words = plain(redact(" | ".join(parts)), LINE_MOST)
        return f"{at.replace('+00:00', 'Z')} {record.levelname} {plain(record.name, 60)}: {words}"


class PrivateLogFile(logging.Handler):
    """Appends to a file made 0600; several processes may write to one. A log that cannot be written is let
    go: it must never stop a renewal.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: IO[bytes] | None = None
        self.setFormatter(PlainFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record; a full or read-only disk loses it silently. Thread-safe."""
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            file = self._current()
            if file.tell() + len(line) > SIZE_MOST:
                file = self._rotate()
            file.write(line)
        except Exception:  # noqa: S110  (logging's own report would print the record to stderr)
            pass

    def close(self) -> None:
        """Close the file. A later record opens it again."""
        self.acquire()
        try:
            if self._file is not None:
                self._file.close()
                self._file = None
        finally:
            self.release()
        super().close()

    def _current(self) -> IO[bytes]:
        """The open file, opened again where another process has rotated it away."""
        if self._file is not None:
            ours = os.fstat(self._file.fileno())
            try:
                there = self._path.stat()
            except FileNotFoundError:
                there = None
            if there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                self._file.seek(0, os.SEEK_END)
                return self._file
            self._file.close()
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if hasattr(os, "fchmod") and os.fstat(handle).st_mode & 0o777 != 0o600:
            os.fchmod(handle, 0o600)
        self._file = os.fdopen(handle, "ab", buffering=0)
        self._file.seek(0, os.SEEK_END)
        return self._file

    def _rotate(self) -> IO[bytes]:
        assert self._file is not None
        self._file.close()
        self._file = None
        for number in range(FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        return self._current()


def set_up(folder: Path, level: int = logging.INFO) -> Callable[[], None]:
    """Sends Keyfob's records from `level` up, and everybody's warnings, to `folder`/keyfob.log. Returns what
    undoes it.
    """
    handler = PrivateLogFile(folder / FILE)
    handler.setLevel(level)
    before = {name: logging.getLogger(name).level for name in (*QUIET, "keyfob")}
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    keyfob = logging.getLogger("keyfob")
    keyfob.setLevel(min(level, keyfob.level or level))  # `to_stderr` may want more
    logging.getLogger().addHandler(handler)

    def undo() -> None:
        logging.getLogger().removeHandler(handler)
        handler.close()
        for name, was in before.items():
            logging.getLogger(name).setLevel(was)

    return undo


def to_stderr() -> Callable[[], None]:
    """Also writes Keyfob's records, from debug up, to stderr, in the same lines and without secrets. Returns
    what undoes it.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter())
    keyfob = logging.getLogger("keyfob")
    was = keyfob.level
    keyfob.setLevel(logging.DEBUG)
    keyfob.addHandler(handler)

    def undo() -> None:
        keyfob.removeHandler(handler)
        keyfob.setLevel(was)

    return undo
