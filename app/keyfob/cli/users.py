"""`keyfob users`: people who sign in to the gateway with a password."""

from __future__ import annotations

import sys

import click

from keyfob.cli import words
from keyfob.cli.administering import carry_out
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.session import Session
from keyfob.core.times import from_rfc3339


@click.group(short_help="Manage the gateway's users and their passwords.")
def users() -> None:
    """Add and disable users who sign in to the gateway with a name and a password.

    They are in the same database as the keys. Passwords are stored as argon2id hashes.

    \b
    Examples:
      keyfob users add alice
      keyfob users list
    """


@users.command(short_help="Add a user.")
@click.argument("name")
@click.option("--tenant", "tenant_id", metavar="NAME", help="The tenant that the user belongs to.")
@click.option("--admin", is_flag=True, help="Let the user manage their tenant; without --tenant, the server.")
@json_option
@pass_session
@server_options
def add(session: Session, server: RemoteServer | None, name: str, tenant_id: str | None, admin: bool) -> None:
    """Add a user. Asks for the password, or reads it from stdin.

    \b
    Example:
      keyfob users add alice --tenant acme
    """
    password = _password(session)
    found = carry_out(
        session,
        server,
        "users.add",
        user_id=name,
        password=password,
        tenant_id=tenant_id,
        is_admin=admin or None,
    )
    session.document(found) if session.json else session.say(f"Added {found['user_id']}")


@users.command(short_help="Set a user's password.")
@click.argument("name")
@json_option
@pass_session
@server_options
def passwd(session: Session, server: RemoteServer | None, name: str) -> None:
    """Set a new password. Asks for it, or reads it from stdin. Ends the user's sign-ins, and lets a disabled
    user in again.

    \b
    Example:
      keyfob users passwd alice
    """
    password = _password(session)
    found = carry_out(session, server, "users.password", user_id=name, password=password)
    session.document(found) if session.json else session.say(f"Set the password of {name}")


@users.command(short_help="Refuse a user from now on.")
@click.argument("name")
@json_option
@pass_session
@server_options
def disable(session: Session, server: RemoteServer | None, name: str) -> None:
    """Refuse a user's password and end their sign-ins. Their keys stay: to end one, run keyfob keys revoke.

    \b
    Example:
      keyfob users disable alice
    """
    found = carry_out(session, server, "users.disable", user_id=name)
    session.document(found) if session.json else session.say(f"Disabled {name}")


@users.command("list", short_help="List the users.")
@json_option
@pass_session
@server_options
def list_(session: Session, server: RemoteServer | None) -> None:
    """List the users with their tenants.

    \b
    Example:
      keyfob users list
    """
    rows = carry_out(session, server, "users.list")["users"]
    if session.json:
        session.document({"users": rows})
        return
    if not rows:
        session.say("There are no users. To add one, run: keyfob users add NAME")
        return
    table = [
        (
            row["user_id"],
            row["tenant_id"] or "-",
            "yes" if row["is_admin"] else "-",
            row["state"],
            words.moment(from_rfc3339(row["created_at"]), session.now()),
        )
        for row in rows
    ]
    for line in words.table(table, ("USER", "TENANT", "ADMIN", "STATE", "ADDED")):
        session.say(line)


def _password(session: Session) -> str:
    if not sys.stdin.isatty():
        return session.next_secret("The password", "Password").reveal()
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
