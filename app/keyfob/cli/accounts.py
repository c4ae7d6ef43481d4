"""`keyfob accounts`: the accounts, one line each."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.server_accounts import accounts_at
from keyfob.cli.session import Session
from keyfob.cli.views import all_accounts, kept_fresh, note_unread
from keyfob.core.text import plain


@click.command(short_help="List the accounts.")
@json_option
@pass_session
@server_options
def accounts(session: Session, server: RemoteServer | None) -> None:
    """List the accounts with their status and how long their tokens live. With --server, those of a gateway.

    \b
    Example:
      keyfob accounts --json | jq -r '.accounts[] | select(.status == "needs_sign_in").id'
    """
    views = all_accounts(session) if server is None else accounts_at(server)
    unread = note_unread(session) if server is None else 0
    if session.json:
        session.document({"accounts": [view.to_json() for view in views]})
        return
    if not views and not unread:
        session.say("There are no accounts yet. To connect one, run: keyfob connect PROVIDER")
        return
    if not views:
        return
    now, fresh = session.now(), server is not None or kept_fresh(session)
    lives = [plain(words.life(view, now, kept_fresh=fresh), 90) for view in views]
    rows = [
        (view.id, words.who(view), words.status(view.status), life)
        for view, life in zip(views, lives, strict=True)
    ]
    for line in words.table(rows, ("ACCOUNT", "NAME", "STATUS", "TOKEN")):
        session.say(line)
