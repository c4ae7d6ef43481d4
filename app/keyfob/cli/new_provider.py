"""`keyfob providers add` and `keyfob providers new`: write a preset for a server."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from keyfob.cli.options import F, json_option, pass_session
from keyfob.cli.provider_summary import summary
from keyfob.cli.session import Session
from keyfob.cli.through_agent import keep_client_at_agent
from keyfob.core.errors import KeyfobError, SignInEnded, Usage
from keyfob.core.methods import METHODS
from keyfob.core.secret import Secret
from keyfob.core.text import plain

if TYPE_CHECKING:
    from keyfob.core.provider import Server
    from keyfob.service.new_presets import NewPreset

ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

FORMATS = ("openai_chat", "openai_responses", "anthropic_messages")
OPTION_OF = {
    "authorization_endpoint": "The authorization endpoint, if the discovery document does not contain it.",
    "token_endpoint": "The token endpoint, if the discovery document does not contain it.",
    "userinfo_endpoint": "The userinfo endpoint.",
    "jwks_uri": "The address of the keys for ID tokens.",
    "revocation_endpoint": "The revocation endpoint (RFC 7009).",
    "device_authorization_endpoint": "The device authorization endpoint (RFC 8628).",
    "pushed_authorization_request_endpoint": "The pushed authorization request endpoint (RFC 9126).",
    "registration_endpoint": "The client registration endpoint (RFC 7591).",
}


def _formats(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for entry in given:
        name, equals, url = entry.partition("=")
        if name not in FORMATS or not equals:
            raise Usage(
                f"{plain(entry, 80)!r} does not name a format and its address",
                remedy=f"Write it as {FORMATS[0]}=https://…. The formats are {', '.join(FORMATS)}.",
            )
        found[name] = url
    return found


def _api_options(function: F) -> F:
    function = click.option("--format", "formats", multiple=True, metavar="FORMAT=URL", callback=_formats,
        help="A format of LLM requests that the API speaks, and the address that its paths begin with. "
        "Repeatable.")(function)  # fmt: skip
    function = click.option("--api-host", "api_hosts", multiple=True, metavar="HOST",
        help="Another host that the token may be sent to. Repeatable.")(function)  # fmt: skip
    return click.option("--api-base", metavar="URL",
        help="The API's address. Keyfob sends the token to its host.")(function)  # fmt: skip


def _endpoint_options(function: F) -> F:
    for name, text in reversed(OPTION_OF.items()):
        function = click.option("--" + name.replace("_", "-"), name, metavar="URL", help=text)(function)
    return function


@click.command(short_help="Write a preset for a server.")
@click.argument("provider_id", metavar="ID")
@click.option("--issuer", metavar="URL", help="The server's issuer. Keyfob reads the rest from its metadata.")
@click.option("--client-id", metavar="ID", help="The client id of your app registration.")
@click.option(
    "--client-secret-stdin",
    is_flag=True,
    help="Read the client secret from stdin and save it in the keychain.",
)
@click.option(
    "--client-auth",
    type=click.Choice(["client_secret_basic", "client_secret_post", "private_key_jwt"]),
    help="How the app authenticates: how it sends the secret, or private_key_jwt for a key (see keyfob "
    "jwk). Default: as the server says.",
)
@click.option("--register", is_flag=True, help="Register a client automatically at each sign-in (RFC 7591).")
@click.option("--title", metavar="T", help="The name to show. Default: ID.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="Request this scope. Repeatable. Default: the scopes that OpenID Connect needs.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(METHODS),
    help="How to sign in. Repeatable. Default: what the server offers.",
)
@click.option(
    "--redirect-host",
    type=click.Choice(["127.0.0.1", "localhost", "::1"]),
    default="127.0.0.1",
    show_default=True,
    help="The redirect's host.",
)
@click.option(
    "--redirect-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="The redirect's port, or 0 for any free port. Default: the port in the settings (9876).",
)
@click.option(
    "--redirect-path", default="/callback", show_default=True, metavar="P", help="The redirect's path."
)
@click.option(
    "--whoami-url",
    metavar="URL",
    help="The address that says who a token belongs to, if there is no userinfo endpoint.",
)
@click.option(
    "--subject-field", metavar="PATH", help="The field in its answer with an id that never changes."
)
@_api_options
@click.option("--resource", metavar="URI", help="What the token is for (RFC 8707), if the server asks.")
@click.option("--replace", is_flag=True, help="Replace the preset with this id, your own or Keyfob's.")
@_endpoint_options
@json_option
@pass_session
def add(session: Session, /, provider_id: str, client_secret_stdin: bool, **given: object) -> None:
    """Write the preset ID for any OpenID Connect or OAuth 2.0 server. Keyfob reads the server's discovery
    document. `keyfob providers new` asks for the same things one by one.

    First register an app at the server with the redirect http://127.0.0.1:9876/callback, and copy its client
    id. You can edit the preset file afterwards.

    \b
    Examples:
      keyfob providers add work --issuer https://id.example.org --client-id keyfob
      keyfob providers add old --client-id 42 --authorization-endpoint https://a.example/auth \\
        --token-endpoint https://a.example/token --whoami-url https://a.example/me
    """  # fmt: skip
    from keyfob.service.new_presets import NewPreset

    options: dict[str, Any] = given
    _check_id(provider_id)
    secret: Secret | None = None
    if client_secret_stdin:
        if not options["client_id"]:
            raise Usage("--client-secret-stdin needs --client-id")
        secret = session.secret_from_stdin("--client-secret-stdin", "Client secret")
    endpoints = {name: url for name in OPTION_OF if (url := options.pop(name))}
    options["replace"] = _may_replace(session, provider_id, bool(options["replace"]))
    _write(session, NewPreset(id=provider_id, client_secret=secret, endpoints=endpoints, **options))


@click.command(short_help="Write a preset by answering a few questions.")
@click.argument("provider_id", metavar="[ID]", required=False)
@click.option("--title", metavar="T", help="The name to show.")
@click.option("--issuer", metavar="URL", help="The server's issuer. Keyfob reads the rest from its metadata.")
@click.option("--authorization-endpoint", metavar="URL", help="The authorization endpoint, without --issuer.")
@click.option("--token-endpoint", metavar="URL", help="The token endpoint, without --issuer.")
@click.option("--client-id", metavar="ID", help="The client id of your app registration.")
@click.option(
    "--client-secret-stdin",
    is_flag=True,
    help="Read the client secret from stdin and save it in the keychain.",
)
@click.option("--scope", "scopes", multiple=True, metavar="S", help="Request this scope. Repeatable.")
@click.option("--whoami-url", metavar="URL", help="The address that says who a token belongs to.")
@click.option(
    "--subject-field", metavar="PATH", help="The field in its answer with an id that never changes."
)
@_api_options
@click.option("--replace", is_flag=True, help="Replace the preset with this id, your own or Keyfob's.")
@json_option
@pass_session
def new(session: Session, /, provider_id: str | None, client_secret_stdin: bool, **given: object) -> None:
    """Ask for what Keyfob needs to know about a server, and write the preset ID to your providers folder.

    Options answer questions in advance. With --json, or without a terminal, nothing is asked: ID, the server
    and --client-id are then required.

    \b
    Examples:
      keyfob providers new
      keyfob providers new work --issuer https://id.example.org --client-id keyfob --json
    """
    from keyfob.service.new_presets import NewPreset

    options: dict[str, Any] = given
    asks = sys.stdin.isatty() and not session.json and not client_secret_stdin
    secret = (
        session.secret_from_stdin("--client-secret-stdin", "Client secret") if client_secret_stdin else None
    )
    if not asks:
        _require_all(provider_id, options)
    provider_id = provider_id or _ask("Id (letters, digits and hyphens)", _id_fault)
    _check_id(provider_id)
    options["replace"] = _may_replace(session, provider_id, bool(options["replace"]))
    if asks:
        secret = _ask_all(session, provider_id, options)
    names = ("authorization_endpoint", "token_endpoint")
    endpoints = {name: url for name in names if (url := options.pop(name))}
    _write(session, NewPreset(id=provider_id, client_secret=secret, endpoints=endpoints, **options))


def _require_all(provider_id: str | None, options: dict[str, Any]) -> None:
    server = options["issuer"] or (options["authorization_endpoint"] and options["token_endpoint"])
    missing = [
        name
        for name, given in (
            ("ID", provider_id),
            ("--issuer (or --authorization-endpoint and --token-endpoint)", server),
            ("--client-id", options["client_id"]),
        )
        if not given
    ]
    if missing:
        raise Usage(
            "Keyfob cannot ask questions without a terminal",
            remedy=f"Add {', '.join(missing)}, or run the command in a terminal.",
        )


def _ask_all(session: Session, provider_id: str, options: dict[str, Any]) -> Secret | None:
    """Ask for everything that the options leave open. Returns the client secret, if there is one."""
    options["title"] = options["title"] or _ask("Title", _line_fault, default=provider_id)
    userinfo = _ask_server(session, options)
    secret: Secret | None = None
    if not options["client_id"]:
        port = session.engine.settings.current().callback_port
        session.note(f"Register an app at the server, with the redirect http://127.0.0.1:{port}/callback")
        options["client_id"] = _ask("Client id of your app registration", _line_fault)
        text = click.prompt(
            "Client secret (empty: none)", hide_input=True, err=True, default="", show_default=False
        )
        secret = Secret(text.strip()) if text.strip() else None
    if not options["scopes"]:
        wanted = "openid profile email" if userinfo else ""
        options["scopes"] = tuple(_ask("Scopes, separated by spaces", default=wanted).split())
    if not options["whoami_url"]:
        usual = "empty: the server's userinfo endpoint" if userinfo else "empty: unknown"
        options["whoami_url"] = _ask(f"Address that says who signed in ({usual})", _url_fault, default="")
        if options["whoami_url"] and not options["subject_field"]:
            options["subject_field"] = _ask("Field in its answer with an id that never changes", default="id")
    if not options["api_base"]:
        options["api_base"] = _ask("Address of the API (empty: none)", _url_fault, default="")
    for name in ("whoami_url", "subject_field", "api_base"):
        options[name] = options[name] or None
    return secret


def _ask_server(session: Session, options: dict[str, Any]) -> bool:
    """Ask for the issuer, or for the endpoints if the server has no metadata. Returns whether the server says
    who signed in.
    """
    found = _metadata(session, options["issuer"]) if options["issuer"] else None
    while not options["issuer"] and not options["token_endpoint"]:
        issuer = _ask("Address of the server (empty: it has no discovery document)", _url_fault, default="")
        if not issuer:
            break
        found = _metadata(session, issuer)
        options["issuer"] = issuer if found is not None else None
    if options["issuer"]:
        return found is not None and found.endpoints.userinfo_endpoint is not None
    for name, title in (("authorization_endpoint", "Authorization"), ("token_endpoint", "Token")):
        options[name] = options[name] or _ask(f"{title} endpoint", _url_fault)
    return False


def _metadata(session: Session, issuer: str) -> Server | None:
    """What the server says about itself; None if it says nothing that can be used, which the user has read
    then.
    """
    try:
        found = session.finish(lambda: session.engine.presets.metadata(issuer))
    except KeyfobError as error:
        session.note(f"{error.full_message().rstrip('.')}.")
        return None
    if found is None:
        session.note(f"{plain(issuer, 120)} has no discovery document.")
    return found


def _ask(
    question: str, fault: Callable[[str], str | None] | None = None, *, default: str | None = None
) -> str:
    """A line from the terminal. Asks again while `fault` says what is wrong with it."""
    while True:
        answer = str(click.prompt(question, err=True, default=default, show_default=bool(default))).strip()
        wrong = fault(answer) if fault is not None and (answer or default is None) else None
        if wrong is None:
            return answer
        click.echo(f"{wrong[:1].upper()}{wrong[1:]}. Try again.", err=True)


def _id_fault(text: str) -> str | None:
    return None if ID.fullmatch(text) else "use lower-case letters, digits and single hyphens"


def _url_fault(text: str) -> str | None:
    from keyfob.protocol.http.urls import fault_of

    return fault_of(text)


def _line_fault(text: str) -> str | None:
    return None if text and text.isprintable() else "enter one line of text"


def _check_id(provider_id: str) -> None:
    if not ID.fullmatch(provider_id):
        raise Usage(
            f"{provider_id!r} is not a provider id",
            remedy="Use lower-case letters, digits and single hyphens.",
        )


def _may_replace(session: Session, provider_id: str, replace: bool) -> bool:
    """Whether to replace a preset of this id. On a terminal the user is asked if there is one. Raises
    SignInEnded if the answer is no.
    """
    in_the_way = session.engine.presets.in_the_way(provider_id)
    if replace or in_the_way is None or session.json or not sys.stdin.isatty():
        return replace
    session.note(f"{plain(in_the_way, 200)}.")
    if not click.confirm("Replace it?", err=True):
        raise SignInEnded("Nothing was changed", remedy="Choose another id.")
    return True


def _write(session: Session, wanted: NewPreset) -> None:
    keep = partial(keep_client_at_agent, session)
    added = session.finish(lambda: session.engine.presets.add(wanted, keep_client=keep))
    if session.json:
        session.document({**summary(added.provider), "file": str(added.path)})
        return
    session.say(f"Added {added.provider.id}: {added.path}")
    if added.provider.client.auth == "private_key_jwt":
        session.note(f"To create its key, run: keyfob jwk generate --provider {added.provider.id}")
    session.note(f"To see the sign-in without the server, run: keyfob providers try {added.provider.id}")
    session.note(f"To connect, run: keyfob connect {added.provider.id}")
