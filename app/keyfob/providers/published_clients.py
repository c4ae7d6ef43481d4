"""The publisher's client ids: `clients.toml`, which comes with a build of Keyfob.

`read_clients` reads the file and reports all its faults at once, each with its line and what to do.
`published` puts an id into a preset: its users then need no app registration of their own for the methods
that the id is for. Called by the catalogue, and by build/freeze. Pure and thread-safe.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from urllib.parse import urlsplit

from keyfob.core import patterns
from keyfob.core.methods import METHOD_FACTS, METHODS, Method
from keyfob.core.provider import Input, Provider, RedirectProfile
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.core.words import RedirectHost
from keyfob.providers.schema_check import SECRET_KEYS, PresetFault

FILE = "clients.toml"
KEYS = ("client_id", "redirect", "scopes")
NO_SECRETS = (
    "leave it out: everybody who has a package can read what is in it (RFC 8252 section 8.5). Register a "
    "public client; if the provider has none, its users register an app themselves"
)
_HEADER = re.compile(r"\s*\[\s*([^\]#]+?)\s*\]\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class PublishedClient:
    """The publisher's registration at one provider. `scopes`: None if it may ask for all."""

    ids: Mapping[Method, str]
    redirect: RedirectProfile | None = None
    scopes: tuple[str, ...] | None = None


@dataclass
class _Reader:
    """One file. Faults are collected."""

    text: str
    faults: list[PresetFault] = field(default_factory=list)

    def fault(self, key: str, problem: str, should: str) -> None:
        line = _line_of(self.text, key)
        where = f"{FILE}, line {line}" if line else FILE
        self.faults.append(PresetFault(plain(key, 120), problem, should, where))


def can_be_published(provider: Provider) -> tuple[Method, ...]:
    """The methods of this preset that a publisher's client id can be for: no secret is needed, and the client
    is the same for all users.
    """
    return tuple(
        method
        for method in provider.methods
        if METHOD_FACTS[method].needs_client
        and not METHOD_FACTS[method].by_client
        and provider.secret_rule(method) != "required"
        and provider.client.auth != "private_key_jwt"
    )


def why_not(provider: Provider) -> str | None:
    """Why no client id can be published for this preset; None if one can."""
    title = provider.title
    if provider.policy.blocked:
        return f"the terms of {title} forbid it"
    if provider.policy.client_id != "user" or provider.client.client_id is not None:
        return f"{title} needs no app registration"
    if not any(METHOD_FACTS[m].needs_client and not METHOD_FACTS[m].by_client for m in provider.methods):
        return f"{title} has no sign-in method that needs a client id"
    if any(_names_server(provider, entry) for entry in provider.inputs):
        return f"users of {title} name their own server, and each server has its own registrations"
    if not can_be_published(provider):
        return f"{title} wants a client secret, and a published program cannot keep one"
    return None


def _names_server(provider: Provider, entry: Input) -> bool:
    """Whether users say by this input at which server they sign in."""
    named, ends = f"{{{entry.name}}}", provider.endpoints
    addresses = (
        provider.issuer,
        ends.authorization_endpoint,
        ends.device_authorization_endpoint,
        ends.token_endpoint,
    )
    hosts = (re.sub(r"^https?://|/.*$", "", address or "") for address in addresses)
    return entry.kind in ("host", "url") or any(named in host for host in hosts)


def read_clients(
    data: bytes, presets: Mapping[str, Provider]
) -> tuple[dict[str, PublishedClient], tuple[PresetFault, ...]]:
    """The clients by their preset's id, and all faults of the file. An entry with a fault is left out. Never
    raises for a bad file.
    """
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "is not UTF-8"
        return {}, (PresetFault("", f"is not TOML ({plain(reason, 160)})", "correct it", FILE),)
    reader = _Reader(text)
    found = {}
    for name, entry in table.items():
        before = len(reader.faults)
        made = _entry(reader, name, entry, presets)
        if made is not None and len(reader.faults) == before:
            found[name] = made
    return found, tuple(reader.faults)


def _entry(
    reader: _Reader, name: str, entry: object, presets: Mapping[str, Provider]
) -> PublishedClient | None:
    provider = presets.get(name)
    if provider is None:
        near = difflib.get_close_matches(name, presets, n=1)
        should = (
            f"did you mean {near[0]}?" if near else "it should be the id of a preset: keyfob providers list"
        )
        reader.fault(name, "is not a preset of Keyfob", should)
        return None
    if not isinstance(entry, dict):
        reader.fault(name, "is not a table", f'write [{name}] and below it client_id = "…"')
        return None
    reason = why_not(provider)
    if reason is not None:
        reader.fault(name, "cannot have a published client id", f"leave it out: {reason}")
        return None
    methods = {key: value for key, value in entry.items() if key in METHODS and isinstance(value, dict)}
    for key in entry:
        if key not in methods:
            _known(reader, f"{name}.{key}", key, (*KEYS, *can_be_published(provider)))
    ids = dict(_ids(reader, name, entry, methods, provider))
    scopes = _scopes(reader, name, entry, provider)
    redirect = _redirect(reader, name, entry, provider)
    if not ids and "client_id" not in entry and not methods:
        reader.fault(name, "has no client_id", 'add client_id = "…"')
    return PublishedClient(ids, redirect, scopes) if ids else None


def _known(reader: _Reader, key: str, name: str, allowed: tuple[str, ...]) -> None:
    if name in SECRET_KEYS or "secret" in name:
        reader.fault(key, "is a secret", NO_SECRETS)
    elif name not in allowed:
        reader.fault(key, "is not known", f"it should be one of {', '.join(allowed)}")


def _ids(
    reader: _Reader, name: str, entry: Mapping[str, Any], methods: Mapping[str, Any], provider: Provider
) -> Iterator[tuple[Method, str]]:
    usable = can_be_published(provider)
    without = [method for method in usable if provider.secret_rule(method) == "never"]
    if "client_id" in entry and _is_id(reader, f"{name}.client_id", entry["client_id"], provider):
        if not without:
            reader.fault(
                f"{name}.client_id",
                f"does not say that the app has no secret, and {provider.title} has both kinds",
                f"register a public client, and write its id below [{name}.{usable[0]}]",
            )
        yield from ((method, entry["client_id"]) for method in without)
    for method, table in methods.items():
        chosen = next((each for each in usable if each == method), None)
        if chosen is None:
            reader.fault(
                f"{name}.{method}",
                "cannot have a published client id",
                f"leave it out; {provider.title} can have one for {' and '.join(usable)}",
            )
            continue
        for key in table:
            _known(reader, f"{name}.{method}.{key}", key, ("client_id",))
        if "client_id" not in table:
            reader.fault(f"{name}.{method}", "has no client_id", 'add client_id = "…"')
        elif _is_id(reader, f"{name}.{method}.client_id", table["client_id"], provider):
            yield chosen, table["client_id"]


def _is_id(reader: _Reader, key: str, value: object, provider: Provider) -> bool:
    should = provider.client.id_hint or f"copy it from your app registration at {provider.title}"
    if not isinstance(value, str) or not value.strip():
        reader.fault(key, "is empty" if value == "" else "is not a text", should)
    elif not re.fullmatch(r"[\x21-\x7e]{1,512}", value):
        reader.fault(key, "has characters that no client id has", should)
    elif provider.client.id_pattern and not patterns.matches(provider.client.id_pattern, value):
        reader.fault(key, f"is not a client id of {provider.title}", should)
    else:
        return True
    return False


def _scopes(
    reader: _Reader, name: str, entry: Mapping[str, Any], provider: Provider
) -> tuple[str, ...] | None:
    value, key = entry.get("scopes"), f"{name}.scopes"
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        reader.fault(key, "is not a list of texts", 'it should be such as ["openid", "email"]')
        return None
    missing = [scope for scope in provider.scopes if scope not in value]
    if missing:
        reader.fault(
            key,
            f"lacks {plain(' '.join(missing), 200)}, which Keyfob always asks for",
            "register it as well, and add it",
        )
    return tuple(value)


def _redirect(
    reader: _Reader, name: str, entry: Mapping[str, Any], provider: Provider
) -> RedirectProfile | None:
    """The preset's redirect as it is registered: one that users set is fixed at its usual port."""
    value, key, redirect = entry.get("redirect"), f"{name}.redirect", provider.redirect
    if value is None:
        if redirect.port != "setting" or redirect.uri:
            return None
        return replace(redirect, port="fixed", ports=(Settings().callback_port,))
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    known = next((each for each in get_args(RedirectHost) if each == host), None)
    if parts.scheme != "http" or known is None or parts.query or parts.fragment or "@" in parts.netloc:
        reader.fault(
            key,
            "is not a loopback address",
            "it should be such as http://127.0.0.1:9876/callback, as registered (RFC 8252 section 7.3)",
        )
        return None
    if port is None:
        return replace(
            redirect, host=known, path=parts.path, port="any", ports=(), registered_port=False, uri=None
        )
    return replace(
        redirect, host=known, path=parts.path, port="fixed", ports=(port,), registered_port=True, uri=None
    )


def _line_of(text: str, key: str) -> int | None:
    """The line of a dotted key: that of the key in its table, else that of the table; None for neither."""
    table, _, last = key.rpartition(".")
    at, header = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        found = _HEADER.fullmatch(line)
        if found:
            at = found[1].replace('"', "").replace(" ", "")
            if at == key:
                return number
            header = number if at == table else header
        elif re.match(rf"\s*\"?{re.escape(last)}\"?\s*=", line) and at == table:
            return number
    return header


def published(provider: Provider, client: PublishedClient | None) -> Provider:
    """The preset with the publisher's client id: its methods that work at once come first."""
    if client is None:
        return provider
    allowed = client.scopes
    made = replace(
        provider,
        publisher=client.ids,
        redirect=client.redirect or provider.redirect,
        access=tuple(each for each in provider.access if allowed is None or set(each.scopes) <= set(allowed)),
    )
    methods = tuple(sorted(provider.methods, key=made.needs_own_app))
    # What the preset says of apps that users register does not concern them any more.
    sentences = re.split(r"(?<=\.)\s+", provider.policy.note or "")
    note = " ".join(each for each in sentences if not re.search(r"\bregist|\bclient id\b", each)) or None
    policy = replace(provider.policy, note=note)
    if not any(map(made.needs_own_app, methods)):
        policy = replace(policy, client_id="keyfob")
    return replace(made, methods=methods, policy=policy)
