"""`keyfob export`: the accounts' descriptions, for another computer. Never a secret of any kind."""

from __future__ import annotations

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Print the accounts' descriptions, without any secret.")
@json_option
@pass_session
def export(session: Session) -> None:
    """Print what describes the accounts, as JSON: providers, labels, methods, scopes, and presets of your own.

    No token, key or client secret is in it. On the other computer, `keyfob import FILE` makes the same accounts, and
    each is signed in to once.

    \b
    Example:
      keyfob export > accounts.json
    """
    session.document(session.engine.imports.export())
