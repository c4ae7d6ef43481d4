"""The entry point of `keyfob`, and of the helper processes that it starts.

Takes the fast paths of `token` before anything else is imported. If an agent runs, the answer comes over its
socket. Otherwise a fresh token comes straight from the keychain. Neither path loads the command line or the
engine.
"""

from __future__ import annotations

import os
import sys

from keyfob.process.own_process import begin, passphrase_descriptor
from keyfob.process.team_accounts import without_agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def launched(command: str, *arguments: str) -> NoReturn:
    """For `keyfob-token`, the launcher that starts faster: `token` by the fast paths, else by `command`,
    which is `keyfob` as it was installed.
    """
    begin()
    code = None if without_agent(["token"]) else short_ways(["token", *arguments])
    if code is None:
        from keyfob.client.connection import is_agent_silent

        if is_agent_silent():
            os.environ["KEYFOB_SOCK"] = os.devnull  # the command does not wait for that agent again
        number = passphrase_descriptor()
        if number is not None:
            os.set_inheritable(number, True)
        os.execv(command, [command, "token", *arguments])  # noqa: S606  (our own program, no shell)
    _end(code)


def _end(code: int) -> NoReturn:
    # Everything is written and nothing is open: taking the interpreter
    # apart would cost as much as the answer.
    sys.stderr.flush()
    os._exit(code)


def short_ways(arguments: list[str]) -> int | None:
    """`token` if it takes neither the command line nor the engine: its exit code, None if it does."""
    if not arguments or arguments[0] != "token":
        return None
    from keyfob.client.fast_token import fast_token

    code = fast_token(arguments[1:])
    if code is not None:
        return code
    from keyfob.token_fast_path import token_without_engine

    return token_without_engine(arguments[1:])


def main() -> int:
    """The exit code. Called by the console script and by `python -m keyfob`."""
    begin()
    arguments = sys.argv[1:]
    team = bool(arguments) and without_agent(arguments)
    code = None if team else short_ways(arguments)
    if code is not None:
        _end(code)
    if arguments and arguments[0] == "--keychain-helper":
        from keyfob.adapters.vault.helper import main as keychain_helper

        keychain_helper()
        return 0
    if arguments and arguments[0] == "--grant-saver":
        from keyfob.saver import main as grant_saver

        return grant_saver()
    if "_KEYFOB_COMPLETE" in os.environ and not team:
        from keyfob.completion_fast_path import complete_account

        code = complete_account(os.environ)
        if code is not None:
            return code
    # A shell that completes starts `keyfob` bare as well, with its question in this variable.
    if not arguments and "_KEYFOB_COMPLETE" not in os.environ:
        return _window()
    from keyfob.cli.main import main as command
    from keyfob.completion_fast_path import known_accounts

    return command(arguments, _open_window, known_accounts=None if team else known_accounts)


def window_main() -> int:
    """The exit code. Called by `keyfob-window`, which Windows starts without a console: `keyfob window`."""
    begin()
    if not sys.argv[1:]:
        return _window()
    from keyfob.cli.main import main as command

    return command(["window", *sys.argv[1:]], _open_window)


def _window() -> int:
    """The app, without the command line, which is a tenth of the way to its first paint."""
    from keyfob.core.errors import KeyfobError

    try:
        return _open_window([])
    except KeyfobError as error:
        from keyfob.cli.failure import report

        return report(error, as_json=False)


def _open_window(arguments: Sequence[str]) -> int:
    """The app, also for a command that asks for it; the two faces do not know each other. Raises SettingWrong
    if the window is not installed.
    """
    from importlib.util import find_spec

    if find_spec("PySide6") is None:
        from keyfob.core.errors import SettingWrong

        raise SettingWrong(
            "Keyfob's window is not installed",
            remedy="Install Keyfob with the extra `desktop`, for example "
            "`uv tool install 'keyfob[desktop]'`. The commands work without it: see `keyfob --help`.",
        )
    from keyfob.desktop.app import main as window

    return window(arguments)


if __name__ == "__main__":
    sys.exit(main())
