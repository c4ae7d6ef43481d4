"""The rules for a preset's texts: addresses, placeholders, inputs and headers, and no code or secrets.

Each rule receives the preset, all its texts by key, and whether it comes with Keyfob. It yields errors and
never raises. `checks.RULES` lists the rules. Addresses: RFC 8252 §7.3 and §8.3 (loopback), RFC 6749 §3.1
(TLS).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import date
from urllib.parse import urlsplit

from keyfob.core import patterns
from keyfob.core.hosts import is_loopback, is_suffix, suffix_fault
from keyfob.core.methods import holds_key
from keyfob.core.provider import Api, Provider
from keyfob.core.text import plain
from keyfob.providers.schema_check import PresetFault

Leaves = list[tuple[str, str]]
PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
URL_KEY = re.compile(
    r"^(docs|issuer|issuer_template|endpoints\.\w+|policy\.(register_at|terms)|client_credentials\.create_at|redirect\.uri"
    r"|(api_key\.)?api\.base|formats\.(openai_chat|openai_responses|anthropic_messages)|(api_key\.)?identity\.url|test\.url|revocation\.(url|page|without_secret\.url)|api_key\.create_at)$"
)
AT_OWN_SERVER = frozenset({"test.url", "identity.url", "api_key.identity.url"})  # may be paths
HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
HOST = re.compile(r"^(?=.{1,253}\Z)[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?\Z")
ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})+")

# Keys whose texts the engine fills in later; each with the names it may hold.
FILLED_LATER: tuple[tuple[re.Pattern[str], frozenset[str]], ...] = (
    (re.compile(r"^issuer_template$"), frozenset({"tenantid"})),
    (re.compile(r"^(api_key\.)?api\.(headers|params)\."), frozenset({"version", "client_id"})),
    (re.compile(r"^(api_key\.)?api\.name$"), frozenset({"login", "username"})),
    (re.compile(r"^token_headers\."), frozenset({"version", "client_id"})),
    (re.compile(r"^authorize_params\."), frozenset({"installation"})),
    (re.compile(r"^(api_key\.)?identity\.headers\."), frozenset({"version", "client_id"})),
    (re.compile(r"^revocation\."), frozenset({"client_id", "token", "hint"})),
    (
        re.compile(r"^token_params\."),
        frozenset({"username", "password"}),
    ),  # a JSON login of method "password"
)
# Texts for users, expressions, request bodies or paths: braces there are not placeholders.
NOT_FILLED = re.compile(
    r"^(title|access\.\d+\.(title|allows|risky)|policy\.(note|register_note|blocked|share_reason)|client_credentials\.note|inputs\.|lifetimes\.(ended_hint|terminal\.)"
    r"|revocation\.(without_secret\.)?(body|ended\.)"
    r"|(api_key\.)?identity\.(body|map\.|refused\.)|test\.body|api_key\.(hint|pattern)|client\.id_(hint|pattern)|(api_key\.)?api\.(claim_headers\.|second\.(title|hint|pattern)))"
)
SCOPE_KEY = re.compile(r"^(access\.\d+\.|client_credentials\.)?scopes\.\d+$|^implied_scopes\.")
CODE = re.compile(
    r"\$\{|\$\(|\{\{|\{%|<%|<\?|<script|`|\b__\w+__|\blambda\b|\b(eval|exec|import|system)\s*\(",
    re.I,
)
CODE_IN_URL = re.compile(r"\b(javascript|data|file):", re.I)  # anywhere else these are words
SECRET_LOOK = re.compile(
    r"-----BEGIN|\beyJ[A-Za-z0-9_-]{10,}|\b(sk-[A-Za-z0-9_-]{16,}|gh[oprsu]_[A-Za-z0-9]{20,"
    r"}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|xox[abeprs]-[\w-]{10,}|GOCSPX-[\w-]{10,}|AIza[\w-]{30,})"
)
SECRET_NAME = re.compile(r"(^|[_.-])(client_secret|secret|password|access_token|refresh_token)$")
# What the protocol itself puts on these requests; a preset must not say otherwise.
RESERVED = {
    "authorize_params": {
        "client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge",
        "code_challenge_method", "request_uri", "request", "scope",
    },
    "token_params": {"grant_type", "code", "redirect_uri", "client_id", "code_verifier", "client_assertion"},
    "refresh_params": {"grant_type", "client_id", "client_assertion"},
    "client_credentials.params": {"grant_type", "client_id", "client_secret", "client_assertion", "scope"},
    "device_params": {"client_id", "scope", "device_code", "grant_type"},
}  # fmt: skip
OWN_HEADERS = frozenset(
    {
        "authorization", "cookie", "host", "content-length", "transfer-encoding", "connection", "dpop",
        "content-type", "proxy-authorization",
    }
)  # fmt: skip
USED_BY_CODE = frozenset({"handle", "username", "server", "plc"})  # inputs that flows read by name


def looks(preset: Provider, _leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether the colour can be read, no method is listed twice, and the date of the facts exists."""
    if contrast_with_white(preset.color) < 3:
        yield PresetFault(
            "color", "is too light for a white letter", "choose a darker color, with a contrast of 3 or more"
        )
    for twice in sorted({method for method in preset.methods if preset.methods.count(method) > 1}):
        yield PresetFault("methods", f'names "{twice}" twice', "list each method once")
    try:
        date.fromisoformat(preset.facts or "2026-01-01")
    except ValueError:
        yield PresetFault("facts", f'is "{preset.facts}"', "it should be a date of the calendar, YYYY-MM-DD")


def contrast_with_white(color: str) -> float:
    """WCAG 2 contrast of white text on `#rrggbb`."""

    def channel(text: str) -> float:
        part = int(text, 16) / 255
        return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)

    red, green, blue = (channel(color[n : n + 2]) for n in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def url_fault(url: str, inputs: Iterable[tuple[str, str]] = ()) -> str | None:
    """What an address should be, if it is not; None if it is fine. `inputs`: (name, kind)."""
    text = url
    for name, kind in inputs:
        if kind == "url" and text.startswith(f"{{{name}}}"):
            text = "https://placeholder.example" + text[len(name) + 2 :]
    text = PLACEHOLDER.sub("placeholder", text)
    if re.search(r"[\s\x00-\x1f\x7f\\]", text) or not text.isascii():
        return "it should be an address in ASCII without spaces"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it should be an address: https://host/path"
    if not host or parts.scheme not in ("https", "http"):
        return "it should be an address that begins with https://"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "it should have no username, password or #fragment"
    if parts.scheme == "http" and not is_loopback(host):
        return "it should be https (http is only for loopback)"
    return None


def is_absolute_uri(text: str) -> bool:
    """RFC 3986 §4.3, as RFC 8707 §2 wants it of a resource: any scheme,
    no fragment. It is a name: nothing is sent to it.
    """
    return ABSOLUTE_URI.fullmatch(PLACEHOLDER.sub("placeholder", text)) is not None


def addresses(preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each URL is safe to send a token to: HTTPS, or HTTP on this computer."""
    kinds = [(entry.name, entry.kind) for entry in preset.inputs]
    for key, value in leaves:
        own_server = "atproto" in preset.methods or preset.api.from_answer is not None
        if key in AT_OWN_SERVER and value.startswith("/") and own_server:
            value = f"https://placeholder.example{value}"  # at the account's own server
        if URL_KEY.match(key) and (should := url_fault(value, kinds)):
            yield PresetFault(key, "is not a safe address", should)
    if preset.resource is not None and not is_absolute_uri(preset.resource):
        yield PresetFault(
            "resource",
            "is not a resource",
            "it should be an absolute URI without #fragment, such as https://… or api://… (RFC 8707)",
        )
    if preset.discovery not in (None, "openid", "oauth") and (should := url_fault(preset.discovery, kinds)):
        yield PresetFault(
            "discovery",
            "is not a kind of discovery",
            f'it should be "openid", "oauth" or an address: {should}',
        )
    if preset.discovery in ("openid", "oauth") and preset.issuer is None:
        yield PresetFault("issuer", "is missing", "discovery needs it: the issuer's address")
    for api, at in apis(preset):
        yield from _hosts(api.hosts, f"{at}.hosts")
        if api.from_answer is not None:
            yield from _hosts(api.from_answer.hosts, f"{at}.from_answer.hosts")


def _hosts(hosts: Iterable[str], at: str) -> Iterator[PresetFault]:
    for n, host in enumerate(hosts):
        if is_suffix(host):
            should = suffix_fault(host)
        elif HOST.match(PLACEHOLDER.sub("placeholder", host)):
            should = None
        else:
            should = "it should be only a host name, in lower case"
        if should is not None:
            yield PresetFault(f"{at}.{n}", "is not a host", should)


def apis(preset: Provider) -> Iterator[tuple[Api, str]]:
    """The tables that say where a token goes, each with its key."""
    yield preset.api, "api"
    if preset.api_key is not None:
        yield preset.api_key.api, "api_key.api"


def placeholders(preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each `{name}` is an input of the preset or filled in later by Keyfob."""
    declared = {entry.name for entry in preset.inputs}
    for key, value in leaves:
        if NOT_FILLED.match(key):
            continue
        later = frozenset[str]().union(*(names for pattern, names in FILLED_LATER if pattern.match(key)))
        for name in sorted(set(PLACEHOLDER.findall(value)) - declared - later):
            near = difflib.get_close_matches(name, declared | later, n=1)
            yield PresetFault(
                key,
                f"has the placeholder {{{name}}} but no input has that name",
                f"did you mean {{{near[0]}}}?"
                if near
                else f'add an [[inputs]] table with name = "{name}", or write it out',
            )


def inputs(preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each input has its own name, is used, and its example fits its own pattern; and whether the
    other patterns can be used.
    """
    used = {
        name for key, value in leaves if not key.startswith("inputs.") for name in PLACEHOLDER.findall(value)
    }
    seen: set[str] = set()
    for n, entry in enumerate(preset.inputs):
        at = f"inputs.{n}"
        if entry.name in seen:
            yield PresetFault(f"{at}.name", f'is "{entry.name}" again', "list each input once")
        seen.add(entry.name)
        if entry.name not in used | USED_BY_CODE:
            yield PresetFault(
                f"{at}.name", "is not used", f"write {{{entry.name}}} where it belongs, or remove it"
            )
        yield from _input_methods(preset, n, leaves)
        if entry.pattern is None or patterns.fault(entry.pattern):
            continue
        for name in ("default", "example"):
            text = getattr(entry, name)
            if text and entry.kind == "text" and not patterns.matches(entry.pattern, text):
                yield PresetFault(f"{at}.{name}", "does not match the pattern", "change it or the pattern")


def _input_methods(preset: Provider, n: int, leaves: Leaves) -> Iterator[PresetFault]:
    """Whether an input that only some methods ask for belongs to them alone."""
    entry = preset.inputs[n]
    for other in sorted(set(entry.methods) - set(preset.methods)):
        yield PresetFault(
            f"inputs.{n}.methods", f'names "{other}"', "it should contain only methods of this preset"
        )
    kinds = {holds_key(method) for method in entry.methods}
    if len(kinds) != 1 or set(preset.methods) <= set(entry.methods):
        return
    for key, value in leaves:
        if f"{{{entry.name}}}" in value and key.startswith("api_key.") not in kinds:
            yield PresetFault(
                key,
                f"uses {{{entry.name}}}, which is not asked for there",
                f"remove it, or remove inputs.{n}.methods",
            )


def expressions(_preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether each regular expression is one that stays fast, whatever it is matched with."""
    for key, value in leaves:
        if key.endswith((".pattern", ".id_pattern")) and (should := patterns.fault(value)):
            yield PresetFault(key, "is not a pattern that Keyfob accepts", should)


def no_code(_preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether a value looks like code: presets hold values alone."""
    for key, value in leaves:
        if key.endswith("pattern") or SCOPE_KEY.match(key):
            continue  # they have a grammar of their own
        address = key == "resource" or URL_KEY.match(key)
        if found := CODE.search(value) or (CODE_IN_URL.search(value) if address else None):
            yield PresetFault(
                key,
                f'looks like code ("{plain(found.group(), 20)}")',
                "a preset contains only values; {name} stands for an input, and `quirks` lists special cases",
            )


def no_secrets(_preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether a value or its name looks like a secret, which belongs in the keychain."""
    for key, value in leaves:
        table, _, name = key.rpartition(".")
        if SECRET_LOOK.search(value):
            yield PresetFault(
                key, "holds a secret", "remove it: Keyfob asks for it and keeps it in the keychain"
            )
        elif (
            SECRET_NAME.search(name)
            and table.endswith(("params", "headers"))
            and value not in ("{token}", "{password}")
        ):
            yield PresetFault(key, "is the place of a secret", "remove it: Keyfob adds secrets to requests")


def headers(_preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether header names are valid (RFC 9110 §5.6.2) and not ones that Keyfob sets."""
    for key, value in leaves:
        table, _, name = key.rpartition(".")
        if not table.endswith(("headers", "claim_headers")):
            continue
        if not HEADER_NAME.match(name):
            yield PresetFault(key, "is not a header name", "it should be letters, digits and hyphens")
        elif name.lower() in OWN_HEADERS:
            yield PresetFault(key, "is set by Keyfob", "remove it")
        if re.search(r"[\x00-\x1f\x7f]", value):
            yield PresetFault(key, "has control characters", "it should be one line of text")


def parameters(preset: Provider, leaves: Leaves, _ours: bool) -> Iterator[PresetFault]:
    """Whether extra parameters and scopes stay clear of what the protocol itself sends."""
    for key, _ in leaves:
        table, _, name = key.rpartition(".")
        if name in RESERVED.get(table, ()):
            yield PresetFault(key, "is a parameter of the protocol", "remove it: Keyfob sends it")
    yield from _scopes(preset.scopes, "scopes")
    yield from _scopes(preset.client_credentials.scopes, "client_credentials.scopes")


def access(preset: Provider, _leaves: Leaves, ours: bool) -> Iterator[PresetFault]:
    """Whether each bundle has its own id and title, and scopes that the base ones do not contain."""
    for name in ("id", "title"):
        named = [getattr(each, name) for each in preset.access]
        for n, text in enumerate(named):
            if text in named[:n]:
                yield PresetFault(f"access.{n}.{name}", f'is "{plain(text, 60)}" again', "give each its own")
    for n, each in enumerate(preset.access):
        if not each.scopes:
            yield PresetFault(f"access.{n}.scopes", "is missing", "list the scopes of this bundle")
        yield from _scopes(each.scopes, f"access.{n}.scopes")
        # A user's preset that extends ours may ask for more from the start.
        if ours and each.scopes and set(each.scopes) <= set(preset.scopes):
            yield PresetFault(
                f"access.{n}.scopes", "are all asked for anyway", "remove the bundle, or these from scopes"
            )
        if each.risky and each.default:
            yield PresetFault(f"access.{n}.default", "is true and the bundle is risky", "remove one of them")


def _scopes(scopes: tuple[str, ...], at: str) -> Iterator[PresetFault]:
    for n, scope in enumerate(scopes):
        if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope):
            yield PresetFault(
                f"{at}.{n}",
                "is not a scope",
                "it should be one word; list several scopes one by one (RFC 6749 §3.3)",
            )
    if len(set(scopes)) < len(scopes):
        yield PresetFault(at, "has a repeated scope", "list each scope once")
