"""`keyfob demo`: the demo provider with the app, or a demo in the terminal."""

from __future__ import annotations

import click

from keyfob.cli.options import pass_session
from keyfob.cli.session import Session


@click.command(short_help="Try Keyfob with a provider on this computer.")
@click.option("--headless", is_flag=True, help="Run the demo in the terminal, without a window.")
@pass_session
def demo(session: Session, headless: bool) -> int:
    """Start a demo provider on this computer, and open the app with it in the list of providers. Its users,
    Alice and Bob, need no password.

    With --headless, the demo runs in the terminal: connect, use the token, renew it twice, sign in again
    after the provider revokes it, disconnect. It uses a temporary folder and removes it at the end. If no
    keychain is available, secrets stay in memory.

    \b
    Examples:
      keyfob demo
      keyfob demo --headless
    """
    if not headless:
        return session.window(["--demo"])
    from keyfob.cli.demo_script import run

    run(session)
    return 0
