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

from keyfob.cli import env_file
from keyfob.cli.completing import complete_exec
from keyfob.cli.masking import run_masked
from keyfob.cli.options import pass_session
from keyfob.cli.session import Session
from keyfob.cli.token_source import Lease, lease
from keyfob.core.errors import Usage
from keyfob.core.key_parts import parts_of
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.process.own_process import become_another, child_environment, find_program, persons_path
from keyfob.tools.commands import variable_of

NOT_FOUND = 127  # as a shell says it
NOT_EXECUTABLE = 126
PART_LEAST = 8  # characters
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# With a token in their place, the command would not start or would load something else.
_NOT_FOR_TOKENS = frozenset(("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"))


class _Exec(click.Command):
    """Keeps the `--` before the command. click takes it for its own if only options stand before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*args[:cut], *args[cut : cut + 1], *args[cut:]])


@click.command(
    cls=_Exec,
    name="exec",
    short_help="Run a command with tokens in its environment only.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--env-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Set the variables of this file. NAME=keyfob://ACCOUNT stands for a token. Repeatable.",
)
@click.option("--mask", is_flag=True, help="Show *** for the tokens in what the command prints.")
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="ACCOUNT[=VAR]... -- COMMAND [ARG]...",
    shell_complete=complete_exec,
)
@pass_session
def execute(session: Session, words: tuple[str, ...], files: tuple[Path, ...], mask: bool) -> int:
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
      keyfob exec --env-file .env --mask -- docker compose up
    """
    if "--" not in words:
        raise Usage("Put the command after --", remedy="For example: keyfob exec github -- gh repo list")
    cut = words.index("--")
    accounts, command = words[:cut], words[cut + 1 :]
    if command and command[0] == "--":
        command = command[1:]  # it was doubled for click, which took none
    if not command:
        raise Usage("exec needs a command after --")
    wanted = [_split(word) for word in accounts]
    environment = child_environment(os.environ)
    if (path := persons_path()) is not None:
        environment["PATH"] = path  # for the command; where it is itself looked for is another matter
    for file in files:
        for name, value in env_file.read(file).items():
            ref = env_file.account_of(value)
            if ref is None:
                environment[name] = value
            else:
                wanted.append((ref, name))
    if not wanted:
        what = "The files name no account, and there is none before --" if files else None
        raise Usage(what or "exec needs an account before --")
    hidden = [word for token in _give(session, wanted, environment) for word in hidden_words(token)]
    session.close()
    return _become(session, command, environment, hidden if mask else None)


def _give(
    session: Session, wanted: Sequence[tuple[str, str | None]], environment: dict[str, str]
) -> list[str]:
    """Sets the variables of the accounts, and returns the tokens. Raises a KeyfobError."""
    taken: dict[str, str] = {}  # tokens, by their variable
    for ref, named in wanted:
        found = lease(session, ref)
        name = named or variable_of(found.provider)
        if name in taken:
            raise Usage(
                f"Two accounts use the variable {name}",
                remedy=f"Choose another variable for one of them: {found.account}=NAME",
            )
        if name in _NOT_FOR_TOKENS:
            raise Usage(f"The variable {name} cannot hold a token", remedy="Choose another variable.")
        taken[name] = environment[name] = found.token.reveal()
        _warn_of_bound(session, found)
    return list(taken.values())


def hidden_words(token: str) -> list[str]:
    """What `--mask` hides of a token: all of it, and each part of a key of two parts, which programs use
    one by one. Parts as short as words are left: `Basic`, or a syllable of a passphrase.
    """
    return [token, *(part.reveal() for part in parts_of(Secret(token)) if len(part) >= PART_LEAST)]


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


def _become(
    session: Session, command: Sequence[str], environment: Mapping[str, str], hidden: Sequence[str] | None
) -> int:
    """The command in this process's place, or with `hidden` as its child. Without that, comes back only if it
    could not be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # With the token in its environment, the command must not be one
        # that lies in the current folder by chance.
        program = command[0] if os.path.split(command[0])[0] else find_program(command[0])
        if program is None:
            raise FileNotFoundError
        become_another()
        if hidden is not None:
            return run_masked(program, command, environment, hidden)
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
