"""`keyfob token`: prints a valid token. Its fast path, through the agent, runs before this file is loaded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from keyfob.cli.options import F, Seconds, account_argument, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.token_source import id_token
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import KeyfobError, Usage
from keyfob.core.min_life import ASKED_MOST

if TYPE_CHECKING:
    from keyfob.engine import Engine


def _not_for_another(_: click.Context, option: click.Parameter, value: str | None) -> None:
    """The callback of options that other programs of this kind have. docs/decisions.md has the reason."""
    if value is not None:
        raise Usage(
            f"keyfob token has no {option.opts[0]}: an account has tokens for what it was signed in for",
            remedy="To use another API, add an account for it: run `keyfob providers add NAME --issuer URL "
            "--client-id ID --resource URI`, then `keyfob connect NAME`.",
        )


def _named_elsewhere(name: str) -> Callable[[F], F]:
    return click.option(name, hidden=True, expose_value=False, callback=_not_for_another)


@click.command(short_help="Print a valid access token or key.")
@account_argument
@click.option(
    "--min-life",
    type=Seconds(min=0, max=ASKED_MOST),
    metavar="S",
    help="Renew the token first if it expires in less than S seconds. Default: 60, or a fifth of a shorter "
    "lifetime.",
)
@click.option(
    "--rejected-stdin",
    is_flag=True,
    help="Read from stdin a token that the API refused. Keyfob replaces it first if it is still the current "
    "token.",
)
@click.option("--header", is_flag=True, help="Print the full HTTP header line that the provider expects.")
@click.option(
    "--id-token",
    "wants_id_token",
    is_flag=True,
    help="Print the ID token of the last sign-in or renewal (OpenID Connect). Keyfob renews it if it has "
    "expired.",
)
@_named_elsewhere("--audience")
@_named_elsewhere("--resource")
@json_option
@pass_session
def token(
    session: Session,
    account: str,
    min_life: float | None,
    rejected_stdin: bool,
    header: bool,
    wants_id_token: bool,
) -> None:
    """Print only a valid access token or API key of ACCOUNT on stdout.

    Keyfob never prints an expired token. It renews the token first, or fails (exit 3: sign in again; exit 5:
    try again later). It renews at most once, and prints a token that is still valid even if it expires sooner
    than --min-life.

    \b
    Examples:
      curl -H "Authorization: Bearer $(keyfob token github)" https://api.github.com/user
      curl -H "$(keyfob token gitlab --header)" https://gitlab.com/api/v4/user
      echo "$REFUSED" | keyfob token github --rejected-stdin
      vault write auth/jwt/login role=dev jwt="$(keyfob token work --id-token)"
    """
    if wants_id_token:
        if min_life is not None or rejected_stdin:
            raise Usage("--id-token cannot be combined with --min-life or --rejected-stdin")
        answer = id_token(session, account)
        _print(session, answer, f"Authorization: Bearer {answer['token']}" if header else None)
        return
    rejected = session.secret_from_stdin("--rejected-stdin", "Refused token") if rejected_stdin else None
    refused = rejected.reveal() if rejected else None
    try:
        # The fast paths take neither a refused token nor a fraction of a
        # second: the agent is asked here for those.
        answer = session.from_agent(lambda: running_agent.lease(account, min_life=min_life, rejected=refused))
        line = ": ".join(running_agent.header(account)) if header else ""
    except AgentGoneError:
        engine = session.engine
        life = None if min_life is None else timedelta(seconds=min_life)
        found = session.finish(lambda: engine.accounts.token(account, min_life=life, rejected=rejected))
        answer = found.to_json()
        _refresh(engine, found.account)
        line = ""
        if header:
            from keyfob.service.accounts.tool_tokens import header_of

            name, value = header_of(found)
            line = f"{name}: {value.reveal()}"
    _print(session, answer, line if header else None)


def _print(session: Session, answer: dict[str, Any], line: str | None) -> None:
    """The token, or the header's line. `--json` with `--header` has both."""
    if session.json:
        session.document(answer if line is None else {**answer, "header": line})
    else:
        session.exactly(answer["token"] if line is None else line)


def _refresh(engine: Engine, account_id: str) -> None:
    """From now on the fast path can answer, which this command had to be loaded for."""
    with suppress(KeyfobError):  # a disk that is full or read-only: the token was had all the same
        engine.store.refresh(engine.accounts.resolve(account_id).account.key)
