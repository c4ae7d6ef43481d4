"""Finds the program at the other end of the socket, so that Keyfob can ask the user about it.

The answer is as reliable as the system's process id: a program can start another and act through it, replace
itself after it connected, or be changed on the disk. That is enough to see what asks. It does not stop a
malicious program, and Settings says so next to the setting.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from keyfob.agent.endpoints import Peer
from keyfob.core.consent import Program
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.process.own_process import find_program, own_command, package_root
from keyfob.service.consents import Consents

PARENTS_MOST = 6
# Keyfob's own commands, which ask for the program that ran them. Any
# program may have such a name: their folder counts too.
OURS = ("keyfob", "keyfob-token", "git-credential-keyfob", "docker-credential-keyfob", "keyfob-keyring")
# What `keyfob-token` has the interpreter run, with the package's folder as first argument.
LAUNCHER = (
    "import sys; sys.path.append(sys.argv[1]); from keyfob.__main__ import launched; launched(*sys.argv[2:])"
)
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
        """Whether programs must be allowed by name before they get a token."""
        return self._consents.on

    def require(self, peer: Peer, account_id: str, account_key: str) -> None:
        """Raises SettingWrong `consent_refused`, and UnansweredError when the user must be asked first."""
        if self._consents.on:
            self._consents.require(self._identify(peer.pid), account_id, account_key)


def program_at(pid: int | None) -> Program:
    """The program of a process, and what started it. Never raises; empty if the system does not say."""
    found, parent, is_ours = _look(pid)
    while is_ours and parent is not None:
        found, parent, is_ours = _look(parent)
    parents: list[str] = []
    while parent is not None and len(parents) < PARENTS_MOST:
        above, parent, _ = _look(parent)
        if above.executable:
            parents.append(above.script or above.executable)
    return replace(found, parents=tuple(parents))


def program_of(command: str, folder: str) -> Program:
    """The program that a command line starts in `folder`, as it will look at the other end of the socket: a
    program's name or path, or an interpreter with its script. Raises Usage.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    found = find_program(words[0]) if words else None
    if found is None:
        what = plain(words[0] if words else command, 160)
        raise Usage(f"There is no program {what}", remedy="Give its path, or a name that is on the PATH.")
    name = Path(found).name
    if len(words) == 1 and not name.startswith(INTERPRETERS):
        interpreter = _interpreter_of(found)
        if interpreter is not None:
            words, found = [interpreter, found], interpreter
    executable = os.path.realpath(found)
    if len(words) == 1:
        return Program(executable)
    script = script_of(executable, words, folder)
    if script is None:
        raise Usage(
            f"{plain(name, 60)} is not an interpreter that Keyfob knows",
            remedy="Give the program without its arguments.",
        )
    return Program(executable, script)


def _interpreter_of(file: str) -> str | None:
    """What the first line of a script names (`#!`); None for any other program."""
    try:
        with Path(file).open("rb") as script:
            line = script.readline(1024)
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return find_program(words[0]) if words else None


def is_own_command(program: Program, words: list[str]) -> bool:
    """Whether this is a command of this very installation: by its files, not by its name."""
    if getattr(sys, "frozen", False):
        app = Path(os.path.realpath(sys.executable))
        # A bundle that was updated has its versions side by side, and each may ask the other.
        versions = app.parent.parent
        folders = versions.iterdir() if versions.name == "versions" else [app.parent]
        # The native launcher is in bin/ of the frozen app's folder.
        commands = [each / name for each in folders for name in (app.name, "bin/keyfob-token")]
        return Path(os.path.realpath(program.executable)) in commands
    if program.script is None:  # the native launcher of a distribution
        return os.path.realpath(program.executable) in _own_scripts()
    if os.path.realpath(program.executable) != os.path.realpath(sys.executable):
        return False
    root = package_root()
    if program.script == "-c":
        own = list(own_command()[1:])
        if words[1 : 1 + len(own)] == own:
            return True
        return words[1:5] == ["-I", "-S", "-c", LAUNCHER] and _same(words[5], root)
    if program.script == "-m keyfob":
        # Python takes the module of that name from the folder that it is started in, if there is one.
        here = (Path(program.folder, name) for name in ("keyfob", "keyfob.py"))
        return _same(program.folder, root) or not any(os.path.lexists(path) for path in here)
    return os.path.realpath(program.script) in _own_scripts()


def _own_scripts() -> set[str]:
    """The files of our commands: as installed with this interpreter, and
    beside what this process was started as.
    """
    folders = {str(Path(sys.executable).parent), sysconfig.get_path("scripts")}
    folders.add(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
    started = Path(sys.argv[0])
    if started.is_absolute() and started.name in OURS:
        folders.add(str(started.parent))
    found = {os.path.realpath(Path(folder, name)) for folder in folders for name in OURS}
    return found | {os.path.realpath(Path(package_root(), "keyfob", "__main__.py"))}


def _same(folder: str, other: str) -> bool:
    return os.path.realpath(folder) == os.path.realpath(other)


def _look(pid: int | None) -> tuple[Program, int | None, bool]:
    """One process, its parent's id, and whether it is a command of Keyfob."""
    if pid is None or pid <= 0:
        return Program(""), None, False
    try:
        return _from_proc(pid) if sys.platform.startswith("linux") else _from_ps(pid)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return Program(""), None, False


def _from_proc(pid: int) -> tuple[Program, int | None, bool]:
    process = Path(f"/proc/{pid}")
    executable = str((process / "exe").readlink()).removesuffix(" (deleted)")
    folder = str((process / "cwd").readlink())
    with (process / "cmdline").open("rb") as file:
        words = [os.fsdecode(word) for word in file.read(64 * 1024).split(b"\0")[:-1]]
    stat = (process / "stat").read_text("utf-8", errors="replace")
    parent = int(stat.rpartition(")")[2].split()[1])
    program = Program(executable, script_of(executable, words, folder), folder)
    return program, parent or None, is_own_command(program, words)


def _from_ps(pid: int) -> tuple[Program, int | None, bool]:
    done = subprocess.run(  # noqa: S603  (a fixed program, a number)
        ["/bin/ps", "-o", "ppid=,comm=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=PS_WITHIN,
        check=True,
    )
    parent, _, executable = done.stdout.strip().partition(" ")
    # Arguments come as one line, in which a space in a path looks like one between words: no script is named.
    program = Program(executable.strip())
    return program, int(parent) or None, is_own_command(program, [])


def script_of(executable: str, words: list[str], folder: str) -> str | None:
    """The file that an interpreter runs, as an absolute path; `-m module`
    and `-c` by that word. None for a program of its own.
    """
    name = Path(executable).name
    if not name.startswith(INTERPRETERS):
        return None
    rest = iter(words[1:])
    for word in rest:
        if word == "-m" and name.startswith(("python", "pypy")):
            module = next(rest, "")
            return f"-m {module}"
        if word in ("-c", "-e", "--eval", "-"):
            return word
        if word in ("-W", "-X", "-O", "-r", "--require"):
            if word != "-O":
                next(rest, None)
        elif not word.startswith("-"):
            path = os.path.normpath(Path(folder, word))
            # A descriptor is not a name: `bash <(…)`.
            return None if path.startswith(("/dev/", "/proc/")) else path
    return None
