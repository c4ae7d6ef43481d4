"""`keyfob permissions`: which programs were allowed which account's token, and taking that back."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.text import plain


@click.command(short_help="List what programs were allowed, and take it back.")
@click.option("--revoke", metavar="ID", help="Ask about this program again the next time.")
@json_option
@pass_session
def permissions(session: Session, revoke: str | None) -> None:
    """List which programs may have which account's token, if the setting named_app_consent is on.

    The switch is off at first. It shows and limits what asks through the agent; it is no wall between your own
    programs, which can pretend to be each other, and a command that works without an agent does not ask.

    \b
    Examples:
      keyfob permissions
      keyfob permissions --revoke 6f2a…
    """
    consents = session.engine.consents
    if revoke is not None:
        consents.revoke(revoke)
        if not session.json:
            session.say("It is asked about again the next time.")
            return
    found = consents.list()
    if session.json:
        session.document({"on": consents.on, "permissions": [each.to_json() for each in found]})
        return
    if not consents.on:
        session.note("Programs are not asked about. To ask: keyfob settings set named_app_consent on")
    now = session.now()
    rows = [
        (
            each.id,
            each.account_id,
            plain(each.script or each.executable, 80),
            str(each.reply),
            words.moment(each.until, now) if each.until else "",
        )
        for each in found
    ]
    if not rows:
        session.say("No program has an answer that stands.")
        return
    for line in words.table(rows, ("ID", "ACCOUNT", "PROGRAM", "ANSWER", "UNTIL")):
        session.say(line)
