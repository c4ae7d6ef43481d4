"""`keyfob renew`: renew now."""

from __future__ import annotations

import click

from keyfob import client
from keyfob.cli import words
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Renew an account's token now.")
@account_argument
@json_option
@pass_session
def renew(session: Session, account: str) -> None:
    """Renew the token of ACCOUNT now, whatever is left of the old one.

    Nobody needs this in daily life: tokens are renewed by themselves, and `keyfob token` renews what is due.

    \b
    Example:
      keyfob renew github
    """
    engine = session.engine
    try:
        # The agent may hold what this process cannot open: a sealed vault.
        client.renewed_by_agent(account)
        view = engine.accounts.view(account)
    except client.AgentGone:
        view = session.finish(lambda: engine.accounts.renew(account))
    if session.json:
        session.document(view.to_json())
        return
    session.say(f"Renewed {view.id}: {words.life(view, session.now())}")
