"""`keyfob accounts`: the accounts, one line each."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.views import all_accounts, kept_fresh, note_unread
from keyfob.core.text import plain


@click.command(short_help="List the accounts.")
@json_option
@pass_session
def accounts(session: Session) -> None:
    """List the accounts with their status and how long their tokens live.

    \b
    Example:
      keyfob accounts --json | jq -r '.accounts[] | select(.status == "needs_sign_in").id'
    """
    views = all_accounts(session)
    unread = note_unread(session)
    if session.json:
        session.document({"accounts": [view.to_json() for view in views]})
        return
    if not views and not unread:
        session.say("There are no accounts yet. To connect one, run: keyfob connect PROVIDER")
        return
    if not views:
        return
    now, fresh = session.now(), kept_fresh(session)
    lives = [plain(words.life(view, now, kept_fresh=fresh), 90) for view in views]
    rows = [
        (view.id, words.who(view), words.status(view.status), life)
        for view, life in zip(views, lives, strict=True)
    ]
    for line in words.table(rows, ("ACCOUNT", "NAME", "STATUS", "TOKEN")):
        session.say(line)
