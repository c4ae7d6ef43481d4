"""`keyfob agent`: the keeper without a window."""

from __future__ import annotations

from pathlib import Path

import click

from keyfob.cli.options import pass_session
from keyfob.cli.session import Session


@click.command(short_help="Keep accounts signed in and answer tools, without a window.")
@click.option("--print-socket", is_flag=True, help="Print the socket's path and exit.")
@click.option(
    "--shared-socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Listen at PATH as well, to forward it to another machine. Only accounts that may be shared are "
    "served there.",
)
@pass_session
def agent(session: Session, print_socket: bool, shared_socket: Path | None) -> int:
    """Keep accounts signed in and answer tools, until SIGTERM or Ctrl-C.

    You need only one. If the app or another agent is already running, this command says so and exits with 0.
    Commands find the agent automatically. Other programs send HTTP requests to its socket.

    \b
    Examples:
      keyfob agent &
      export KEYFOB_SOCK="$(keyfob agent --print-socket)"
      curl --unix-socket "$KEYFOB_SOCK" http://keyfob/v1/token/github
    """
    if print_socket:
        from keyfob.process.home import open_home, socket_path

        session.exactly(str(socket_path(open_home())))
        return 0
    from keyfob.agent.run import run

    return run(session.note, shared_socket.absolute() if shared_socket else None)
