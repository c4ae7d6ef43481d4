"""`keyfob agent`: the keeper without a window."""

from __future__ import annotations

from pathlib import Path

import click

from keyfob.cli.options import pass_session
from keyfob.cli.session import Session


@click.command(short_help="Keep the accounts and serve the tools, without a window.")
@click.option("--print-socket", is_flag=True, help="Print where the socket is, and end.")
@click.option(
    "--shared-socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Listen at PATH as well, for forwarding to another machine: it serves accounts that may be shared, alone.",
)
@pass_session
def agent(session: Session, print_socket: bool, shared_socket: Path | None) -> int:
    """Keep the accounts signed in and answer the tools that ask, until SIGTERM or Ctrl-C.

    One keeper a person is enough: where the app or another agent runs, this one says so and ends with 0. Commands
    find the agent by themselves; other programs speak HTTP to its socket.

    \b
    Examples:
      keyfob agent &
      export KEYFOB_SOCK="$(keyfob agent --print-socket)"
      curl --unix-socket "$KEYFOB_SOCK" http://keyfob/v1/token/github
    """
    if print_socket:
        from keyfob.adapters.system.home import open_home, socket_path

        session.exactly(str(socket_path(open_home())))
        return 0
    return session.doors.agent(session.note, shared_socket.absolute() if shared_socket else None)
