"""`keyfob sign`: the credentials for one request, for `keyfob.Auth` if
no agent runs. Hidden from the list of commands.
"""

from __future__ import annotations

import sys

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.request import sign_document
from keyfob.cli.session import MOST_INPUT, Session


@click.command(hidden=True)
@account_argument
@json_option
@pass_session
def sign(session: Session, account: str) -> None:
    """Read {"method", "url", "nonce"?, "rejected"?} on stdin and print
    {"account", "url", "headers", "token"}.
    """
    session.document(sign_document(session, account, sys.stdin.read(MOST_INPUT)))
