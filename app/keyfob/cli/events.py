"""`keyfob events`: what happened to the accounts."""

from __future__ import annotations

import time
from datetime import datetime

import click

from keyfob.cli import words
from keyfob.cli.failure import json_text
from keyfob.cli.options import complete_accounts, json_option, moment, pass_session
from keyfob.cli.session import Session
from keyfob.core.account import LoggedEvent
from keyfob.core.text import plain

USUAL, MOST = 50, 10_000  # events
LOOK_AGAIN = 0.5  # seconds: events of other processes are read from the history they write


@click.command(short_help="Show what happened to your accounts.")
@click.option("--follow", "-f", is_flag=True, help="Keep printing events as they happen, until Ctrl-C.")
@click.option(
    "--account", metavar="ACCOUNT", help="Show only this account's events.", shell_complete=complete_accounts
)
@click.option(
    "--since",
    callback=moment,
    metavar="TIME",
    help="Show the events since TIME: 2h, 7d (seconds s to weeks w ago), or a date or time such as "
    "2026-11-20T14:00.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST),
    metavar="N",
    help=f"Show the newest N events. Default: {USUAL}, or all with --since.",
)
@json_option
@pass_session
def events(
    session: Session, follow: bool, account: str | None, since: datetime | None, limit: int | None
) -> None:
    """Show what happened to your accounts, oldest first.

    --json prints one document. --json --follow prints one JSON object a line as events happen.

    \b
    Examples:
      keyfob events --account github --since 7d
      keyfob events --follow --json | jq --unbuffered -r .message
    """
    history = session.engine.accounts.history
    found = list(history(account, limit=limit or (USUAL if since is None else MOST)))
    newest = found[-1].seq if found else 0
    found = [event for event in found if since is None or event.at >= since]
    if session.json and not follow:
        session.document({"events": [event.to_json() for event in found]})
        return
    for event in found:
        _print_event(session, event)
    if not follow:
        if not found:
            session.say("There are no events yet." if since is None else "There are no events since then.")
        return
    after = newest
    try:
        while True:
            for event in history(account, limit=200, after=after):
                _print_event(session, event)
                after = event.seq
            time.sleep(LOOK_AGAIN)
    except KeyboardInterrupt:
        return  # how one stops following; nothing was begun that could be cut short


def _print_event(session: Session, event: LoggedEvent) -> None:
    if session.json:
        click.echo(json_text(event.to_json()))
        return
    code = f" ({event.code})" if event.code else ""
    when = words.moment(event.at, session.now())
    session.say(f"{when}  {event.account_id}  {plain(event.message, 200)}{code}")
