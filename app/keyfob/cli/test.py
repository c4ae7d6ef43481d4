"""`keyfob test`: asks the provider who you are."""

from __future__ import annotations

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.through_agent import through_agent
from keyfob.client import running_agent
from keyfob.core.text import plain


@click.command(short_help="Ask the provider who you are, with the account's token.")
@account_argument
@json_option
@pass_session
def test(session: Session, account: str) -> None:
    """Ask the provider who ACCOUNT is, with its token, and print the answer.

    \b
    Example:
      keyfob test github && deploy
    """
    result = through_agent(session, lambda: running_agent.test(account))
    if result is None:
        engine = session.engine
        result = session.finish(lambda: engine.accounts.test(account)).to_json()
    if session.json:
        session.document(result)
        return
    name = plain(result["name"] or result["subject"] or "somebody", 80)
    session.say(
        f"{result['account']} works: the provider says that you are {name} ({result['milliseconds']} ms)"
    )


test.__test__ = False  # type: ignore[attr-defined]  # not a pytest function
