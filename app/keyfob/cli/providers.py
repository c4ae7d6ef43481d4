"""`keyfob providers`: lists and shows providers, and checks a preset file. Its other commands have files of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from keyfob.cli import words
from keyfob.cli.new_provider import add, new
from keyfob.cli.options import json_option, pass_session, provider_argument
from keyfob.cli.preset_file import check_all, read_preset
from keyfob.cli.provider_report import report
from keyfob.cli.provider_summary import summary
from keyfob.cli.session import Session
from keyfob.cli.try_provider import try_
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.provider import Access, Provider
from keyfob.core.text import plain


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
        ("Client id", _client_words(preset)),
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


@providers.command(short_help="Check a preset file, or all presets.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@pass_session
def check(session: Session, file: Path | None) -> None:
    """Check the preset FILE, or all presets, Keyfob's and your own. For each error, print its key and what it
    should be. Exits with 8 if there is an error.

    \b
    Examples:
      keyfob providers check my-server.toml
      keyfob providers check
    """
    if file is None:
        count = check_all(session)
        if session.json:
            session.document({"ok": True, "faults": [], "presets": count})
        else:
            session.say(f"All {count} presets are valid.")
        return
    preset = read_preset(session, file)
    if session.json:
        names = [each.id for each in preset.access]
        session.document({"file": str(file), "ok": True, "faults": [], "access": names})
        return
    session.say(f"{file.name} is valid.")
    for each in preset.access:
        session.say(f"  {each.id}: {plain(each.title, 60)} ({' '.join(each.scopes)})")


providers.add_command(add)
providers.add_command(new)
providers.add_command(try_)
providers.add_command(report)

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


def _client_words(provider: Provider) -> str:
    if not provider.publisher:
        return POLICY_WORDS[provider.policy.client_id]
    named = ", ".join(words.METHOD_WORDS[method] for method in provider.publisher)
    return f"comes with this build of Keyfob ({named})"


def _remark(provider: Provider) -> str:
    if provider.category == "demo":
        return "while `keyfob demo` runs"
    if provider.policy.blocked:
        return "not allowed by the provider's terms"
    if provider.needs_own_app(provider.methods[0]):
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
