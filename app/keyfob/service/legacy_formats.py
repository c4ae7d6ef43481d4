"""Plaintext stores of other tools, read: what each file holds, as entries. Pure; the text comes in as it is.

Called by `legacy.py`. Every value that opens something travels as a Secret; nothing of a file is ever in a message.
A file that is not what it should be gives no entries rather than a guess.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret

DEPTH = 6  # of a JSON settings file
KEY, SIGN_IN, READ_ONLY = "api_key", "sign_in", "read_only"
_NEXUS_KEY = re.compile(r"(nexus[\w.-]*)?(api[_-]?key|apikey|personal[_-]?key)", re.IGNORECASE)
_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing found. `way`: a key to be moved, a sign-in to be done once, or something another tool still uses.
    `raw` is the secret as it stands in the file, to be blanked there with `filler`."""

    way: str
    host: str | None = None
    provider: str | None = None
    username: str | None = None
    secret: Secret | None = None
    raw: Secret | None = None
    filler: str = ""
    variable: str | None = None
    reason: str = ""
    client_id: str | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    label: str | None = None
    subject: str = ""
    name: str | None = None
    method: str | None = None
    preset: str | None = None  # the text of the exporting person's own


def git_credentials(text: str) -> Iterator[Entry]:
    """git-credential-store: an address with user and password a line, percent-encoded."""
    for line in text.splitlines():
        try:
            parts = urlsplit(line.strip())
            host = parts.netloc.rpartition("@")[2].lower()
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.password and host:
            yield Entry(
                KEY,
                host=unquote(host),
                username=unquote(parts.username or ""),
                secret=Secret(unquote(parts.password)),
                raw=Secret(parts.password),
            )


def gh_hosts(text: str) -> Iterator[Entry]:
    """gh's hosts.yml: hosts at the margin, tokens beneath a host or one of its users; the active user's stands twice."""
    host = user = ""
    seen: set[tuple[str, str]] = set()
    users: list[tuple[str, str, str]] = []
    for line in text.splitlines():
        found = re.fullmatch(r"(\s*)([^\s:#][^:]*):\s*(.*)", line)
        if found is None:
            continue
        name, value = found[2].strip("\"'"), found[3].strip().strip("\"'")
        if not found[1]:
            host, user = name.lower(), ""
        elif name == "oauth_token" and value:
            if (host, value) not in seen:
                users.append((host, user, value))
            seen.add((host, value))
        elif not value and name != "users":
            user = name
        elif name == "user" and value:
            users = [(at, value if at == host and not who else who, token) for at, who, token in users]
    for at, who, token in users:
        yield Entry(KEY, host=at, username=who or None, secret=Secret(token), raw=Secret(token))


def codex(text: str) -> Iterator[Entry]:
    """Codex's auth.json: an API key, or a ChatGPT sign-in whose refresh token rotates."""
    body = _object(text)
    key = body.get("OPENAI_API_KEY")
    if isinstance(key, str) and key:
        yield Entry(KEY, provider="openai-api", secret=Secret(key), raw=Secret(key))
    tokens = body.get("tokens")
    if isinstance(tokens, dict) and isinstance(tokens.get("refresh_token"), str) and tokens["refresh_token"]:
        yield Entry(
            READ_ONLY,
            provider="openai-codex",
            secret=Secret(tokens["refresh_token"]),
            reason="Codex renews this sign-in by itself, and its refresh token changes each time: if Keyfob renewed "
            "it too, both would be signed out",
        )


def claude(text: str) -> Iterator[Entry]:
    """Claude Code's .credentials.json."""
    found = _object(text).get("claudeAiOauth")
    if isinstance(found, dict) and isinstance(found.get("refreshToken"), str) and found["refreshToken"]:
        yield Entry(
            READ_ONLY,
            provider="claude",
            secret=Secret(found["refreshToken"]),
            reason="Claude Code renews this sign-in by itself, and its refresh token changes each time: if Keyfob "
            "renewed it too, both would be signed out",
        )


def netrc(text: str) -> Iterator[Entry]:
    """`machine HOST login USER password SECRET`, in any spacing. Macros are passed over."""
    words = _netrc_words(text)
    host: str | None = None
    found: dict[str, str] = {}
    for word in words:
        if word in ("machine", "default"):
            if host and "password" in found:
                yield _machine(host, found)
            host, found = (next(words, "") or None) if word == "machine" else None, {}
        elif word in ("login", "account", "password"):
            found[word] = next(words, "")
    if host and "password" in found:
        yield _machine(host, found)


def _machine(host: str, found: Mapping[str, str]) -> Entry:
    secret = Secret(found["password"])
    # An entry with no password would take the next word for one.
    return Entry(
        KEY,
        host=host.lower(),
        username=found.get("login"),
        secret=secret,
        raw=secret,
        filler="moved-to-keyfob",
    )


def _netrc_words(text: str) -> Iterator[str]:
    in_macro = False
    for line in text.splitlines():
        if not line.strip():
            in_macro = False
        elif line.lstrip().startswith("macdef"):
            in_macro = True
        elif not in_macro and not line.lstrip().startswith("#"):
            try:
                yield from shlex.split(line, posix=True)
            except ValueError:
                yield from line.split()


def environment(text: str, variables: Mapping[str, str]) -> Iterator[Entry]:
    """`NAME=value` lines; `variables` says which name is whose key."""
    for line in text.splitlines():
        found = _ENV_LINE.fullmatch(line)
        if found is None or found[1] not in variables:
            continue
        try:
            value = "".join(shlex.split(found[2], comments=True)[:1])
        except ValueError:
            continue
        if value and "$" not in value:
            yield Entry(
                KEY, provider=variables[found[1]], secret=Secret(value), raw=Secret(value), variable=found[1]
            )


def nexus(text: str) -> Iterator[Entry]:
    """A JSON settings file with a Nexus Mods key in it, at any of the names that mod tools give it."""
    for name, value in _leaves(_object(text), ""):
        if isinstance(value, str) and value and _NEXUS_KEY.fullmatch(name.rpartition(".")[2]):
            yield Entry(KEY, provider="nexusmods", secret=Secret(value), raw=Secret(value), variable=name)


def emailproxy(text: str) -> Iterator[Entry]:
    """An Email OAuth 2.0 Proxy config. Its tokens are encrypted with each mailbox's password, so they stay there; the
    app registration comes along."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in parser.sections():
        values = parser[section]
        url = values.get("token_url") or ""
        if "@" not in section or not url:
            continue
        parts = urlsplit(url)
        tenant = parts.path.strip("/").partition("/")[0] if "microsoftonline" in parts.netloc else ""
        secret = values.get("client_secret")
        yield Entry(
            SIGN_IN,
            host=parts.netloc.lower(),
            username=section,
            client_id=values.get("client_id"),
            client_secret=Secret(secret) if secret else None,
            scopes=tuple((values.get("oauth2_scope") or "").split()),
            inputs={"tenant": tenant} if tenant else EMPTY,
            reason="The proxy keeps its tokens encrypted with the mailbox's password, so they cannot be carried over",
        )


def exported(text: str) -> Iterator[Entry]:
    """What `keyfob export` printed."""
    body = _object(text)
    presets = body.get("presets")
    for account in body.get("accounts") or [] if body.get("keyfob_export") == 1 else []:
        if not isinstance(account, dict) or not isinstance(account.get("provider"), str):
            continue
        inputs = account.get("inputs")
        yield Entry(
            SIGN_IN,
            provider=account["provider"],
            username=_text(account, "label"),
            label=_text(account, "label"),
            subject=_text(account, "subject") or "",
            name=_text(account, "name"),
            method=_text(account, "method"),
            client_id=_text(account, "client_id"),
            scopes=tuple(str(scope) for scope in account.get("scopes") or ()),
            inputs={str(k): str(v) for k, v in inputs.items()} if isinstance(inputs, dict) else EMPTY,
            preset=_text(presets, account["provider"]) if isinstance(presets, dict) else None,
            reason="An export holds no secret, so this account is signed in to once on this computer",
        )


Parser = Callable[[str], Iterator[Entry]]


def parser_of(
    name: str, text: str, variables: Mapping[str, str], source: str | None = None
) -> tuple[str, Parser] | None:
    """The format `source`, or which one a file has by its name and else by its content; None where it is none."""

    def env(content: str) -> Iterator[Entry]:
        return environment(content, variables)

    if source is not None:
        parse = {**FORMATS, "env": env}.get(source)
        return (source, parse) if parse else None
    base = name.lower()
    if base == "hosts.yml":
        return "gh", gh_hosts
    if base in (".netrc", "_netrc", "netrc"):
        return "netrc", netrc
    if base in (".git-credentials", "credentials") and "://" in text:
        return "git-credentials", git_credentials
    if base == ".env" or base.startswith(".env.") or base.endswith(".env"):
        return "env", env
    if text.lstrip().startswith("{"):
        body = _object(text)
        if "keyfob_export" in body:
            return "keyfob", exported
        if "claudeAiOauth" in body:
            return "claude", claude
        if "OPENAI_API_KEY" in body or "tokens" in body:
            return "codex", codex
        return "nexus", nexus
    if re.search(r"(?m)^\s*\[.+\]", text) and "token_url" in text:
        return "emailproxy", emailproxy
    if re.search(r"(?m)^https?://[^\s/]+@", text):
        return "git-credentials", git_credentials
    if re.search(r"(?m)^\s*machine\s", text):
        return "netrc", netrc
    if re.search(r"(?m)^\S+:\s*$", text) and "oauth_token:" in text:
        return "gh", gh_hosts
    if any(_ENV_LINE.fullmatch(line) for line in text.splitlines()):
        return "env", env
    return None


FORMATS: dict[str, Parser] = {
    "git-credentials": git_credentials,
    "gh": gh_hosts,
    "codex": codex,
    "claude": claude,
    "netrc": netrc,
    "nexus": nexus,
    "emailproxy": emailproxy,
    "keyfob": exported,
}


def _object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _leaves(value: Any, at: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and depth < DEPTH:
        for name, below in value.items():
            yield from _leaves(below, f"{at}.{name}" if at else str(name), depth + 1)
    elif isinstance(value, list) and depth < DEPTH:
        for below in value:
            yield from _leaves(below, at, depth + 1)
    elif not isinstance(value, list | dict):
        yield at, value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
