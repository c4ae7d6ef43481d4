"""Runs the command line in process: a verb's arguments in, exit code, stdout and stderr out."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyfob.cli.main import main
from keyfob.cli.session import utc_now
from support.running import Ran


@dataclass(frozen=True)
class Opens:
    """What a command may open besides its streams."""

    engine: Callable[..., Any]
    window: Callable[[Sequence[str]], int]


def opens(engine: Any, *, window: Callable[[Sequence[str]], int] | None = None) -> Opens:
    """This engine and nothing else, unless a window is given."""

    def refused(_: Sequence[str]) -> int:
        raise AssertionError("no window should open")

    return Opens(lambda *_, **__: engine, window or refused)


def run(argv: Sequence[str], what: Opens, *, stdin: str = "", now: Callable[[], datetime] = utc_now) -> Ran:
    """Runs on the calling thread."""
    # As a real stream: text with bytes beneath it.
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.StringIO(stdin)
    # No test asks an agent that the person may be running.
    named = os.environ.setdefault("KEYFOB_SOCK", "/nonexistent/agent.sock") == "/nonexistent/agent.sock"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv, what.window, now, what.engine)
    finally:
        sys.stdin = before
        if named:
            del os.environ["KEYFOB_SOCK"]
    told, noted = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return Ran(code, told, noted)
