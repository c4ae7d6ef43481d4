"""The rules for a preset as a whole: each method has what it needs, and
identity, client, policy and hosts fit together.

Each rule receives the preset, all its texts by key, and whether it comes with Keyfob. It yields errors and
never raises. `checks.RULES` lists the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import get_args
from urllib.parse import urlsplit

from keyfob.core.hosts import is_listed
from keyfob.core.methods import METHOD_FACTS, holds_key
from keyfob.core.provider import (
    IdentitySource,
    Provider,
    RedirectProfile,
    RevocationRequest,
    SecondPart,
)
from keyfob.core.quirks import QUIRKS, client_of
from keyfob.core.text import plain
from keyfob.core.words import DeviceError
from keyfob.providers.schema_check import PresetFault
from keyfob.providers.values import HEADER_NAME, PLACEHOLDER, Leaves, apis

IDENTITY_NAMES = ("subject", "name", "username", "email", "avatar", "plan")
# The addresses that get a token, and whose hosts the preset must name.
ASKED = frozenset(
    {
        "identity.url", "test.url", "revocation.url", "revocation.without_secret.url", "api_key.identity.url",
        "formats.openai_chat", "formats.openai_responses", "formats.anthropic_messages",
    }
)  # fmt: skip
SLOT = re.compile(r"\{([^{}]*)\}")


def methods(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each sign-in method has the endpoints and tables that it needs."""
    for method in dict.fromkeys(preset.methods) if preset.discovery is None else ():
        for name in METHOD_FACTS[method].endpoints:
            if getattr(preset.endpoints, name) is None:
                yield PresetFault(
                    f"endpoints.{name}", "is missing", f'method "{method}" needs it, unless you set discovery'
                )
    if "api_key" in preset.methods and preset.api_key is None:
        yield PresetFault("api_key", "is missing", 'method "api_key" needs the table [api_key]')
    if "api_key" not in preset.methods and preset.api_key is not None:
        yield PresetFault("methods", 'does not contain "api_key"', "add it, or remove the table [api_key]")
    if "atproto" in preset.methods and preset.dpop != "always":
        yield PresetFault("dpop", f'is "{preset.dpop}"', 'method "atproto" needs "always"')
    for named, quirk in QUIRKS.items():
        if quirk.method in preset.methods and named not in preset.quirks:
            yield PresetFault("quirks", f'lacks what method "{quirk.method}" needs', f'add "{named}"')


def client(preset: Provider, _leaves: Leaves, ours: bool) -> Iterator[PresetFault]:
    """Whether the client's authentication, secret and algorithm go together."""
    entry = preset.client
    if entry.auth == "private_key_jwt" and entry.alg is None:
        yield PresetFault("client.alg", "is missing", "private_key_jwt needs the algorithm, such as ES256")
    must = entry.secret == "required"  # noqa: S105
    if must and entry.auth in ("none", "private_key_jwt", "basic_empty"):
        yield PresetFault(
            "client.auth",
            f'is "{entry.auth}" and a secret is required',
            'it should be "client_secret_basic" or "client_secret_post"',
        )
    public = entry.auth == "none" and not must
    if preset.pkce == "none" and public and "oauth" in preset.methods:
        yield PresetFault("pkce", 'is "none"', 'a public client needs "S256" (RFC 8252 §6)')
    for name, variable in entry.env.items():
        if name not in ("client_id", "client_secret", "redirect_uri"):
            yield PresetFault(
                f"client.env.{name}", "is not known", "it should be client_id, client_secret or redirect_uri"
            )
        elif not re.fullmatch(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+", variable):
            yield PresetFault(
                f"client.env.{name}",
                "is not a Keyfob variable",
                "it should be a name such as ACME_CLIENT_ID",
            )
    shared = entry.client_id in {QUIRKS[name].shared_client_id for name in preset.quirks}
    if ours and entry.client_id is not None and preset.policy.client_id != "keyfob" and not shared:
        yield PresetFault(
            "client.client_id",
            "is included",
            "a preset may not include another app's client id: remove it, or set policy.client_id = "
            '"keyfob"',
        )
    if entry.client_id is None and preset.policy.client_id == "keyfob":
        yield PresetFault("client.client_id", "is missing", 'policy.client_id = "keyfob" needs it')


def device(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each status that means something is a refusal, and means what a device code's answer can."""
    for status, word in preset.device.statuses.items():
        key = f"device.statuses.{plain(status, 20)}"
        if not re.fullmatch(r"[45][0-9][0-9]", status):
            yield PresetFault(key, "is not the status of a refusal", "it should be 400 to 599")
        if word not in get_args(DeviceError):
            yield PresetFault(
                key, f'is "{plain(word, 40)}"', f"it should be one of {', '.join(get_args(DeviceError))}"
            )


def lifetimes(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether a reason for an early end comes with its time: it is shown only if the time fits."""
    entry = preset.lifetimes
    if entry.ended_hint is not None and entry.ended_after is None:
        yield PresetFault("lifetimes.ended_after", "is missing", "ended_hint needs it")
    if entry.ended_after is not None and entry.ended_hint is None:
        yield PresetFault("lifetimes.ended_hint", "is missing", "ended_after needs it")


def policy(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether the way to a client id is one that this preset can offer."""
    entry = preset.policy
    signs_in = any(METHOD_FACTS[method].needs_client for method in preset.methods)
    brings = preset.client.client_id is None and signs_in
    if entry.client_id == "user" and brings and entry.register_at is None:
        yield PresetFault("policy.register_at", "is missing", "it should be the page for registering an app")
    if (
        entry.client_id == "dynamic"
        and signs_in
        and client_of(preset.quirks) is None
        and preset.discovery is None
        and preset.endpoints.registration_endpoint is None
    ):
        yield PresetFault(
            "endpoints.registration_endpoint", "is missing", 'policy.client_id = "dynamic" needs it'
        )
    for name in ("blocked", "share_reason", "note"):
        text = getattr(entry, name)
        if text is not None and not text.strip():
            yield PresetFault(f"policy.{name}", "is empty", "it should be the reason, in a sentence")
    if entry.blocked is not None and entry.terms is None:
        yield PresetFault("policy.terms", "is missing", "a blocked provider needs the address of its terms")
    if not entry.share and not (entry.share_reason or "").strip():
        yield PresetFault(
            "policy.share_reason", "is missing", "share = false needs its reason, in a sentence"
        )


def redirect(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether the ports, the path and the host of the redirect go together."""
    entry: RedirectProfile = preset.redirect
    if entry.port == "list" and not entry.ports:
        yield PresetFault("redirect.ports", "is empty", 'port = "list" needs the registered ports')
    if entry.port == "fixed" and len(entry.ports) != 1:
        yield PresetFault(
            "redirect.ports", f"has {len(entry.ports)} ports", 'port = "fixed" needs exactly one'
        )
    if entry.port in ("any", "setting") and entry.ports:
        yield PresetFault(
            "redirect.ports", f'is not used with port = "{entry.port}"', 'set port = "fixed" or "list"'
        )
    if entry.path and not re.fullmatch(r"(/[A-Za-z0-9._~-]*)+", entry.path):
        yield PresetFault(
            "redirect.path",
            "is not a path",
            "it should begin with / and contain only letters, digits, . _ ~ - and /",
        )
    if entry.uri is not None and entry.paste is None:
        yield PresetFault(
            "redirect.paste",
            "is missing",
            'a redirect that is not loopback needs it: "url", "code" or "code#state"',
        )


def who_am_i(preset: Provider, _leaves: Leaves, ours: bool) -> Iterator[PresetFault]:
    """Whether each method can find out whose account it is."""
    if any(not holds_key(method) for method in preset.methods) and "atproto" not in preset.methods:
        yield from _identity(preset, preset.identity, "identity", ours)
    if preset.api_key is not None:
        yield from _identity(preset, preset.api_key.identity, "api_key.identity", ours)


def _identity(preset: Provider, entry: IdentitySource, at: str, ours: bool) -> Iterator[PresetFault]:
    tested = preset.test is not None and preset.test.url is not None
    userinfo = preset.endpoints.userinfo_endpoint is not None or preset.discovery is not None
    match entry.source:
        case "none" if ours and not tested:
            yield PresetFault(f"{at}.source", 'is "none"', "add an identity request, or at least a test.url")
        case "request" if entry.url is None:
            yield PresetFault(f"{at}.url", "is missing", "add the address of the identity request")
        case "userinfo" if entry.url is None and not userinfo:
            yield PresetFault(
                "endpoints.userinfo_endpoint",
                "is missing",
                f'add this address, discovery, or {at}.source = "request" with its url',
            )
        case "id_token" if preset.discovery is None and preset.endpoints.jwks_uri is None:
            yield PresetFault("endpoints.jwks_uri", "is missing", "an ID token cannot be verified without it")
        case "access_jwt" | "token_answer" if not tested and at == "identity":
            yield PresetFault("test.url", "is missing", "add a request that tests the token")
    names_nobody = "subject" not in entry.map and at == "identity"
    if names_nobody and entry.source in ("access_jwt", "token_answer", "request"):
        yield PresetFault(
            f"{at}.map.subject", "is missing", "it should be the path of an id that never changes"
        )
    yield from _paths(entry, at)


def _paths(entry: IdentitySource, at: str) -> Iterator[PresetFault]:
    for name, path in entry.map.items():
        key = f"{at}.map.{name}"
        if name not in IDENTITY_NAMES:
            yield PresetFault(key, "is not known", f"it should be one of {', '.join(IDENTITY_NAMES)}")
        bare = SLOT.sub("", path)
        parts = SLOT.findall(path) or path.split("|")
        if "{" in bare or "}" in bare or not all(part.strip() for part in parts):
            yield PresetFault(
                key,
                "is not a path",
                "it should be a path into the response such as data.0.id, with | between alternatives",
            )


def hosts(preset: Provider, leaves: Leaves, ours: bool) -> Iterator[PresetFault]:
    """A token goes only to hosts that the preset names."""
    for api, at in apis(preset):
        if api.placement in ("header", "query") and api.name is None:
            yield PresetFault(f"{at}.name", "is missing", f'placement = "{api.placement}" needs its name')
        path = preset.api_key.identity.url if preset.api_key is not None and at == "api_key.api" else None
        if path is not None and path.startswith("/") and api.base is None:
            yield PresetFault(f"{at}.base", "is missing", f"the path {plain(path, 60)} needs it")
        if api.from_answer is not None and at != "api":
            yield PresetFault(f"{at}.from_answer", "is not for keys", "it should be in [api]")
        if api.second is not None:
            yield from _second_part(api.second, at)
        if (
            api.name is not None
            and api.placement == "header"
            and not HEADER_NAME.match(PLACEHOLDER.sub("x", api.name))
        ):
            yield PresetFault(
                f"{at}.name", "is not a header name", "it should be letters, digits and hyphens"
            )
    named = {_host(value) for key, value in leaves if key.startswith("endpoints.") or key == "issuer"}
    for api, _ in apis(preset):
        named |= {_host(api.base)} if api.base else set()
        named |= set(api.hosts)
    asked = [(key, value) for key, value in leaves if key in ASKED]
    closed = ours or any(
        api.base for api, _ in apis(preset)
    )  # else the who-am-I address is itself the naming
    for key, value in asked:
        if closed and not value.startswith("/") and not is_listed(_host(value), named):
            yield PresetFault(
                key,
                "has a host that the preset does not list",
                "Keyfob sends the token only to the hosts of the endpoints, api.base and api.hosts",
            )


def formats(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether a channel belongs to a format."""
    if preset.formats.channel is not None and preset.formats.openai_responses is None:
        yield PresetFault("formats.openai_responses", "is missing", "formats.channel is about this format")


def _second_part(part: SecondPart, at: str) -> Iterator[PresetFault]:
    if at == "api":
        yield PresetFault(f"{at}.second", "is for keys", "it should be in [api_key.api.second]")
    if part.placement == "header" and not HEADER_NAME.match(part.name):
        yield PresetFault(
            f"{at}.second.name", "is not a header name", "it should be letters, digits and hyphens"
        )


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"https://{url}").netloc.lower()
    except ValueError:
        return ""


def revocation(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each way of revoking has an address, and a body that can hold the token."""
    ways: list[tuple[RevocationRequest, str]] = [(preset.revocation, "revocation")]
    if preset.revocation.without_secret is not None:
        ways.append((preset.revocation.without_secret, "revocation.without_secret"))
    discovers = preset.discovery is not None or "atproto" in preset.methods
    for way, at in ways:
        if way.body is not None and way.style != "none":
            yield from _body(way, at)
        if way.style in ("none", "nextcloud") or way.url is not None:
            continue
        if preset.endpoints.revocation_endpoint is None and not discovers:
            yield PresetFault(
                f"{at}.url",
                "is missing",
                f'style = "{way.style}" needs an address, or the revocation_endpoint',
            )


def _body(way: RevocationRequest, at: str) -> Iterator[PresetFault]:
    key, text = f"{at}.body", way.body or ""
    if way.style not in ("json", "delete"):
        should = 'set style = "json" or "delete"'
        yield PresetFault(key, f'is not used with style = "{way.style}"', should)
    try:
        json.loads(text)
    except ValueError:
        yield PresetFault(key, "is not JSON", 'write it as JSON, such as {"token": "{token}"}')
    if "{token}" not in text:
        yield PresetFault(key, "has no {token}", "put {token} in the string that stands for the token")
