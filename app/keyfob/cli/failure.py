"""How a command fails: the exit code, and the last line or object on stderr.

`keyfob: what happened. What to do.`, or with `--json` one object with code, message and advice instead.
"""

from __future__ import annotations

import errno
import json
import sys
import unicodedata
from contextlib import suppress
from typing import Any

import click

from keyfob.cli import remedies
from keyfob.core.errors import Fault, KeyfobError, SettingWrong, Usage
from keyfob.core.text import plain

LINE_MOST = 4_000  # characters; a remedy may hold an address
# Control characters, invisible ones and bidi marks, halves of a pair, line and paragraph separators.
_STEERING = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))

_DISK = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EIO", "EFBIG", "EROFS") if hasattr(errno, name)
)


class FaultyError(Exception):
    """A KeyfobError with more to say: `lines` before the last line, `extra` next to it in JSON."""

    def __init__(self, error: KeyfobError, lines: list[str], extra: dict[str, Any]) -> None:
        super().__init__(error.message)
        self.error = error
        self.lines = lines
        self.extra = extra


def of_click(error: click.ClickException) -> Usage:
    """A mistake on the command line, in our words."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "keyfob"
    # click puts each choice on a line of its own, and may add "Did you mean …?"
    what, _, hint = plain(" ".join(error.format_message().split()), 400).partition(". ")
    if hint and hint[-1] not in ".?!":
        hint += "."
    return Usage(what.rstrip("."), remedy=f"{hint} See `{path} --help`.".lstrip())


def of_bug(error: Exception) -> Fault:
    """A bug in Keyfob: its type, without its content."""
    return Fault(f"Keyfob failed: {type(error).__name__}")


def of_output(error: OSError) -> KeyfobError | None:
    """A result that could not be printed, None for another error. Errors of files carry the file's name."""
    if error.filename is not None or error.errno not in _DISK:
        return None
    return SettingWrong(
        f"The output cannot be written: {error.strerror}",
        code="file_unwritable",
        remedy="Write it to another file or disk.",
    )


def report(error: KeyfobError, *, as_json: bool, extra: dict[str, Any] | None = None) -> int:
    """Print the failure; returns the exit code. A stderr that takes nothing does not change it."""
    with suppress(OSError):
        _print(error, as_json=as_json, extra=extra)
    return error.exit_code


def _print(error: KeyfobError, *, as_json: bool, extra: dict[str, Any] | None) -> None:
    if as_json:
        document = {"code": error.code, "message": error.full_message(), "advice": str(error.advice)}
        document |= {"detail": error.detail}
        document |= {"remedy": remedies.remedy(error), **(extra or {})}
        print(json_text(document), file=sys.stderr)
    else:
        print(f"keyfob: {_line(error)}", file=sys.stderr)


def _line(error: KeyfobError) -> str:
    # Arguments come from scripts too, and with them whatever a file was called.
    return plain(" ".join(remedies.sentence(error).split()), LINE_MOST)


def json_text(document: object, *, indent: int | None = None) -> str:
    """JSON for a terminal too: what could steer it is written as `\\uNNNN`, which every reader takes for the
    same.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and unicodedata.category(char) in _STEERING else char
        for char in text
    )
