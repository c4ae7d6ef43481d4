"""`keyfob exec`: runs a command with tokens in its environment variables only.

The command replaces this process (on POSIX), so that its exit, signals and terminal work as usual. The engine
is closed before. Nothing runs if one of the tokens is not available.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from keyfob.cli.options import complete_accounts, pass_session
from keyfob.cli.session import Session
from keyfob.cli.token_source import Lease, lease
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.process.own_process import become_another, child_environment, find_program, persons_path
from keyfob.tools.commands import variable_of

NOT_FOUND = 127  # as a shell says it
NOT_EXECUTABLE = 126
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@click.command(
    name="exec",
    short_help="Run a command with tokens in its environment only.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="ACCOUNT[=VAR]... -- COMMAND [ARG]...",
    shell_complete=complete_accounts,
)
@pass_session
def execute(session: Session, words: tuple[str, ...]) -> int:
    """Run COMMAND with a valid token of each ACCOUNT in its environment variables.

    The variable is VAR, or the provider's name followed by _TOKEN: GITHUB_TOKEN, NEXUSMODS_TOKEN. Keyfob
    writes nothing to disk, and no other program sees the tokens. The exit is the command's, or 127 if the
    command does not exist.

    The token is valid when the command starts. Keyfob does not renew it while the command runs. A program
    that runs for hours must ask for new tokens with `keyfob token` or the agent's socket.

    \b
    Examples:
      keyfob exec github -- gh repo list
      keyfob exec github=NPM_TOKEN -- npm install
      keyfob exec nexusmods openai-api=OPENAI_API_KEY -- ./run.sh
    """
    if "--" not in words:
        raise Usage("Put the command after --", remedy="For example: keyfob exec github -- gh repo list")
    cut = words.index("--")
    accounts, command = words[:cut], words[cut + 1 :]
    if not accounts or not command:
        raise Usage("exec needs an account before --" if not accounts else "exec needs a command after --")
    wanted = [_split(word) for word in accounts]
    environment = child_environment(os.environ)
    if (path := persons_path()) is not None:
        environment["PATH"] = path  # for the command; where it is itself looked for is another matter
    taken: set[str] = set()
    for ref, named in wanted:
        found = lease(session, ref)
        name = named or variable_of(found.provider)
        if name in taken:
            raise Usage(
                f"Two accounts use the variable {name}",
                remedy=f"Choose another variable for one of them: {found.account}=NAME",
            )
        taken.add(name)
        environment[name] = found.token.reveal()
        _warn_of_bound(session, found)
    session.close()
    return _become(session, command, environment)


def _split(word: str) -> tuple[str, str | None]:
    ref, mark, name = word.partition("=")
    if mark and not _NAME.fullmatch(name):
        raise Usage(f"{plain(name, 40)!r} is not a variable name", remedy="Use letters, digits and _ only.")
    return ref, name if mark else None


def _warn_of_bound(session: Session, found: Lease) -> None:
    if found.token_type.casefold() == "dpop":
        session.note(
            f"The token of {found.account} is bound to a key that stays in Keyfob, so other programs "
            "cannot use it. Use `keyfob request` instead."
        )


def _become(session: Session, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The command in this process's place. Comes back only if it could not be started."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # With the token in its environment, the command must not be one
        # that lies in the current folder by chance.
        program = command[0] if os.path.split(command[0])[0] else find_program(command[0])
        if program is None:
            raise FileNotFoundError
        become_another()
        if os.name == "nt":
            return subprocess.run([program, *command[1:]], env=dict(environment), check=False).returncode  # noqa: S603
        for name in ("SIGPIPE", "SIGXFSZ"):
            # Python ignores these, and a program inherits what is ignored: `… | head` would not end it.
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execve(program, [*command], environment)  # noqa: S606
    except FileNotFoundError:
        name = plain(command[0], 200)
        hint = f" To run the one in this folder, type ./{name}." if Path(command[0]).exists() else ""
        session.note(f"keyfob: Command not found: {name}.{hint}")
        return NOT_FOUND
    except OSError as error:
        session.note(f"keyfob: {plain(command[0], 200)} cannot be run: {error.strerror}.")
        return NOT_EXECUTABLE
