"""`keyfob exec`: runs a command with tokens in its environment variables only.

The command replaces this process (on POSIX), so that its exit, signals and terminal work as usual. The engine
is closed before. If something must last as long as the command, it is a child instead (`exec_beside.py`).
Nothing runs if one of the tokens is not available.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from keyfob.cli import env_file
from keyfob.cli.completing import complete_exec
from keyfob.cli.options import complete_accounts, pass_session
from keyfob.cli.session import Session
from keyfob.cli.token_source import lease, warn_of_bound
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.process.own_process import become_another, child_environment, find_program, persons_path
from keyfob.tools.commands import variable_of

NOT_FOUND = 127  # as a shell says it
NOT_EXECUTABLE = 126
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# With a token in their place, the command would not start or would load something else.
_NOT_FOR_TOKENS = frozenset(("PATH", "HOME", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"))


class _Exec(click.Command):
    """Keeps the `--` before the command. click takes it for its own if only options stand before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        cut = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*args[:cut], *args[cut : cut + 1], *args[cut:]])


@dataclass(frozen=True, slots=True)
class _Lasting:
    """The options for what is kept fresh while the command runs."""

    token_files: tuple[str, ...]
    id_token_files: tuple[str, ...]
    aws: str | None
    account_id: str | None
    role: str | None


def _lasting_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of `_Lasting`. The command gets them as one argument, `asked`."""

    @wraps(function)
    def gathered(*arguments: object, **values: object) -> int:
        given: dict[str, Any] = {each.name: values.pop(each.name) for each in fields(_Lasting)}
        return function(*arguments, asked=_Lasting(**given), **values)

    command: Callable[..., int] = gathered
    for option in reversed(
        (
            click.option(
                "--token-file",
                "token_files",
                multiple=True,
                metavar="ACCOUNT[=VAR]",
                shell_complete=complete_accounts,
                help="Keep a fresh token in a file while the command runs, and set VAR to the file's path. "
                "Default: PROVIDER_TOKEN_FILE. Repeatable.",
            ),
            click.option(
                "--id-token-file",
                "id_token_files",
                multiple=True,
                metavar="ACCOUNT[=VAR]",
                shell_complete=complete_accounts,
                help="The same with the ID token (OpenID Connect). Default: PROVIDER_ID_TOKEN_FILE. "
                "Repeatable.",
            ),
            click.option(
                "--aws",
                metavar="ACCOUNT",
                shell_complete=complete_accounts,
                help="Give AWS tools fresh keys of this account while the command runs.",
            ),
            click.option(
                "--account-id", metavar="N", help="With --aws: the AWS account of the role, of 12 digits."
            ),
            click.option("--role", metavar="NAME", help="With --aws: the role (permission set) to take."),
        )
    ):
        command = option(command)
    return command


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
@_lasting_options
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[ACCOUNT[=VAR]]... -- COMMAND [ARG]...",
    shell_complete=complete_exec,
)
@pass_session
def execute(
    session: Session,
    words: tuple[str, ...],
    files: tuple[Path, ...],
    mask: bool,
    asked: _Lasting,
) -> int:
    """Run COMMAND with a valid token of each ACCOUNT in its environment variables.

    The variable is VAR, or the provider's name followed by _TOKEN: GITHUB_TOKEN, NEXUSMODS_TOKEN. No other
    program sees the tokens. The exit is the command's, or 127 if the command does not exist.

    A token in a variable is valid when the command starts. Keyfob cannot renew it while the command runs. For
    a command that runs for hours, use one of these:

    --token-file writes the token to a file that only you can read, and replaces it before it expires. The
    token is then outside of the keychain: in memory if the system has a folder there (Linux), else on disk.
    Keyfob removes the file when the command ends.

    --aws answers AWS tools on a port of this computer, if they send a key from the command's
    environment. AWS tools prefer a [default] profile with keys. Keyfob warns you if you have one.

    \b
    Examples:
      keyfob exec github -- gh repo list
      keyfob exec github=NPM_TOKEN -- npm install
      keyfob exec nexusmods openai-api=OPENAI_API_KEY -- ./run.sh
      keyfob exec --env-file .env --mask -- docker compose up
      keyfob exec --aws work --role ReadOnly -- terraform apply
      keyfob exec --id-token-file work=AWS_WEB_IDENTITY_TOKEN_FILE -- ./backup.sh
    """
    if asked.aws is None and (asked.account_id, asked.role) != (None, None):
        raise Usage("--account-id and --role need --aws", remedy="Add --aws ACCOUNT.")
    accounts, command = _parted(words)
    wanted = [_split(word) for word in accounts]
    in_files = [(*_split(word), False) for word in asked.token_files]
    in_files += [(*_split(word), True) for word in asked.id_token_files]
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
    if not wanted and not in_files and asked.aws is None:
        what = "The files name no account, and there is none before --" if files else None
        raise Usage(what or "exec needs an account before --")
    given = _give(session, wanted, environment)
    if not mask and not in_files and asked.aws is None:
        session.close()
        return _start(session, command, lambda program: _become(program, command, environment))
    from keyfob.cli.exec_beside import Beside, Role, WantedFile  # with a server: not for each `exec`

    beside = Beside(session, given, environment, mask=mask)
    beside.get_files(WantedFile(*each) for each in in_files)
    if asked.aws is not None:
        beside.get_aws(asked.aws, Role(asked.account_id, asked.role))
    return _start(session, command, lambda program: beside.run(program, command))


def _parted(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What stands before `--`, and the command. Raises Usage."""
    if "--" not in words:
        raise Usage("Put the command after --", remedy="For example: keyfob exec github -- gh repo list")
    cut = words.index("--")
    command = words[cut + 1 :]
    if command and command[0] == "--":
        command = command[1:]  # it was doubled for click, which took none
    if not command:
        raise Usage("exec needs a command after --")
    return words[:cut], command


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
        warn_of_bound(session, found)
    return list(taken.values())


def _split(word: str) -> tuple[str, str | None]:
    ref, mark, name = word.partition("=")
    if mark and not _NAME.fullmatch(name):
        raise Usage(f"{plain(name, 40)!r} is not a variable name", remedy="Use letters, digits and _ only.")
    return ref, name if mark else None


def _start(session: Session, command: Sequence[str], run: Callable[[str], int]) -> int:
    """What `run` returns for the command's program. Says it if the command could not be started."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # With the token in its environment, the command must not be one
        # that lies in the current folder by chance.
        program = command[0] if os.path.split(command[0])[0] else find_program(command[0])
        if program is None:
            raise FileNotFoundError
        return run(program)
    except FileNotFoundError:
        name = plain(command[0], 200)
        hint = f" To run the one in this folder, type ./{name}." if Path(command[0]).exists() else ""
        session.note(f"keyfob: Command not found: {name}.{hint}")
        return NOT_FOUND
    except OSError as error:
        session.note(f"keyfob: {plain(command[0], 200)} cannot be run: {error.strerror}.")
        return NOT_EXECUTABLE


def _become(program: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The command in this process's place. Comes back only on Windows, or with OSError."""
    become_another()
    if os.name == "nt":
        return subprocess.run([program, *command[1:]], env=dict(environment), check=False).returncode  # noqa: S603
    for name in ("SIGPIPE", "SIGXFSZ"):
        # Python ignores these, and a program inherits what is ignored: `… | head` would not end it.
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    return os.execve(program, [*command], environment)  # noqa: S606
