"""`keyfob jwk`: the private keys of confidential clients, and their public keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from keyfob.cli import words
from keyfob.cli.options import _complete_providers, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.through_agent import through_agent
from keyfob.client import running_agent
from keyfob.core.times import from_rfc3339
from keyfob.core.words import MADE_ALGORITHMS, MadeAlgorithm

if TYPE_CHECKING:
    from keyfob.core.provider import Provider


@click.group(short_help="Manage the private keys of confidential clients.")
def jwk() -> None:
    """Manage private keys for apps that authenticate with a key (private_key_jwt) instead of a secret.

    Keyfob creates the keys and saves them in your keychain. The provider gets only the public keys.

    \b
    Examples:
      keyfob jwk generate --provider work
      keyfob jwk export --provider work > jwks.json
    """


@jwk.command(short_help="Create a key.")
@click.option("--alg", type=click.Choice(MADE_ALGORITHMS), default="ES256", show_default=True)
@click.option(
    "--provider",
    metavar="ID",
    shell_complete=_complete_providers,
    help="Use the key at this provider, starting with the next sign-in.",
)
@json_option
@pass_session
def generate(session: Session, alg: MadeAlgorithm, provider: str | None) -> None:
    """Create a private key in the keychain. Accounts that use an older key of the provider keep it.

    The provider's preset must contain `auth = "private_key_jwt"` in its `[client]` table. `keyfob providers
    add --client-auth private_key_jwt` writes it.

    \b
    Example:
      keyfob providers add work --issuer https://id.example.org --client-id keyfob --client-auth private_key_jwt
      keyfob jwk generate --provider work
    """  # fmt: skip  # noqa: E501 - an example is one line, to copy
    preset = session.engine.providers.get(provider) if provider is not None else None
    key = through_agent(session, lambda: running_agent.generate_key(alg, provider))
    if key is None:
        keys = session.engine.client_keys
        key = session.finish(lambda: keys.generate(alg, provider)).to_json()
    if session.json:
        session.document(key)
        return
    session.say(f"Created {key['kid']} ({key['alg']})")
    session.note("To print its public key for the provider, run: keyfob jwk export")
    if preset is None or preset.client.auth == "private_key_jwt":
        return
    if "atproto" in preset.methods:
        session.note("Keyfob uses a public client at atproto servers, so it does not use this key there.")
    else:
        session.note(
            f"The preset {preset.id} does not use a key yet. In its [client] table, set auth = "
            f'"private_key_jwt" and alg = "{alg}"{_how_to_edit(preset)}.'
        )


@jwk.command("list", short_help="List the keys.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the keys with their provider, creation time, and the accounts that use them.

    \b
    Example:
      keyfob jwk list
    """
    answer = through_agent(session, running_agent.keys)
    if answer is None:
        keys = session.engine.client_keys
        answer = {"keys": [key.to_json() for key in session.finish(keys.all)]}
    if session.json:
        session.document(answer)
        return
    if not answer["keys"]:
        session.say("There are no keys yet. To create one, run: keyfob jwk generate --provider PROVIDER")
        return
    now = session.now()
    rows = [
        (
            key["kid"],
            key["alg"],
            f"{key['provider'] or '-'}{' (current)' if key['current'] else ''}",
            words.moment(from_rfc3339(key["created_at"]), now),
            ", ".join(key["accounts"]) or "-",
        )
        for key in answer["keys"]
    ]
    for line in words.table(rows, ("KEY", "ALG", "PROVIDER", "MADE", "USED BY")):
        session.say(line)


@jwk.command(short_help="Print the public JWKS.")
@click.option(
    "--provider", metavar="ID", shell_complete=_complete_providers, help="This provider's keys only."
)
@json_option
@pass_session
def export(session: Session, provider: str | None) -> None:
    """Print the public keys as a JWKS document, with or without --json. Private keys are never printed.

    \b
    Example:
      keyfob jwk export > jwks.json
    """
    if provider is not None:
        session.engine.providers.get(provider)
    session.document(session.engine.client_keys.published(provider))


@jwk.command(short_help="Delete a key.")
@click.argument("kid", metavar="KEY")
@click.option(
    "--force",
    is_flag=True,
    help="Delete the key even if accounts use it. You must then sign in to them again.",
)
@json_option
@pass_session
def remove(session: Session, kid: str, force: bool) -> None:
    """Delete KEY. The start of its name is enough if only one key matches.

    \b
    Example:
      keyfob jwk remove 5hXa
    """
    key = through_agent(session, lambda: running_agent.remove_key(kid, force=force))
    if key is None:
        keys = session.engine.client_keys
        key = session.finish(lambda: keys.remove(kid, force=force)).to_json()
    if session.json:
        session.document(key)
        return
    session.say(f"Removed {key['kid']}")


def _how_to_edit(preset: Provider) -> str:
    """For a preset that comes with Keyfob: where to change it."""
    if preset.origin == "user":
        return ""
    return f', in your own preset that begins with extends = "{preset.id}"'
