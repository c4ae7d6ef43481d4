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

from keyfob.cli.engine import Doors
from keyfob.cli.main import main
from keyfob.cli.session import utc_now


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of stderr."""
        return self.err.rstrip("\n").rpartition("\n")[2]


def doors_to(engine: Any, **more: Any) -> Doors:
    """Doors behind which there is this engine and nothing else, unless told."""

    def shut(*_: Any, **__: Any) -> Any:
        raise AssertionError("this door should stay shut")

    told: dict[str, Any] = {
        "engine": lambda: engine,
        "demo": shut,
        "visit": shut,
        "window": shut,
        "agent": shut,
        "recover": shut,
    }
    return Doors(**(told | more))


def run(argv: Sequence[str], doors: Doors, *, stdin: str = "", now: Callable[[], datetime] = utc_now) -> Ran:
    """Runs on the calling thread."""
    # As a real stream: text with bytes beneath it.
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = sys.stdin
    sys.stdin = io.StringIO(stdin)
    # No test asks an agent that the person may be running.
    named = os.environ.setdefault("KEYFOB_SOCK", "/nonexistent/agent.sock") == "/nonexistent/agent.sock"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(argv, doors, now)
    finally:
        sys.stdin = before
        if named:
            del os.environ["KEYFOB_SOCK"]
    told, noted = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return Ran(code, told, noted)
