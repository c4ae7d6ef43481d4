"""`keyfob connect`: signs in to a provider and keeps the account connected."""

from __future__ import annotations

import click

from keyfob.cli.options import SignInOptions, json_option, pass_session, provider_argument, sign_in_options
from keyfob.cli.session import Session
from keyfob.cli.signing_in import print_result, request_for, sign_in
from keyfob.core.errors import Transient
from keyfob.core.text import label_from, plain


@click.command(short_help="Sign in to a provider and keep the account connected.")
@provider_argument
@click.option(
    "--label", metavar="L", help="Name a new account PROVIDER/L. Default: your name at the provider."
)
@sign_in_options
@json_option
@pass_session
def connect(session: Session, provider: str, label: str | None, options: SignInOptions) -> None:
    """Sign in to PROVIDER and keep the account connected.

    Opens the provider's page in your browser, waits until you have signed in, and saves the tokens in your
    keychain. Keyfob then renews them automatically. Press Ctrl-C to cancel (exit 6).

    $BROWSER can name the browser's command, with %s for the address. Otherwise Keyfob opens your default
    browser. Progress goes to stderr. stdout gets the account when it is connected.

    \b
    Examples:
      keyfob connect github
      keyfob connect google --access mail --access calendar
      keyfob connect mastodon --input instance=fosstodon.org
      keyfob connect openai --method api_key --api-key-stdin < key.txt
      keyfob connect google --client-id 123.apps.example --no-browser
    """
    preset = session.engine.providers.get(provider)
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
    if label is not None and view.label != label_from(label):
        # Another label would be another id, which tools may ask for by now.
        session.note(
            f"This account was already connected as {view.id}, so Keyfob did not use the label "
            f"{plain(label, 64)}."
        )
        session.note(f"To change the label, run: keyfob rename {view.id} {label_from(label)}")
