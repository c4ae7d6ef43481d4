"""`keyfob web-keys`: the private keys with which a server signs users in to web applications."""

from __future__ import annotations

import click

from keyfob.cli import words
from keyfob.cli.gateway_database import database_url
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.words import MADE_ALGORITHMS, MadeAlgorithm
from keyfob.gateway.packages import check_packages
from keyfob.service.sign_in.client_keys import WEB


@click.group("web-keys", short_help="Manage the client keys of web sign-in.")
def web_keys() -> None:
    """Manage the private keys with which keyfob serve --public-url proves itself to providers.

    The keys are in your keychain. The newest one signs from 15 minutes after it was made, when servers have
    read it. A session needs the key that it began with, so older keys stay until you retire them.

    \b
    Examples:
      keyfob web-keys new
      keyfob web-keys list
    """


@web_keys.command(short_help="Create a key.")
@click.option("--alg", type=click.Choice(MADE_ALGORITHMS), default="ES256", show_default=True)
@json_option
@pass_session
def new(session: Session, alg: MadeAlgorithm) -> None:
    """Create a key. Restart keyfob serve to publish it. atproto servers such as Bluesky need ES256.

    \b
    Example:
      keyfob web-keys new
    """
    keys = session.engine.client_keys
    key = session.finish(lambda: keys.generate(alg, WEB))
    if session.json:
        session.document(key.to_json())
        return
    session.say(f"Created {key.kid} ({key.alg})")
    session.note("Restart keyfob serve to publish it. It signs from 15 minutes after now.")


@web_keys.command("list", short_help="List the keys.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the keys, newest first, with the number of sessions that need each.

    \b
    Example:
      keyfob web-keys list
    """
    bound = _bound()
    keys = list(reversed(session.engine.client_keys.all(WEB)))
    if session.json:
        rows = [{**key.to_json(), "sessions": bound.get(key.kid, 0)} for key in keys]
        session.document({"keys": rows})
        return
    if not keys:
        session.say("There are no keys yet. To create one, run: keyfob web-keys new")
        return
    now = session.now()
    table = [
        (key.kid, key.alg, words.moment(key.created_at, now), str(bound.get(key.kid, 0))) for key in keys
    ]
    for line in words.table(table, ("KEY", "ALG", "MADE", "SESSIONS")):
        session.say(line)


@web_keys.command(short_help="Delete a key.")
@click.argument("kid", metavar="KEY")
@click.option("--force", is_flag=True, help="Delete the key even if sessions need it. They end.")
@json_option
@pass_session
def retire(session: Session, kid: str, force: bool) -> None:
    """Delete KEY. The start of its name is enough if only one key matches. Restart keyfob serve after it.

    \b
    Example:
      keyfob web-keys retire 5hXa
    """
    check_packages()
    from keyfob.gateway.web.bound import refuse_needed

    keys = session.engine.client_keys
    found = keys.one(kid, WEB)
    if not force:
        refuse_needed(found.kid, _bound())
    session.finish(lambda: keys.remove(found.kid, WEB))
    if session.json:
        session.document(found.to_json())
        return
    session.say(f"Removed {found.kid}")


def _bound() -> dict[str, int]:
    check_packages()
    from keyfob.gateway.web.bound import bound_sessions

    return bound_sessions(database_url())
