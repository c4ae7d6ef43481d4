"""Looks at the installed copy of a companion tool: where it is, its version, and who updates it.

Asking a version runs the program: without a shell, with nothing on its standard input, and for `WITHIN`
seconds at most. Thread-safe.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from keyfob.process.own_process import child_environment, find_program
from keyfob.updates.companion_owners import owner_of
from keyfob.updates.companions import VERSION, Companion, Installed, VersionSource

WITHIN = 5.0  # seconds that a program has to say its version
MOST = 64 * 1024  # bytes of its output that are read
LINE_MOST = 256  # characters of a line that are matched
Run = Callable[[Sequence[str]], tuple[str, str]]


class Probe:
    """`home`: the user's own folder; `ours`: the folder that Keyfob unpacks tools into; `environment`: of the
    programs that are asked. `run` starts a program and returns its two outputs; tests pass their own.
    """

    def __init__(
        self, home: Path, ours: Path, environment: Mapping[str, str], run: Run | None = None
    ) -> None:
        self._home, self._ours, self._environment = home, ours, environment
        self._run = run or self._outputs

    def find(self, program: str) -> Path | None:
        """The program that a shell would start, or one in the folders that a desktop's PATH may lack."""
        more = [str(self._home / ".local" / "bin"), str(self._home / "bin")]
        path = os.pathsep.join([self._environment.get("PATH", ""), *more])
        found = find_program(program, path)
        return None if found is None else Path(found)

    def look(self, companion: Companion) -> Installed | None:
        """The installed copy; None if there is none."""
        path = self.find(companion.program)
        if path is None:
            return None
        owner = owner_of(path, self._ours, companion.install.own_command or "", self._run)
        return Installed(path, owner, self.version(path, companion.version))

    def version(self, program: Path, source: VersionSource) -> str | None:
        """What the program says its version is; None if it says none in time."""
        out, errors = self._run([str(program), *source.arguments])
        return first_match(source.pattern, errors if source.stream == "stderr" else out)

    def _outputs(self, command: Sequence[str]) -> tuple[str, str]:
        return outputs_of(command, self._environment, self._home)


def first_match(pattern: str, text: str) -> str | None:
    """The version in the first line that the pattern matches."""
    return next(matches(pattern, text), None)


def matches(pattern: str, text: str) -> Iterator[str]:
    """The version in each line that the pattern matches as a whole."""
    compiled = re.compile(pattern)
    for line in text.splitlines():
        found = compiled.fullmatch(line.strip()[:LINE_MOST])
        if found is not None and found[VERSION]:
            yield found[VERSION]


def outputs_of(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, within: float = WITHIN
) -> tuple[str, str]:
    """Standard output and standard error of a program, whose first word is its path. What it started ends
    with it. Both are empty if it cannot be started or takes longer than `within` seconds.
    """
    child = child_environment(environment) | {"LC_ALL": "C", "NO_COLOR": "1"}
    try:
        process = subprocess.Popen(  # noqa: S603  (no shell; the program is one that the user has installed)
            command,
            cwd=folder,
            env=child,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError:
        return "", ""
    heard: list[bytes] = [b"", b""]
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        threading.Thread(target=_read, args=(stream, heard, number), name="version", daemon=True)
        for number, stream in enumerate((process.stdout, process.stderr))
    ]
    for reader in readers:
        reader.start()
    try:
        process.wait(within)
        in_time = True
    except subprocess.TimeoutExpired:
        in_time = False
    finally:
        _end(process)
    for reader in readers:
        reader.join(1.0)
    if not in_time:
        return "", ""
    out, errors = (each.decode("utf-8", "replace") for each in heard)
    return out, errors


def _read(stream: IO[bytes], heard: list[bytes], number: int) -> None:
    """At most MOST bytes; a program that goes on gets a broken pipe."""
    with stream:
        heard[number] = stream.read(MOST)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started."""
    try:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # it has ended, with all that it started
    process.wait()
