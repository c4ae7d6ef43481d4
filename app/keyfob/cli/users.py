"""`keyfob users`: people who sign in to the gateway with a password."""

from __future__ import annotations

import sys

import click

from keyfob.cli import words
from keyfob.cli.gateway_database import database
from keyfob.cli.options import json_option, pass_session
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
def add(session: Session, name: str, tenant_id: str | None, admin: bool) -> None:
    """Add a user. Asks for the password, or reads it from stdin.

    \b
    Example:
      keyfob users add alice --tenant acme
    """
    password = _password(session)
    with database() as transaction:
        from keyfob.gateway.auth import administration

        row = administration.add_user(transaction, name, password, tenant_id=tenant_id, is_admin=admin)
        found = administration.user_json(row)
    session.document(found) if session.json else session.say(f"Added {name}")


@users.command(short_help="Set a user's password.")
@click.argument("name")
@json_option
@pass_session
def passwd(session: Session, name: str) -> None:
    """Set a new password. Asks for it, or reads it from stdin. Ends the user's sign-ins, and lets a disabled
    user in again.

    \b
    Example:
      keyfob users passwd alice
    """
    password = _password(session)
    with database() as transaction:
        from keyfob.gateway.auth import administration

        administration.set_password(transaction, name, password)
        found = administration.user_json(administration.user(transaction, name))
    session.document(found) if session.json else session.say(f"Set the password of {name}")


@users.command(short_help="Refuse a user from now on.")
@click.argument("name")
@json_option
@pass_session
def disable(session: Session, name: str) -> None:
    """Refuse a user's password and end their sign-ins. Their keys stay: to end one, run keyfob keys revoke.

    \b
    Example:
      keyfob users disable alice
    """
    with database() as transaction:
        from keyfob.gateway.auth import administration

        administration.disable_user(transaction, name)
        found = administration.user_json(administration.user(transaction, name))
    session.document(found) if session.json else session.say(f"Disabled {name}")


@users.command("list", short_help="List the users.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the users with their tenants.

    \b
    Example:
      keyfob users list
    """
    with database() as transaction:
        from keyfob.gateway.auth import administration

        rows = [administration.user_json(row) for row in administration.users(transaction)]
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
