"""`keyfob token`: a valid token on stdout. Its fast path, through the agent, is taken before this file is loaded."""

from __future__ import annotations

from datetime import timedelta

import click

from keyfob import client
from keyfob.cli.options import Seconds, account_argument, json_option, pass_session
from keyfob.cli.session import Session


@click.command(short_help="Print a valid access token or key.")
@account_argument
@click.option(
    "--min-life",
    type=Seconds(min=0, max=86_400),
    metavar="S",
    help="Renew first where fewer than S seconds are left; else 60, or a fifth of a shorter lifetime.",
)
@click.option(
    "--rejected-stdin",
    is_flag=True,
    help="Read a token that the API refused from stdin; if it is still the current one, it is replaced first.",
)
@click.option("--header", is_flag=True, help="Print the whole HTTP header line that the provider wants.")
@json_option
@pass_session
def token(session: Session, account: str, min_life: float | None, rejected_stdin: bool, header: bool) -> None:
    """Print a valid access token or API key of ACCOUNT, alone on stdout.

    An expired token is never printed: it is renewed first, or the exit tells why it could not be (3: sign in
    again, 5: may pass). At most one renewal is made; a token that is still valid is printed even if it lives
    shorter than --min-life asks.

    \b
    Examples:
      curl -H "Authorization: Bearer $(keyfob token github)" https://api.github.com/user
      curl -H "$(keyfob token gitlab --header)" https://gitlab.com/api/v4/user
      echo "$REFUSED" | keyfob token github --rejected-stdin
    """
    rejected = session.secret_from_stdin("--rejected-stdin", "Refused token") if rejected_stdin else None
    refused = rejected.reveal() if rejected else None
    try:
        # The short ways take neither a refused token nor a fraction of a second: the agent is asked here for those.
        told = session.from_agent(lambda: client.from_agent(account, min_life=min_life, rejected=refused))
        line = ": ".join(client.header_from_agent(account)) if header else ""
    except client.AgentGone:
        engine = session.engine
        life = None if min_life is None else timedelta(seconds=min_life)
        found = session.finish(lambda: engine.accounts.token(account, min_life=life, rejected=rejected))
        told = found.to_json()
        value = found.header_value.reveal() if found.header_value else f"Bearer {found.token.reveal()}"
        line = f"{found.header_name}: {value}"
    if session.json:
        session.document(told)
    else:
        session.exactly(line if header else told["token"])
