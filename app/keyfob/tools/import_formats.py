"""Plaintext stores of other tools, read: what each file holds, as entries. Pure; the bytes come in as they are.

Called by `legacy.py`. Every value that opens something travels as a Secret; nothing of a file is ever in a message.
Each entry says where its secret stands, so that these bytes alone can be replaced. A file that is not what it should
be gives no entries rather than a guess.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.text_places import WORD, inside, json_object, json_strings, lines, shell_words
from keyfob.tools.yaml_places import member, members, text_at, tree_of

DEPTH = 6  # of a JSON settings file
BOM = b"\xef\xbb\xbf"
MOVED = "moved-to-keyfob"  # in a file whose format has no empty password
KEY, SIGN_IN, READ_ONLY = "api_key", "sign_in", "read_only"
_NEXUS_KEY = re.compile(r"(nexus[\w.-]*)?(api[_-]?key|apikey|personal[_-]?key)", re.IGNORECASE)
_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
_ENV_VALUE = re.compile(rf"\s*({WORD.pattern})(?:\s+#.*|\s*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing found. `way`: a key to be moved, a sign-in to be done once, or something another tool still uses.
    `spans` are the places of the secret in the file, once `entries_of` has counted them in bytes."""

    way: str
    host: str | None = None
    provider: str | None = None
    username: str | None = None
    secret: Secret | None = None
    spans: tuple[Span, ...] = ()
    variable: str | None = None
    reason: str = ""
    client_id: str | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    label: str | None = None
    subject: str = ""
    name: str | None = None
    method: str | None = None  # as it stands in the file
    preset: str | None = None  # the text of the exporting person's own


def entries_of(data: bytes, parse: Parser) -> list[Entry]:
    """A file's entries, with each span in bytes. Bytes that are not UTF-8 are passed over; an entry that has some in
    it is left out."""
    start = len(BOM) if data.startswith(BOM) else 0
    text = data[start:].decode("utf-8", "surrogateescape")
    entries = [each for each in parse(text) if _is_unicode(each)]
    ends = {end for entry in entries for span in entry.spans for end in (span.start, span.end)}
    at, count, in_bytes = 0, start, {}
    for end in sorted(ends):
        count += len(text[at:end].encode("utf-8", "surrogateescape"))
        at = end
        in_bytes[end] = count
    return [
        replace(
            entry,
            spans=tuple(Span(in_bytes[each.start], in_bytes[each.end], each.filler) for each in entry.spans),
        )
        for entry in entries
    ]


def _is_unicode(entry: Entry) -> bool:
    secrets = [each.reveal() for each in (entry.secret, entry.client_secret) if each]
    texts = [entry.host or "", entry.username or "", entry.client_id or "", *entry.scopes, *secrets]
    return all(text.isascii() or _encodes(text) for text in texts)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def git_credentials(text: str) -> Iterator[Entry]:
    """git-credential-store: an address with user and password a line, percent-encoded."""
    for at, line in lines(text):
        try:
            parts = urlsplit(line.strip())
            host = parts.netloc.rpartition("@")[2].lower()
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.password and host:
            end = text.find("\n", at) + 1 or len(text)
            yield Entry(
                KEY,
                host=unquote(host),
                username=unquote(parts.username or ""),
                secret=Secret(unquote(parts.password)),
                # The whole line: from one with no password git would take an empty password.
                spans=(Span(at, end),),
            )


def gh_hosts(text: str) -> Iterator[Entry]:
    """gh's hosts.yml: hosts, each with its token, or those of its users; the active user's stands twice."""
    try:
        root = tree_of(text)
    except ValueError:
        return
    for host, _, body in members(root):
        active = text_at(text, member(body, "user"))
        places = [(user, member(inner, "oauth_token")) for user, _, inner in members(member(body, "users"))]
        places.append((active[0] if active else "", member(body, "oauth_token")))
        users: dict[str, str] = {}
        spans: dict[str, list[Span]] = {}
        for user, node in places:
            found = text_at(text, node)
            if found is not None:
                users.setdefault(found[0], user)
                spans.setdefault(found[0], []).append(Span(found[1], found[2]))
        for token, user in users.items():
            yield Entry(
                KEY,
                host=host.lower(),
                username=user or None,
                secret=Secret(token),
                spans=tuple(sorted(set(spans[token]), key=lambda span: span.start)),
            )


def codex(text: str) -> Iterator[Entry]:
    """Codex's auth.json: an API key, or a ChatGPT sign-in whose refresh token rotates."""
    body = json_object(text)
    key = body.get("OPENAI_API_KEY")
    if isinstance(key, str) and key:
        spans = [
            Span(start, end) for path, _, start, end in json_strings(text) if path == ("OPENAI_API_KEY",)
        ]
        yield Entry(KEY, provider="openai-api", secret=Secret(key), spans=tuple(spans[-1:]))
    tokens = body.get("tokens")
    if isinstance(tokens, dict) and isinstance(tokens.get("refresh_token"), str) and tokens["refresh_token"]:
        yield Entry(
            READ_ONLY,
            provider="openai-codex",
            secret=Secret(tokens["refresh_token"]),
            reason="Codex renews this sign-in, and its refresh token changes each time. If Keyfob renewed it too, both would be signed out",
        )


def claude(text: str) -> Iterator[Entry]:
    """Claude Code's .credentials.json."""
    found = json_object(text).get("claudeAiOauth")
    if isinstance(found, dict) and isinstance(found.get("refreshToken"), str) and found["refreshToken"]:
        yield Entry(
            READ_ONLY,
            provider="claude",
            secret=Secret(found["refreshToken"]),
            reason="Claude Code renews this sign-in, and its refresh token changes each time. If Keyfob renewed it too, both would be signed out",
        )


def netrc(text: str) -> Iterator[Entry]:
    """`machine HOST login USER password SECRET`, in any spacing. Macros are passed over.

    The standard library's reader does not say where a password stands, and keeps one login a host.
    """
    words = _netrc_words(text)
    none = ("", Span(0, 0))
    host: str | None = None
    found: dict[str, tuple[str, Span]] = {}
    for word, _ in words:
        if word in ("machine", "default"):
            yield from _machine(host, found)
            host, found = (next(words, none)[0] or None) if word == "machine" else None, {}
        elif word in ("login", "account", "password"):
            found[word] = next(words, none)
    yield from _machine(host, found)


def _machine(host: str | None, found: Mapping[str, tuple[str, Span]]) -> Iterator[Entry]:
    password, span = found.get("password", ("", None))
    if host and span and password not in ("", MOVED):
        yield Entry(
            KEY,
            host=host.lower(),
            username=found["login"][0] if "login" in found else None,
            secret=Secret(password),
            spans=(span,),
        )


def _netrc_words(text: str) -> Iterator[tuple[str, Span]]:
    in_macro = False
    for at, line in lines(text):
        if not line.strip():
            in_macro = False
        elif line.lstrip().startswith("macdef"):
            in_macro = True
        elif not in_macro and not line.lstrip().startswith("#"):
            for word, start, end in shell_words(line):
                # An entry with no password would take the next word for one.
                yield word, Span(at + start, at + end, MOVED.encode())


def environment(text: str, variables: Mapping[str, str]) -> Iterator[Entry]:
    """`NAME=value` lines; `variables` says which name is whose key."""
    for at, line in lines(text):
        found = _ENV_LINE.fullmatch(line)
        if found is None or found[1] not in variables:
            continue
        word = _ENV_VALUE.fullmatch(found[2])
        if word is None or word[1].startswith("#"):
            continue
        value = "".join(shlex.split(word[1]))
        if value and "$" not in value:
            start, end = inside(*word.span(1), found[2])
            shift = at + found.start(2)
            yield Entry(
                KEY,
                provider=variables[found[1]],
                secret=Secret(value),
                spans=(Span(shift + start, shift + end),),
                variable=found[1],
            )


def nexus(text: str) -> Iterator[Entry]:
    """A JSON settings file with a Nexus Mods key in it, at any of the names that mod tools give it."""
    if not json_object(text):
        return
    for path, value, start, end in json_strings(text):
        if value and len(path) <= DEPTH and _NEXUS_KEY.fullmatch(path[-1].rpartition(".")[2]):
            yield Entry(
                KEY,
                provider="nexusmods",
                secret=Secret(value),
                spans=(Span(start, end),),
                variable=".".join(filter(None, path)),
            )


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
    body = json_object(text)
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
            reason="An export contains no secret, so you sign in to this account once on this computer",
        )


Parser = Callable[[str], Iterator[Entry]]


def parser_of(
    name: str, text: str, variables: Mapping[str, str], source: str | None = None
) -> tuple[str, Parser] | None:
    """The format `source`, or which one a file has by its name and else by its content; None if it is none."""

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
        body = json_object(text)
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


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
