"""`keyfob rename`: changes an account's label."""

from __future__ import annotations

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.through_agent import through_agent
from keyfob.cli.views import view_of
from keyfob.client import running_agent


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
    accounts = session.engine.accounts
    before = accounts.view(account).id
    answer = through_agent(session, lambda: running_agent.rename(before, label))
    view = accounts.rename(account, label) if answer is None else view_of(answer)
    if session.json:
        session.document(view.to_json())
        return
    session.say(f"Renamed {before} to {view.id}")
