"""`keyfob export`: the accounts as JSON, for another computer. Never a secret."""

from __future__ import annotations

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Print your accounts as JSON, without secrets.")
@json_option
@pass_session
def export(session: Session) -> None:
    """Print your accounts as JSON: providers, labels, methods, scopes, and your own presets.

    The output contains no token, key or client secret. On another computer, `keyfob import FILE` adds the
    same accounts. You sign in to each of them once.

    \b
    Example:
      keyfob export > accounts.json
    """
    session.document(session.engine.imports.export())
