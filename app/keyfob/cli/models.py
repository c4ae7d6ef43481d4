"""`keyfob models`: which account a model's name stands for at the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import KeyfobError, Usage
from keyfob.gateway.packages import check_packages

if TYPE_CHECKING:
    from pathlib import Path

    from keyfob.gateway.models.table import Entry
    from keyfob.service.accounts.signer import LlmApi

FORMATS = ("openai_chat", "openai_responses", "anthropic_messages")


@click.group(short_help="Say which account a model's name stands for at the gateway.")
def models() -> None:
    """The gateway's model table: programs ask for a model, and the table names the account that answers.

    Without a table, the gateway takes the one account that fits. The table is a YAML file that you may edit.

    \b
    Examples:
      keyfob models add gpt-5.5 openai-api/work
      keyfob models list
    """


@models.command("list", short_help="List the model table.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the models, their accounts, and the formats that each account speaks.

    \b
    Example:
      keyfob models list
    """
    check_packages()
    from keyfob.gateway.models import table_file

    path = _path(session)
    entries = table_file.load(path).entries
    if session.json:
        session.document({"file": str(path), "models": [_json(session, one) for one in entries]})
        return
    if not entries:
        session.say("The model table is empty. To add a model, run: keyfob models add MODEL ACCOUNT")
        return
    rows = [(one.name, one.account, one.model or "", one.format or _spoken(session, one)) for one in entries]
    for line in words.table(rows, ("MODEL", "ACCOUNT", "UPSTREAM MODEL", "FORMAT")):
        session.say(line)


@models.command(short_help="Add a model.")
@click.argument("name", metavar="MODEL")
@click.argument("account", metavar="ACCOUNT")
@click.option("--model", metavar="M", help="The model's name at the provider. Default: MODEL.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The format to speak with the provider. Default: the caller's, if the account speaks it.",
)
@json_option
@pass_session
def add(session: Session, name: str, account: str, model: str | None, format_: Any) -> None:  # noqa: ANN401
    """Let ACCOUNT answer requests for MODEL. MODEL may be a pattern: `*` stands for any text, and in --model
    for the same text again.

    \b
    Examples:
      keyfob models add gpt-5.5 openai-api/work
      keyfob models add 'claude-*' openai-codex/me --model gpt-5.5
      keyfob models add 'or/*' openrouter/me --model '*'
    """
    check_packages()
    from keyfob.gateway.models import table_file

    api = session.engine.signer.llm(account)
    if not api.formats:
        raise Usage(
            f"{api.account} speaks no format of LLM requests that Keyfob knows",
            remedy="If it does speak one, add [formats] to its preset. See keyfob providers show.",
        )
    if format_ is not None and format_ not in api.formats:
        raise Usage(f"{api.account} does not speak {format_}", remedy=f"It speaks {', '.join(api.formats)}.")
    entry = table_file.add(_path(session), name, api.account, model, format_)
    if session.json:
        session.document(_json(session, entry))
        return
    session.say(f"Added {entry.name}: {entry.account}")


@models.command(short_help="Remove a model.")
@click.argument("name", metavar="MODEL")
@json_option
@pass_session
def remove(session: Session, name: str) -> None:
    """Take MODEL out of the table. The account stays connected.

    \b
    Example:
      keyfob models remove gpt-5.5
    """
    check_packages()
    from keyfob.gateway.models import table_file

    entry = table_file.remove(_path(session), name)
    if session.json:
        session.document(_json(session, entry))
        return
    session.say(f"Removed {entry.name}")


def _path(session: Session) -> Path:
    from keyfob.gateway.models.table_file import FILE

    return session.engine.home.config / FILE


def _api(session: Session, entry: Entry) -> LlmApi | None:
    try:
        return session.engine.signer.llm(entry.account)
    except KeyfobError:
        return None


def _spoken(session: Session, entry: Entry) -> str:
    api = _api(session, entry)
    return ", ".join(api.formats) if api is not None else "no such account"


def _json(session: Session, entry: Entry) -> dict[str, Any]:
    api = _api(session, entry)
    return {
        "name": entry.name,
        "account": entry.account,
        "model": entry.model,
        "format": entry.format,
        "formats": list(api.formats) if api is not None else None,
    }
