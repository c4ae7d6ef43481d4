"""Tells which program is at the other end of the socket, for the person to be asked about it.

The answer is as good as the system's word of a process id: a program can start another and speak through it, replace
itself after it connected, or be changed on the disk. That is enough to see what asks, and no wall against a program
that means harm; Settings says so beside the switch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from keyfob.agent.gates import Peer
from keyfob.core.consent import Program
from keyfob.service.consents import Consents

PARENTS_MOST = 6
# Our own commands ask for whoever ran them.
OURS = frozenset({"keyfob", "git-credential-keyfob", "docker-credential-keyfob"})
# Their program is the file they are given, not they themselves.
INTERPRETERS = (
    "python",
    "pypy",
    "node",
    "deno",
    "bun",
    "ruby",
    "perl",
    "php",
    "bash",
    "dash",
    "zsh",
    "fish",
    "sh",
    "ksh",
)
PS_WITHIN = 2.0  # seconds


class NamedApps:
    """agent/api.py's Consent: asks nothing while the switch is off."""

    def __init__(self, consents: Consents, identify: Callable[[int | None], Program] | None = None) -> None:
        self._consents = consents
        self._identify = identify or program_at

    @property
    def on(self) -> bool:
        return self._consents.on

    def require(self, peer: Peer, account_id: str, account_key: str) -> None:
        """Raises SettingWrong `consent_refused`, and Unanswered when the person must be asked first."""
        if self._consents.on:
            self._consents.require(self._identify(peer.pid), account_id, account_key)


def program_at(pid: int | None) -> Program:
    """The program of a process, and what started it. Never raises; empty where the system does not tell."""
    found, parent = _look(pid)
    while _is_ours(found) and parent is not None:
        found, parent = _look(parent)
    parents: list[str] = []
    while parent is not None and len(parents) < PARENTS_MOST:
        above, parent = _look(parent)
        if above.executable:
            parents.append(above.script or above.executable)
    return replace(found, parents=tuple(parents))


def _is_ours(program: Program) -> bool:
    script = program.script or ""
    return os.path.basename(script) in OURS or script.endswith(os.path.join("keyfob", "__main__.py"))


def _look(pid: int | None) -> tuple[Program, int | None]:
    """One process and its parent's id."""
    if pid is None or pid <= 0:
        return Program(""), None
    try:
        return _from_proc(pid) if sys.platform.startswith("linux") else _from_ps(pid)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return Program(""), None


def _from_proc(pid: int) -> tuple[Program, int | None]:
    executable = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    folder = os.readlink(f"/proc/{pid}/cwd")
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = [os.fsdecode(word) for word in file.read(64 * 1024).split(b"\0")[:-1]]
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    return Program(executable, script_of(executable, words, folder), folder), parent or None


def _from_ps(pid: int) -> tuple[Program, int | None]:
    done = subprocess.run(  # noqa: S603  (a fixed program, a number)
        ["/bin/ps", "-o", "ppid=,comm=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=PS_WITHIN,
        check=True,
    )
    parent, _, executable = done.stdout.strip().partition(" ")
    # Arguments come as one line, where a blank in a path cannot be told from one between words: no script is named.
    return Program(executable.strip()), int(parent) or None


def script_of(executable: str, words: list[str], folder: str) -> str | None:
    """The file that an interpreter runs, as an absolute path; `-m module` and `-c` by that word. None for a program of
    its own."""
    name = os.path.basename(executable)
    if not name.startswith(INTERPRETERS):
        return None
    rest = iter(words[1:])
    for word in rest:
        if word == "-m" and name.startswith(("python", "pypy")):
            module = next(rest, "")
            return os.path.join("keyfob", "__main__.py") if module == "keyfob" else f"-m {module}"
        if word in ("-c", "-e", "--eval", "-"):
            return word
        if word in ("-W", "-X", "-O", "-r", "--require"):
            if word != "-O":
                next(rest, None)
        elif not word.startswith("-"):
            path = os.path.normpath(os.path.join(folder, word))
            # A descriptor is no name: `bash <(…)`.
            return None if path.startswith(("/dev/", "/proc/")) else path
    return None
