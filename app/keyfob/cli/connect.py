"""`keyfob connect`: signs in to a provider and keeps the account connected."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from keyfob.cli.options import SignInOptions, json_option, pass_session, provider_argument, sign_in_options
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.server_accounts import accounts_at, kept_at, name_of
from keyfob.cli.session import Session
from keyfob.cli.signing_in import print_result, request_for, sign_in
from keyfob.cli.words import who
from keyfob.core.errors import SignInEnded, Transient, Usage
from keyfob.core.provider import Provider
from keyfob.core.text import label_from, plain


@click.command(short_help="Sign in to a provider and keep the account connected.")
@provider_argument
@click.option(
    "--label", metavar="L", help="Name a new account PROVIDER/L. Default: your name at the provider."
)
@click.option("--yes", "-y", is_flag=True, help="Trust a server that signs in at another site.")
@click.option("--tenant", metavar="NAME", help="With --server: the tenant that the account belongs to.")
@sign_in_options
@json_option
@pass_session
@server_options
def connect(
    session: Session,
    server: RemoteServer | None,
    provider: str,
    label: str | None,
    yes: bool,
    tenant: str | None,
    options: SignInOptions,
) -> None:
    """Sign in to PROVIDER and keep the account connected. PROVIDER is an id from `keyfob providers list`, or
    the address of a server that names its authorization server, such as an MCP server.

    Opens the provider's page in your browser, waits until you have signed in, and saves the tokens in your
    keychain. Keyfob then renews them automatically. Press Ctrl-C to cancel (exit 6).

    $BROWSER can name the browser's command, with %s for the address. Otherwise Keyfob opens your default
    browser. Progress goes to stderr. stdout gets the account when it is connected.

    With --server, a gateway gets the account. You sign in with your own browser, and nothing stays on this
    computer.

    \b
    Examples:
      keyfob connect github
      keyfob connect google --access mail --access calendar
      keyfob connect mastodon --input instance=fosstodon.org
      keyfob connect openai --method api_key --api-key-stdin < key.txt
      keyfob connect google --client-id 123.apps.example --no-browser
      keyfob connect https://mcp.example.com/mcp
      keyfob connect github --server https://gateway.example.com
    """
    at = provider if "://" in provider else None
    preset = (
        session.engine.providers.get(provider) if at is None else _preset_at(session, at, options, yes=yes)
    )
    if server is not None:
        _connect_at(session, server, preset, options, label, tenant)
        return
    if tenant is not None:
        raise Usage("--tenant needs --server")
    request = request_for(session, preset, options, label=label)
    try:
        view = sign_in(session, request)
    except Transient as error:
        if preset.category == "demo" and error.code == "network_unreachable":
            raise Transient(
                f"{preset.title} is not running", code=error.code, remedy="To start it, run: keyfob demo"
            ) from error
        raise
    print_result(session, view, again=False)
    if at is not None and not session.json:
        session.note(f"To use it in an MCP client, run: keyfob wire mcp {view.id} --server NAME")
    if label is not None and view.label != label_from(label):
        # Another label would be another id, which tools may ask for by now.
        session.note(
            f"This account was already connected as {view.id}, so Keyfob did not use the label "
            f"{plain(label, 64)}."
        )
        session.note(f"To change the label, run: keyfob rename {view.id} {label_from(label)}")


def _connect_at(
    session: Session,
    server: RemoteServer,
    preset: Provider,
    options: SignInOptions,
    label: str | None,
    tenant: str | None,
) -> None:
    # Before the browser opens: a server that cannot be reached, or that does not know the key, is reported.
    accounts_at(server)
    # The label is the server's to give: an account of this computer may have the same.
    request = request_for(session, preset, options)
    view = sign_in(session, request, kept_at(session, server, label, tenant))
    if session.json:
        session.document(view.to_json())
        return
    session.say(f"Connected as {who(view)} on {name_of(server)}: {view.id}")
    session.note(f"To give a program access, run: keyfob grants create {view.id} --server {server.url}")


def _agree(session: Session, host: str, issuer: str) -> None:
    """Asks before a token of one site goes to another. Raises Usage if the user cannot be asked, SignInEnded
    if the answer is no.
    """
    host, issuer = plain(host, 120), plain(issuer, 120)
    session.note(
        f"{host} has you sign in at {issuer}, which is another site. Your token then goes to {host}."
    )
    if session.json or not sys.stdin.isatty():
        raise Usage(f"{host} signs in at another site", remedy=f"If you trust {host}, add --yes.")
    if not click.confirm(f"Do you trust {host}?", err=True):
        raise SignInEnded("Nothing was changed", remedy="Try again when you are ready.")


def _preset_at(session: Session, url: str, options: SignInOptions, *, yes: bool) -> Provider:
    """The preset for the server at this address: one that is there already, or a new one."""
    servers = session.engine.resource_servers
    known = servers.known(url)
    if known is not None:
        return known
    looked = servers.look(url)
    if looked.elsewhere and not yes:
        _agree(session, urlsplit(url).netloc, urlsplit(looked.issuer).netloc)
    settings = session.engine.settings.load()
    added = session.finish(lambda: servers.add(looked, client_id=options.client_id, settings=settings))
    session.note(f"{plain(added.provider.title, 120)} signs in at {plain(added.provider.issuer, 200)}")
    session.note(f"Added {added.provider.id}: {added.path}")
    return added.provider
