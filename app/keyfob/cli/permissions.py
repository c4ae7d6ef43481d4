"""`keyfob permissions`: lists which programs may have which account's token, and revokes this."""

from __future__ import annotations

from pathlib import Path

import click

from keyfob.agent.consent import program_of
from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.consent import Reply, as_typed
from keyfob.core.errors import Usage
from keyfob.core.text import plain


@click.command(short_help="List, give and revoke what programs may use.")
@click.option(
    "--allow",
    nargs=2,
    metavar="PROGRAM ACCOUNT",
    help="Allow PROGRAM to get the token of ACCOUNT. PROGRAM is a name or a path, or an interpreter with its "
    "script, in quotes.",
)
@click.option("--hour", is_flag=True, help="With --allow: only for an hour. Default: always.")
@click.option("--revoke", metavar="ID", help="Revoke this answer. Keyfob asks again next time.")
@json_option
@pass_session
def permissions(session: Session, allow: tuple[str, str] | None, hour: bool, revoke: str | None) -> None:
    """List which programs may get which account's token, if the setting named_app_consent is on.

    The setting is off by default. It applies only to programs that ask the agent. It does not protect your
    programs from each other: one program can pretend to be another, and a command that works without an agent
    does not ask.

    \b
    Examples:
      keyfob permissions
      keyfob permissions --allow /usr/bin/git github
      keyfob permissions --allow "python3 report.py" github --hour
      keyfob permissions --revoke 6f2a…
    """
    consents = session.engine.consents
    if hour and allow is None:
        raise Usage("--hour needs --allow")
    if allow is not None:
        _allow(session, *allow, Reply.HOUR if hour else Reply.ALWAYS)
        return
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
            plain(as_typed(each.executable, each.script), 80),
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


def _allow(session: Session, command: str, ref: str, reply: Reply) -> None:
    account = session.engine.accounts.resolve(ref).account
    program = program_of(command, str(Path.cwd()))
    permission = session.engine.consents.allow(program, account.id, account.key, reply)
    if session.json:
        session.document(permission.to_json())
        return
    until = "" if permission.until is None else f" until {words.moment(permission.until, session.now())}"
    program_text = plain(as_typed(program.executable, program.script), 160)
    session.say(f"{program_text} may use the token of {account.id}{until}.")
    if not session.engine.consents.on:
        session.note(
            "Keyfob does not ask about programs yet. To turn this on, run: keyfob settings set "
            "named_app_consent on"
        )
