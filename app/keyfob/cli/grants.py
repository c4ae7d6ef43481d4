"""`keyfob grants`: what callers of the gateway may do."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from keyfob.cli import words
from keyfob.cli.administering import carry_out, tenant_here
from keyfob.cli.consenting import ask_consent
from keyfob.cli.keys import ONCE, span
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.core.gateway_address import own_address
from keyfob.core.times import from_rfc3339


@click.group(short_help="Manage what callers of the gateway may do.")
def grants() -> None:
    """Give a program access to an account through the gateway, list what you gave, and end it.

    The program gets its own key and never sees the account's token.

    \b
    Examples:
      keyfob grants create github --method read --path '/repos/acme/**' --name release-bot
      keyfob grants list
    """


@grants.command(short_help="Give access to an account.")
@account_argument
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="M",
    help="Allow this method; read for those that change nothing.",
)
@click.option(
    "--path", "paths", multiple=True, metavar="P", help="Allow this path of the API: /user, /repos/acme/**."
)
@click.option(
    "--for",
    "who",
    metavar="WHO",
    help="user:NAME, tenant:NAME, key:ID, anyone, or local: "
    "your own programs on this computer, without a key. Default: a new key.",
)
@click.option("--name", default="", metavar="NAME", help="The program, as the list shall show it.")
@click.option("--until", callback=span, metavar="SPAN", help="End it after this time: 3h, 9d, 4w.")
@click.option("--per-hour", type=click.IntRange(1), metavar="N", help="Allow so many requests an hour.")
@click.option(
    "--tenant",
    "tenant_id",
    metavar="NAME",
    help="Only callers of this tenant may use it. A user of a tenant needs it.",
)
@click.option("--account-tenant", metavar="NAME", help="The account belongs to this tenant.")
@json_option
@pass_session
@server_options
def create(
    session: Session,
    server: RemoteServer | None,
    account: str,
    methods: tuple[str, ...],
    paths: tuple[str, ...],
    who: str | None,
    name: str,
    until: timedelta | None,
    per_hour: int | None,
    tenant_id: str | None,
    account_tenant: str | None,
) -> None:
    """Allow a caller to use an account through the gateway. Without --for, a new key is made and shown once.

    Without --method and --path, everything is allowed that the account may do.

    \b
    Examples:
      keyfob grants create github --method read --path '/repos/acme/**' --until 9d --name release-bot
      keyfob grants create work/me --for user:alice
      keyfob grants create work/me --for local --method read
    """
    if who == "local" and server is None and not sys.platform.startswith("linux"):
        raise Usage(
            "This system does not say which user a program belongs to",
            remedy="Leave out --for, so that a key is made.",
        )
    if server is None and account_tenant is None:
        ask_consent(session, [account])
    found = carry_out(
        session,
        server,
        "grants.create",
        account=account,
        account_tenant=account_tenant or (tenant_here() if server is None else None),
        methods=methods or None,
        paths=paths or None,
        for_=who,
        name=name or None,
        until=session.now() + until if until is not None else None,
        per_hour=per_hour,
        tenant_id=tenant_id,
    )
    base = server.url if server is not None else own_address(session.engine.settings.load().gateway_port)
    address, key = base + found.pop("path"), found.pop("key", None)
    if session.json:
        session.document({**found, "url": address, **({"key": key} if key else {})})
        return
    session.say(f"Base URL  {address}")
    if key is not None:
        session.say(f"Key       {key}")
        session.note(ONCE)
    session.note(f"To end it, run: keyfob grants revoke {found['grant_id']}")


@grants.command("list", short_help="List the grants and their last use.")
@click.option("--all", "ended_too", is_flag=True, help="Include those that have ended.")
@json_option
@pass_session
@server_options
def list_(session: Session, server: RemoteServer | None, ended_too: bool) -> None:
    """List who may do what, until when, and how often it was used in the last 24 hours.

    \b
    Example:
      keyfob grants list
    """
    rows = carry_out(session, server, "grants.list", all=ended_too or None)["grants"]
    if session.json:
        session.document({"grants": rows})
        return
    if not rows:
        session.say("There are no grants. To give a program access, run: keyfob grants create ACCOUNT")
        return
    table = [
        (
            row["grant_id"],
            row["name"],
            row["account"] + (f" ({row['account_tenant']})" if row["account_tenant"] else ""),
            " ".join([*(row["methods"] or ["all"]), *row["paths"]]),
            words.moment(from_rfc3339(row["until"]), session.now()) if row["until"] else "no end",
            f"{row['allowed_24h']} requests"
            + (f", {row['refused_24h']} refused" if row["refused_24h"] else ""),
            row["state"],
        )
        for row in rows
    ]
    for line in words.table(table, ("GRANT", "NAME", "ACCOUNT", "WHAT", "UNTIL", "LAST 24 HOURS", "STATE")):
        session.say(line)


@grants.command(short_help="End a grant at once.")
@click.argument("grant_id", metavar="GRANT")
@json_option
@pass_session
@server_options
def revoke(session: Session, server: RemoteServer | None, grant_id: str) -> None:
    """End a grant. No gateway allows it any more after a second. The account stays connected.

    \b
    Example:
      keyfob grants revoke 3f9a1c2b7d4e
    """
    carry_out(session, server, "grants.end", grant_id=grant_id)
    if session.json:
        session.document({"grant_id": grant_id, "state": "ended"})
        return
    session.say(f"Ended {grant_id}")
