"""`keyfob renew`: renews an account's token now."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.views import kept_fresh, view_of
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError


@click.command(short_help="Renew an account's token now.")
@account_argument
@json_option
@pass_session
def renew(session: Session, account: str) -> None:
    """Renew the token of ACCOUNT now, even if the old one is still valid.

    You rarely need this. Keyfob renews tokens automatically, and `keyfob
    token` renews a token that is about to expire.

    \b
    Example:
      keyfob renew github
    """
    try:
        # The agent may hold what this process cannot open: an encrypted file.
        view = view_of(session.from_agent(lambda: running_agent.renew(account)))
    except AgentGoneError:
        view = session.finish(lambda: session.engine.accounts.renew(account))
    if session.json:
        session.document(view.to_json())
        return
    session.say(f"Renewed {view.id}: {words.life(view, session.now(), kept_fresh=kept_fresh(session))}")
