"""`keyfob remove`: disconnect and forget the account."""

from __future__ import annotations

import click

from keyfob.cli.disconnect import REVOKED_WORDS
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Disconnect an account and forget it.")
@account_argument
@click.option("--local", is_flag=True, help="Forget it here only, without telling the provider.")
@json_option
@pass_session
def remove(session: Session, account: str, local: bool) -> None:
    """Disconnect ACCOUNT, then forget it and all that was kept for it.

    \b
    Example:
      keyfob remove github/old
    """
    engine = session.engine
    name = engine.accounts.view(account).id
    ended = session.finish(lambda: engine.accounts.remove(account, local=local))
    if session.json:
        session.document({"id": name, **ended.to_json()})
        return
    session.say(f"Removed {name}. {REVOKED_WORDS[ended.revoked]}")
