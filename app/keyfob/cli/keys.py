"""`keyfob keys`: the keys that callers of the gateway send."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click

from keyfob.cli import words
from keyfob.cli.administering import carry_out
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.session import Session
from keyfob.core.times import from_rfc3339

_SPAN = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_REMARKS = {"old": "90 days old: replace it", "unused": "not used for 90 days"}
ONCE = "Copy the key now: Keyfob cannot show it again."


def span(context: click.Context, param: click.Parameter, text: str | None) -> timedelta | None:
    """An option's callback: `12h`, `90d`, `4w`."""
    found = _SPAN.fullmatch(text) if text is not None else None
    if text is not None and found is None:
        raise click.BadParameter(f"{text!r} is not a time span. Write 12h, 90d or 4w", context, param)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


@click.group(short_help="Manage the keys of the gateway's callers.")
def keys() -> None:
    """Create, list, replace and revoke keys that let users and programs call the gateway.

    The keys are in a database on this computer, or in the one that KEYFOB_DATABASE_URL names
    (postgresql://user@host/name). The database holds no key: only what is needed to recognise one.

    \b
    Examples:
      keyfob keys create --user alice --expires 90d
      keyfob keys list
    """


@keys.command(short_help="Create a key.")
@click.option("--user", "user_id", required=True, metavar="NAME", help="Whose key it is.")
@click.option("--name", default="", metavar="NAME", help="What the key is for. Default: the user.")
@click.option("--tenant", "tenant_id", metavar="NAME", help="The tenant that the user belongs to.")
@click.option("--admin", is_flag=True, help="Let the key manage its tenant; without --tenant, the server.")
@click.option("--expires", callback=span, metavar="SPAN", help="End the key after this time: 12h, 90d, 4w.")
@click.option("--scope", "scopes", multiple=True, metavar="WORD", help="Give this scope. Repeatable.")
@json_option
@pass_session
@server_options
def create(
    session: Session,
    server: RemoteServer | None,
    user_id: str,
    name: str,
    tenant_id: str | None,
    admin: bool,
    expires: timedelta | None,
    scopes: tuple[str, ...],
) -> None:
    """Create a key and print it. It is shown once.

    \b
    Example:
      keyfob keys create --user alice --name laptop --expires 90d
    """
    found = carry_out(
        session,
        server,
        "keys.create",
        user_id=user_id,
        name=name or None,
        tenant_id=tenant_id,
        is_admin=admin or None,
        expires_at=session.now() + expires if expires is not None else None,
        scopes=scopes or None,
    )
    _show_new(session, found)


@keys.command("list", short_help="List the keys.")
@click.option("--user", "user_id", metavar="NAME", help="Only this user's keys.")
@click.option("--tenant", "tenant_id", metavar="NAME", help="Only this tenant's keys.")
@click.option("--all", "ended_too", is_flag=True, help="Include keys that are revoked or have expired.")
@json_option
@pass_session
@server_options
def list_(
    session: Session, server: RemoteServer | None, user_id: str | None, tenant_id: str | None, ended_too: bool
) -> None:
    """List the keys with their users. Says which are 90 days old, and which were not used for 90 days.

    \b
    Example:
      keyfob keys list --user alice
    """
    found = carry_out(
        session, server, "keys.list", user_id=user_id, tenant_id=tenant_id, all=ended_too or None
    )
    rows = found["keys"]
    if session.json:
        session.document({"keys": rows})
        return
    if not rows:
        session.say("There are no keys. To create one, run: keyfob keys create --user NAME")
        return
    table = [
        (
            row["key_id"],
            row["user_id"] + (f" ({row['tenant_id']})" if row["tenant_id"] else ""),
            row["name"],
            _moment(row["last_used_at"], session) or "never",
            _state(row, session),
        )
        for row in rows
    ]
    for line in words.table(table, ("KEY", "USER", "NAME", "LAST USED", "STATE")):
        session.say(line)


@keys.command(short_help="Show one key's details.")
@click.argument("key_id", metavar="KEY")
@json_option
@pass_session
@server_options
def show(session: Session, server: RemoteServer | None, key_id: str) -> None:
    """Show what is known of a key. The key itself is not stored.

    \b
    Example:
      keyfob keys show k3v9x2m8q1ab
    """
    row = carry_out(session, server, "keys.show", key_id=key_id)
    if session.json:
        session.document(row)
        return
    facts = {
        "Key": row["key_id"],
        "User": row["user_id"],
        "Name": row["name"],
        "Tenant": row["tenant_id"],
        "Administrator": "yes" if row["is_admin"] else None,
        "Scopes": " ".join(row["scopes"]) or None,
        "State": _state(row, session),
        "Created": _moment(row["created_at"], session),
        "Last used": _moment(row["last_used_at"], session) or "never",
        "Replaced by": row["replaced_by"],
    }
    for line in words.facts([(name, value) for name, value in facts.items() if value is not None]):
        session.say(line)


@keys.command(short_help="Replace a key by a new one.")
@click.argument("key_id", metavar="KEY")
@click.option(
    "--overlap",
    callback=span,
    default="1d",
    show_default=True,
    metavar="SPAN",
    help="Let the old key work for this time.",
)
@json_option
@pass_session
@server_options
def rotate(session: Session, server: RemoteServer | None, key_id: str, overlap: timedelta) -> None:
    """Create a key with the same user and rights, and end the old key after the overlap.

    \b
    Example:
      keyfob keys rotate k3v9x2m8q1ab --overlap 7d
    """
    seconds = int(overlap.total_seconds())
    _show_new(session, carry_out(session, server, "keys.rotate", key_id=key_id, overlap_seconds=seconds))


@keys.command(short_help="End a key at once.")
@click.argument("key_id", metavar="KEY")
@json_option
@pass_session
@server_options
def revoke(session: Session, server: RemoteServer | None, key_id: str) -> None:
    """End a key. No gateway accepts it any more after a second. This cannot be undone.

    \b
    Example:
      keyfob keys revoke k3v9x2m8q1ab
    """
    carry_out(session, server, "keys.revoke", key_id=key_id)
    if session.json:
        session.document({"key_id": key_id, "state": "revoked"})
        return
    session.say(f"Revoked {key_id}")


def _show_new(session: Session, found: dict[str, Any]) -> None:
    if session.json:
        session.document({"key_id": found["key_id"], "key": found["key"]})
        return
    session.exactly(found["key"])
    session.note(ONCE)


def _moment(text: str | None, session: Session) -> str | None:
    at = from_rfc3339(text)
    return words.moment(at, session.now()) if at is not None else None


def _state(row: dict[str, Any], session: Session) -> str:
    if row["state"] == "active":
        ends = _moment(row["expires_at"], session)
        return "; ".join([f"ends {ends}" if ends else "active", *(_REMARKS[word] for word in row["remarks"])])
    return f"{row['state']} {_moment(row['revoked_at'] or row['expires_at'], session)}"
