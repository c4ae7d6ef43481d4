"""`keyfob permissions`: lists which programs may have which account's token, and revokes this."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.text import plain


@click.command(short_help="List and revoke what programs may use.")
@click.option("--revoke", metavar="ID", help="Revoke this answer. Keyfob asks again next time.")
@json_option
@pass_session
def permissions(session: Session, revoke: str | None) -> None:
    """List which programs may get which account's token, if the setting named_app_consent is on.

    The setting is off by default. It applies only to programs that ask the agent. It does not protect your
    programs from each other: one program can pretend to be another, and a command that works without an agent
    does not ask.

    \b
    Examples:
      keyfob permissions
      keyfob permissions --revoke 6f2a…
    """
    consents = session.engine.consents
    if revoke is not None:
        consents.revoke(revoke)
        if not session.json:
            session.say("Revoked. Keyfob asks again next time.")
            return
    found = consents.list()
    if session.json:
        session.document({"on": consents.on, "permissions": [each.to_json() for each in found]})
        return
    if not consents.on:
        session.note(
            "Keyfob does not ask about programs. To turn this on, run: keyfob settings set "
            "named_app_consent on"
        )
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
        session.say("No permissions are saved.")
        return
    for line in words.table(rows, ("ID", "ACCOUNT", "PROGRAM", "ANSWER", "UNTIL")):
        session.say(line)
