"""`keyfob rename`: changes an account's label."""

from __future__ import annotations

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Change an account's label.")
@account_argument
@click.argument("label")
@json_option
@pass_session
def rename(session: Session, account: str, label: str) -> None:
    """Change the label of ACCOUNT to LABEL. The label is the part of the
    id after the slash. The tokens do not change.

    \b
    Example:
      keyfob rename github/octocat work
    """
    before = session.engine.accounts.view(account).id
    view = session.engine.accounts.rename(account, label)
    if session.json:
        session.document(view.to_json())
        return
    session.say(f"Renamed {before} to {view.id}")
