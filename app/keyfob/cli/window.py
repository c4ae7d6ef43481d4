"""`keyfob window`: opens the app, and what the menu entry's actions open in it."""

from __future__ import annotations

import click

from keyfob.cli.options import pass_session
from keyfob.cli.session import Session

PLACES = ("connect", "settings", "check")


@click.command(short_help="Open the app's window, or a part of it.")
@click.argument("place", required=False, type=click.Choice(PLACES))
@pass_session
def window(session: Session, place: str | None) -> int:
    """Open the app. If it is already running, its window comes to the front.

    `connect` opens Connect Account in it, `settings` the settings, and `check` Check everything.

    \b
    Examples:
      keyfob window
      keyfob window connect
    """
    return session.window([f"--action={place}"] if place else [])
