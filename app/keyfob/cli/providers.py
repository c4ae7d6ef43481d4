"""`keyfob providers`: lists and shows providers, checks a preset file, and writes a new one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyfob.cli import words
from keyfob.cli.failure import FaultyError
from keyfob.cli.options import F, json_option, pass_session, provider_argument
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.methods import METHOD_FACTS, METHODS
from keyfob.core.provider import Access, Provider
from keyfob.core.text import plain

if TYPE_CHECKING:
    from keyfob.core.secret import Secret

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


@click.group(short_help="List, check and add providers.")
def providers() -> None:
    """List, check and add providers.

    Each provider is described by a preset, a TOML file. Keyfob includes presets, and you can add your own to
    the providers folder. Your own preset replaces one with the same id.

    \b
    Examples:
      keyfob providers list
      keyfob providers add work --issuer https://id.example.org --client-id keyfob
    """


@providers.command("list", short_help="List the providers.")
@json_option
@pass_session
def list_(session: Session) -> None:
    """List the providers, by title.

    \b
    Example:
      keyfob providers list --json | jq -r '.providers[] | select(.client_id_policy == "user").id'
    """
    catalogue = session.engine.providers
    found = catalogue.all()
    faults = catalogue.faults()
    if session.json:
        document: dict[str, Any] = {"providers": [summary(provider) for provider in found]}
        if faults:
            document["faults"] = [fault.to_json() for fault in faults]
        session.document(document)
    else:
        rows = [
            (p.id, p.title, ", ".join(words.METHOD_WORDS[m] for m in p.methods), _remark(p)) for p in found
        ]
        for line in words.table(rows, ("ID", "PROVIDER", "METHODS", "")):
            session.say(line)
    for fault in faults:
        session.note(f"Ignored: {fault.sentence()}")


@providers.command(short_help="Show one preset.")
@provider_argument
@json_option
@pass_session
def show(session: Session, provider: str) -> None:
    """Show the preset PROVIDER: its sign-in methods, client id, scopes, and the access that you can ask for.

    \b
    Example:
      keyfob providers show google
    """
    preset = session.engine.providers.get(provider)
    if session.json:
        session.document({**summary(preset), "preset": _plain(preset)})
        return
    session.say(f"{plain(preset.title, 60)}  ({preset.id})")
    pairs = [
        ("Methods", ", ".join(words.METHOD_WORDS[method] for method in preset.methods)),
        ("Issuer", preset.issuer or preset.issuer_template),
        ("Client id", POLICY_WORDS[preset.policy.client_id]),
        ("Register at", preset.policy.register_at),
        ("How", preset.policy.register_note),
        ("Redirect", redirect_of(preset, session.engine.settings.load().callback_port)),
        ("Scopes", " ".join(preset.scopes)),
        ("You enter", ", ".join(f"{entry.name} ({entry.title})" for entry in preset.inputs)),
        ("API", preset.api.base),
        ("Blocked", preset.policy.blocked),
        ("Not shared", None if preset.policy.share else preset.policy.share_reason),
        ("Terms", preset.policy.terms),
        ("Note", preset.policy.note),
        ("Documentation", preset.docs),
        ("Tested", TESTED_WORDS.get(preset.tested, preset.tested)),
        ("Facts of", preset.facts),
        ("File", "your own" if preset.origin == "user" else "comes with Keyfob"),
    ]
    for line in words.facts(pairs):
        session.say(f"  {line}")
    if preset.access:
        session.say("")
        session.say("  Access, for keyfob connect --access NAME:")
        rows = [(each.id, each.title, _remarks(each), " ".join(each.scopes)) for each in preset.access]
        for line in words.table(rows, ("NAME", "ALLOWS", "", "SCOPES")):
            session.say(f"    {line}")


def _remarks(access: Access) -> str:
    return "default" if access.default else access.risky or ""


@providers.command(short_help="Check a preset file.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_session
def check(session: Session, file: Path) -> None:
    """Check the preset FILE. For each error, print its key and what it should be. Exits with 8 if there is an
    error.

    \b
    Example:
      keyfob providers check my-server.toml
    """
    from keyfob.providers.catalogue import read_bounded

    try:
        data = read_bounded(file)
    except OSError as error:
        raise Usage(f"{file} cannot be read: {error.strerror}", remedy="Name a preset file.") from error
    faults = [fault.within(file.name) for fault in session.engine.providers.check(data)]
    if faults:
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        raise FaultyError(
            SettingWrong(
                f"{file.name} has {count}", code="preset_faulty", remedy="Correct the errors listed above."
            ),
            [
                plain(f"{file.name}: {fault.key or '(file)'}: {fault.problem}; {fault.should}", 600)
                for fault in faults
            ],
            {"faults": [fault.to_json() for fault in faults]},
        )
    preset = session.engine.providers.read(data)
    if session.json:
        names = [each.id for each in preset.access]
        session.document({"file": str(file), "ok": True, "faults": [], "access": names})
        return
    session.say(f"{file.name} is valid.")
    for each in preset.access:
        session.say(f"  {each.id}: {plain(each.title, 60)} ({' '.join(each.scopes)})")


def _endpoint_options(function: F) -> F:
    for name, text in reversed(OPTION_OF.items()):
        function = click.option("--" + name.replace("_", "-"), name, metavar="URL", help=text)(function)
    return function


@providers.command(short_help="Write a preset for a server.")
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
@click.option("--replace", is_flag=True, help="Replace your own preset with this id.")
@_endpoint_options
@json_option
@pass_session
def add(session: Session, /, provider_id: str, client_secret_stdin: bool, **given: object) -> None:
    """Write the preset ID for any OpenID Connect or OAuth 2.0 server. Keyfob reads the server's discovery
    document.

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

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", provider_id):
        raise Usage(
            f"{provider_id!r} is not a provider id",
            remedy="Use lower-case letters, digits and single hyphens.",
        )
    secret: Secret | None = None
    if client_secret_stdin:
        if not options["client_id"]:
            raise Usage("--client-secret-stdin needs --client-id")
        secret = session.secret_from_stdin("--client-secret-stdin", "Client secret")
    endpoints = {name: url for name in OPTION_OF if (url := options.pop(name))}
    engine = session.engine
    new = NewPreset(id=provider_id, client_secret=secret, endpoints=endpoints, **options)
    added = session.finish(lambda: engine.presets.add(new))
    if session.json:
        session.document({**summary(added.provider), "file": str(added.path)})
        return
    session.say(f"Added {added.provider.id}: {added.path}")
    if added.provider.client.auth == "private_key_jwt":
        session.note(f"To create its key, run: keyfob jwk generate --provider {added.provider.id}")
    session.note(f"To connect, run: keyfob connect {added.provider.id}")


POLICY_WORDS = {
    "keyfob": "Keyfob's own",
    "user": "your own: register an app at the provider",
    "dynamic": "registered automatically at the first sign-in",
    "none": "not needed",
}
TESTED_WORDS = {
    "live": "with the provider itself",
    "software": "with the same software",
    "documentation": "from its documentation",
}


def summary(provider: Provider) -> dict[str, Any]:
    """A provider's line of `providers list --json`."""
    return {
        "id": provider.id,
        "title": provider.title,
        "category": provider.category,
        "methods": list(provider.methods),
        "client_id_policy": provider.policy.client_id,
        "needs_registration": provider.policy.client_id == "user" and provider.client.client_id is None,
        "blocked": provider.policy.blocked,
        "share": provider.policy.share,
        "inputs": [
            {"name": entry.name, "title": entry.title, "example": entry.example, "default": entry.default}
            for entry in provider.inputs
        ],
        "access": [
            {
                "id": each.id,
                "title": each.title,
                "allows": each.allows,
                "scopes": list(each.scopes),
                "default": each.default,
                "risky": each.risky,
            }
            for each in provider.access
        ],
        "tested": provider.tested,
        "facts": provider.facts,
        "origin": provider.origin,
        "docs": provider.docs,
    }


def redirect_of(provider: Provider, setting_port: int) -> str | None:
    """The redirect URI to register with the provider; None if no browser comes back."""
    redirect = provider.redirect
    if not any(METHOD_FACTS[method].comes_back for method in provider.methods):
        return None
    if redirect.uri:
        return redirect.uri
    host = f"[{redirect.host}]" if ":" in redirect.host else redirect.host
    match redirect.port:
        case "setting":
            return f"http://{host}:{setting_port}{redirect.path}"
        case "any":
            return f"http://{host}{redirect.path} (any port)"
    return ", ".join(f"http://{host}:{port}{redirect.path}" for port in redirect.ports)


def _remark(provider: Provider) -> str:
    if provider.category == "demo":
        return "while `keyfob demo` runs"
    if provider.policy.blocked:
        return "not allowed by the provider's terms"
    if (
        provider.policy.client_id == "user"
        and provider.client.client_id is None
        and METHOD_FACTS[provider.methods[0]].needs_client
    ):
        return "needs your own app registration"
    return "your own preset" if provider.origin == "user" else ""


def _plain(value: object) -> object:
    """A preset's value as JSON can carry it, without what is not set."""
    if is_dataclass(value):
        value = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    if isinstance(value, Mapping):
        entries = {str(key): _plain(entry) for key, entry in value.items()}
        return {key: entry for key, entry in entries.items() if entry not in (None, [], {}, "")}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
