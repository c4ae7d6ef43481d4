"""Processes that a test starts, what a command answered, and waiting for what they do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

APP = Path(__file__).resolve().parents[2] / "app"
KEYFOB = (sys.executable, "-m", "keyfob")
VISIT = """\
import sys
from keyfob.demo.scripted_browser import ScriptedBrowser
ScriptedBrowser().sign_in(sys.argv[1], {person!r}, allow={allow})
"""


@dataclass(frozen=True)
class Ran:
    """A command that has ended. `seconds` is how long it took."""

    code: int
    out: str
    err: str
    seconds: float = 0.0

    @property
    def last(self) -> str:
        """The last line of stderr."""
        return self.err.rstrip("\n").rpartition("\n")[2]

    @property
    def json(self) -> Any:
        assert self.code == 0, f"exit {self.code}: {self.err}"
        return json.loads(self.out)

    @property
    def printed(self) -> Any:
        """The document on stdout, whatever the exit: as `doctor` has it."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The object that a failed command with --json leaves."""
        assert self.code != 0, self.out
        assert self.out == ""
        return json.loads(self.err.splitlines()[-1])


class Processes:
    """What a test started. After `end()`, or the `with` block, nothing of it runs."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        stdin: int = subprocess.PIPE,
        stderr: int | IO[str] = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words,
            env=env,
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=pass_fds,
            text=True,
        )
        self._started.append(process)
        return process

    def run(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        stdin: str = "",
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> Ran:
        """Start it and wait for its end, `timeout` seconds at most."""
        began = time.monotonic()
        return finish(self.start(words, env, cwd=cwd), stdin=stdin, timeout=timeout, began=began)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            with suppress(subprocess.TimeoutExpired, ValueError):  # ValueError: its streams are closed
                process.communicate(timeout=10)
        self._started.clear()


def finish(
    process: subprocess.Popen[str], *, stdin: str = "", timeout: float = 90, began: float | None = None
) -> Ran:
    """Wait for a process to end, `timeout` seconds at most."""
    began = time.monotonic() if began is None else began
    out, err = process.communicate(stdin or None, timeout=timeout)
    return Ran(process.returncode, out, err or "", time.monotonic() - began)


def scripted_browser(folder: Path, person: str = "alice", *, allow: bool = True) -> dict[str, str]:
    """The setting that makes a browser made of code sign in at the demo provider as this person."""
    script = folder / f"visit-{person}-{allow}.py"
    script.write_text(VISIT.format(person=person, allow=allow), "utf-8")
    return {"BROWSER": f"{sys.executable} {script} %s"}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], what: str = "this", seconds: float = 20) -> None:
    """Wait until `true()` is; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.02)
