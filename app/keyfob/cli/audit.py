"""`keyfob audit`: what happened to the gateway's keys and users."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from keyfob.cli import words
from keyfob.cli.administering import carry_out
from keyfob.cli.options import json_option, moment, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.session import Session
from keyfob.core.times import from_rfc3339

WORDS = {
    "created": "created a key",
    "rotated": "replaced a key",
    "revoked": "revoked a key",
    "used": "used",
    "refused": "refused",
    "user_added": "added the user",
    "password_changed": "set the password",
    "user_disabled": "disabled the user",
    "grant_created": "gave access",
    "grant_ended": "ended access",
    "account_added": "added an account",
    "account_disconnected": "disconnected an account",
}


@click.command(short_help="Show what happened to the gateway's keys and users.")
@click.option("--key", "key_id", metavar="KEY", help="Only events of this key.")
@click.option("--user", "user_id", metavar="NAME", help="Only events of this user.")
@click.option("--tenant", "tenant_id", metavar="NAME", help="Only events of this tenant.")
@click.option("--kind", type=click.Choice(tuple(WORDS)), help="Only events of this kind.")
@click.option("--since", callback=moment, metavar="TIME", help="Only later events: 2h, 7d, or a time.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, metavar="N")
@json_option
@pass_session
@server_options
def audit(
    session: Session,
    server: RemoteServer | None,
    key_id: str | None,
    user_id: str | None,
    tenant_id: str | None,
    kind: str | None,
    since: datetime | None,
    limit: int,
) -> None:
    """Show when keys were created, used, refused and revoked, the newest event first.

    Uses and refusals are written every 30 seconds, with their number.

    \b
    Example:
      keyfob audit --user alice --since 7d
    """
    rows = carry_out(
        session,
        server,
        "audit.list",
        key_id=key_id,
        user_id=user_id,
        tenant_id=tenant_id,
        kind=kind,
        since=since,
        limit=limit,
    )["events"]
    if session.json:
        session.document({"events": rows})
        return
    if not rows:
        session.say("Nothing happened.")
        return
    table = [
        (
            words.moment(from_rfc3339(row["at"]), session.now()),
            row["user_id"] or "-",
            row["key_id"] or "-",
            WORDS.get(row["kind"], row["kind"]),
            f"{row['count']} times" if row["count"] > 1 else "",
            _detail(row),
            row["by"] or "-",
        )
        for row in rows
    ]
    for line in words.table(table, ("TIME", "USER", "KEY", "WHAT", "HOW OFTEN", "DETAIL", "BY")):
        session.say(line)


def _detail(row: dict[str, Any]) -> str:
    """A reason is a word of the program's; the rest is names."""
    text = row["detail"] or ""
    return text.replace("_", " ") if row["kind"] == "refused" else text
