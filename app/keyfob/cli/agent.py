"""`keyfob agent`: the keeper without a window, and what a user asks of the one that runs."""

from __future__ import annotations

from pathlib import Path

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import Usage


@click.command(short_help="Keep accounts signed in and answer tools, without a window.")
@click.option("--status", "action", flag_value="status", help="Say whether an agent runs, and how it stands.")
@click.option("--stop", "action", flag_value="stop", help="Stop the agent. It finishes what it has begun.")
@click.option(
    "--lock", "action", flag_value="lock", help="Have the agent close the keychain and give out no tokens."
)
@click.option(
    "--unlock",
    "action",
    flag_value="unlock",
    help="Undo --lock. If tokens are in an encrypted file, Keyfob asks for its passphrase.",
)
@click.option(
    "--install", "action", flag_value="install", help="Start the agent when a tool asks (systemd, launchd)."
)
@click.option("--uninstall", "action", flag_value="uninstall", help="Undo --install.")
@click.option("--print-socket", is_flag=True, help="Print the socket's path and exit.")
@click.option(
    "--shared-socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Listen at PATH as well, to forward it to another machine. Only accounts that may be shared are "
    "served there.",
)
@json_option
@pass_session
def agent(session: Session, action: str | None, print_socket: bool, shared_socket: Path | None) -> int:
    """Keep accounts signed in and answer tools, until SIGTERM or Ctrl-C.

    You need only one. If the app or another agent is already running, this command says so and exits with 0.
    Commands find the agent automatically. Other programs send HTTP requests to its socket.

    \b
    Examples:
      keyfob agent &
      keyfob agent --install
      keyfob agent --status --json
      curl --unix-socket "$(keyfob agent --print-socket)" http://keyfob/v1/token/github
    """
    if action is not None:
        if shared_socket or print_socket:
            raise Usage(f"--{action} cannot be combined with another option")
        from keyfob.cli.agent_actions import ACTIONS

        ACTIONS[action](session)
        return 0
    if session.json:
        raise Usage("--json needs another option", remedy="For example, add --status.")
    if print_socket:
        from keyfob.process.home import open_home, socket_path

        session.exactly(str(socket_path(open_home())))
        return 0
    from keyfob.agent.run import run

    return run(session.note, shared_socket.absolute() if shared_socket else None)
