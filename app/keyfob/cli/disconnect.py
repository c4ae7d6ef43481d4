"""`keyfob disconnect`: forget the grant and revoke it; the account stays."""

from __future__ import annotations

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session

REVOKED_WORDS = {
    "yes": "The provider confirmed that it is revoked.",
    "pending": "The provider could not be told yet; Keyfob goes on trying.",
    "unsupported": "The provider was not told: it has no way to revoke, or you asked for --local.",
}


@click.command(short_help="Forget an account's grant and revoke it at the provider.")
@account_argument
@click.option("--local", is_flag=True, help="Forget it here only, without telling the provider.")
@json_option
@pass_session
def disconnect(session: Session, account: str, local: bool) -> None:
    """Forget the grant of ACCOUNT here, at once, and revoke it at the provider.

    The account stays in the list, ready for `keyfob reconnect`. Exit 0 once it is forgotten here; the last word
    tells whether the provider confirmed the revocation (in JSON `revoked`: yes, pending or unsupported).

    \b
    Example:
      keyfob disconnect github
    """
    engine = session.engine
    name = engine.accounts.view(account).id
    ended = session.finish(lambda: engine.accounts.disconnect(account, local=local))
    if session.json:
        session.document({"id": name, **ended.to_json()})
        return
    session.say(f"Disconnected {name}. {REVOKED_WORDS[ended.revoked]}")
