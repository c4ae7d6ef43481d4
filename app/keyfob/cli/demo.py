"""`keyfob demo`: the demo provider with the app, or with a story in the terminal."""

from __future__ import annotations

import click

from keyfob.cli.options import pass_session
from keyfob.cli.session import Session


@click.command(short_help="Try Keyfob with a provider on this computer.")
@click.option("--headless", is_flag=True, help="Tell the story in the terminal, with no screen.")
@pass_session
def demo(session: Session, headless: bool) -> int:
    """Start the demo provider, a real authorization server on this computer, and open the app with it in the
    gallery. Its people, Alice and Bob, need no password.

    With --headless the story is told in the terminal: connect, use, two silent renewals, a grant that is revoked
    and mended by signing in again, disconnect. It plays in a home of its own that is gone at the end; where there
    is no keychain it plays in memory, and says so.

    \b
    Examples:
      keyfob demo
      keyfob demo --headless
    """
    if not headless:
        return session.doors.window(["--demo"])
    from keyfob.cli.demo_script import tell

    tell(session)
    return 0
