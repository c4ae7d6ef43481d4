"""`keyfob remove`: disconnects and removes an account."""

from __future__ import annotations

import click

from keyfob.cli.disconnect import print_ended
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Disconnect an account and remove it.")
@account_argument
@click.option(
    "--local", is_flag=True, help="Remove the account here only. Do not revoke its tokens at the provider."
)
@json_option
@pass_session
def remove(session: Session, account: str, local: bool) -> None:
    """Disconnect ACCOUNT, then remove it and everything saved for it.

    \b
    Example:
      keyfob remove github/old
    """
    print_ended(session, "remove", account, local=local)
