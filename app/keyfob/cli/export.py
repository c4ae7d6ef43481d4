"""`keyfob export`: descriptions of the accounts, with no secret of any kind."""

from __future__ import annotations

from typing import Any

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.account import Record

FORMAT = 1


@click.command(short_help="Print descriptions of the accounts, without any secret.")
@json_option
@pass_session
def export(session: Session) -> None:
    """Print what the accounts are as one JSON document: provider, label, method, scopes and what was told of the
    server. Nothing in it signs anybody in: it tells another machine what to connect.

    \b
    Example:
      keyfob export > accounts.json
    """
    records = session.engine.store.records()
    session.document({"keyfob": FORMAT, "accounts": [_describe(record) for record in records]})


def _describe(record: Record) -> dict[str, Any]:
    account, pin = record.account, record.account.pin
    return {
        "id": account.id,
        "provider": account.provider,
        "label": account.label,
        "method": account.method,
        "subject": account.subject,
        "name": account.name,
        "scopes": list(account.asked_scopes),
        "inputs": dict(pin.inputs),
        "issuer": pin.server.issuer,
        "client_id": pin.client_id,
        "connect": _command(record),
    }


def _command(record: Record) -> list[str]:
    """The command that connects the same account elsewhere, as arguments."""
    account = record.account
    command = ["keyfob", "connect", account.provider, "--label", account.label, "--method", account.method]
    for name, value in account.pin.inputs.items():
        command += ["--input", f"{name}={value}"]
    for scope in account.asked_scopes:
        command += ["--scope", scope]
    return command
