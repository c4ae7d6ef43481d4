"""`keyfob reconnect`: signs in to an account again."""

from __future__ import annotations

import click

from keyfob.cli.options import SignInOptions, account_argument, json_option, pass_session, sign_in_options
from keyfob.cli.session import Session
from keyfob.cli.signing_in import print_result, request_for, sign_in


@click.command(short_help="Sign in to an account again.")
@account_argument
@sign_in_options
@json_option
@pass_session
def reconnect(session: Session, account: str, options: SignInOptions) -> None:
    """Sign in to ACCOUNT again. The account keeps its id, label and settings.

    You must sign in as the same person. Keyfob refuses another person's sign-in and changes nothing. --method
    changes how the account signs in. --access and --scope ask for more than the account has. It keeps its old
    sign-in until the new one works.

    \b
    Examples:
      keyfob reconnect google/work@example.org
      keyfob reconnect github --method device
      keyfob reconnect github --access packages
    """
    record = session.engine.accounts.resolve(account)
    preset = session.engine.providers.get(record.account.provider)
    view = sign_in(session, request_for(session, preset, options, account=record.account))
    print_result(session, view, again=True)
