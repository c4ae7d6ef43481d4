"""What other tools keep in plain files: finds the keys and tokens in them, and says what can be moved here.

Pure: text in, findings out; reading and blanking the files is the caller's (`keyfob import`). A refresh token that
another tool goes on using is never taken: two tools that renew one rotating token lose it for both.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from keyfob.core.errors import Usage
from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.core.text import plain

DEPTH = 6  # of a JSON settings file
# Variables as the providers' own documentation names them.
VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "ANTHROPIC_API_KEY": "anthropic",
        "FIGMA_TOKEN": "figma",
        "GH_TOKEN": "github",
        "GITHUB_TOKEN": "github",
        "GITLAB_TOKEN": "gitlab",
        "HF_TOKEN": "huggingface",
        "HUGGING_FACE_HUB_TOKEN": "huggingface",
        "NEXUS_API_KEY": "nexusmods",
        "NEXUSMODS_API_KEY": "nexusmods",
        "NOTION_TOKEN": "notion",
        "OPENAI_API_KEY": "openai-api",
        "OPENROUTER_API_KEY": "openrouter",
        "ZENODO_TOKEN": "zenodo",
    }
)
HOSTS: Mapping[str, str] = MappingProxyType(
    {
        "github.com": "github",
        "api.github.com": "github",
        "gitlab.com": "gitlab",
        "codeberg.org": "codeberg",
        "huggingface.co": "huggingface",
    }
)
NEXUS_KEYS = frozenset({"apikey", "nexusapikey", "nexusmodsapikey", "personalapikey"})
ANOTHER_TOOL = "another tool goes on using this sign-in, and it cannot have two owners"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a file. `secret` None: it cannot be moved, and `why` says so. The caller owns the secret."""

    provider: str | None
    whose: str  # a user or a variable, as the file names it; made plain
    secret: Secret | None = None
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    why: str | None = None


def read(source: str, text: str) -> list[Found]:
    """What a file of this source holds, each secret once. Raises Usage where the text is not such a file."""
    try:
        found = list(SOURCES[source](text))
    except (ValueError, KeyError, configparser.Error, RecursionError) as error:
        raise Usage(f"That is no file of {source}", remedy="Name the right file with --file.") from error
    seen: set[tuple[str | None, Secret | None, str]] = set()
    out = []
    for item in found:
        key = (item.provider, item.secret, "" if item.secret else item.whose)
        if key not in seen:
            seen.add(key)
            out.append(item)
    return out


def blanked(source: str, text: str, moved: list[Secret]) -> str:
    """The text without these secrets, still a file that its tool can read."""
    for secret in moved:
        word = secret.reveal()
        if source == "git-credentials":
            text = "".join(line for line in text.splitlines(True) if word not in unquote(line))
        else:
            # A .netrc entry without a password would swallow the next word.
            text = text.replace(word, "moved-to-keyfob" if source == "netrc" else "")
    return text


def _git_credentials(text: str) -> Iterator[Found]:
    for line in text.splitlines():
        parts = urlsplit(line.strip())
        if parts.scheme in ("http", "https") and parts.hostname and parts.password:
            yield _at_host(parts.hostname, unquote(parts.username or ""), unquote(parts.password))


def _netrc(text: str) -> Iterator[Found]:
    words = iter(shlex.split(text, comments=True))
    entry: dict[str, str] = {}
    for word in words:
        if word in ("machine", "default"):
            if "password" in entry and entry.get("machine"):
                yield _at_host(entry["machine"], entry.get("login", ""), entry["password"])
            entry = {"machine": next(words, "") if word == "machine" else ""}
        elif word in ("login", "account", "password"):
            entry[word] = next(words, "")
    if entry.get("password") and entry.get("machine"):
        yield _at_host(entry["machine"], entry.get("login", ""), entry["password"])


def _gh(text: str) -> Iterator[Found]:
    """`hosts.yml`: hosts at the margin, a token beneath a host or beneath one of its users."""
    host = user = ""
    found = False
    for line in text.splitlines():
        entry = re.fullmatch(r"(\s*)([^\s:#][^:]*):\s*(.*)", line)
        if entry is None:
            continue
        indent, key, value = len(entry[1]), entry[2].strip("\"'"), entry[3].strip().strip("\"'")
        if indent == 0:
            host, user = key, ""
        elif key == "oauth_token" and value:
            found = True
            yield _at_host(host, user, value, enterprise=True)
        elif not value and key != "users":
            user = key
    if host and not found:
        yield Found(HOSTS.get(host), host, why="gh keeps its token in the keychain already")


def _env(text: str) -> Iterator[Found]:
    for line in text.splitlines():
        entry = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", line)
        if entry is None or entry[1] not in VARIABLES:
            continue
        value = entry[2]
        quoted = re.match(r"""(["'])(.*?)\1""", value)
        value = quoted[2] if quoted else value.partition(" #")[0].strip()
        if value and not value.startswith("$"):
            inputs = {"instance": "gitlab.com"} if VARIABLES[entry[1]] == "gitlab" else {}
            yield Found(VARIABLES[entry[1]], entry[1], Secret(value), inputs)


def _codex(text: str) -> Iterator[Found]:
    data = json.loads(text)
    key, tokens = data.get("OPENAI_API_KEY"), data.get("tokens")
    if isinstance(key, str) and key:
        yield Found("openai-api", "OPENAI_API_KEY", Secret(key))
    if isinstance(tokens, dict) and tokens.get("refresh_token"):
        yield Found("openai", "Sign in with ChatGPT", why=ANOTHER_TOOL)


def _nexus(text: str) -> Iterator[Found]:
    def walk(value: Any, depth: int) -> Iterator[Found]:
        if depth > DEPTH:
            return
        if isinstance(value, dict):
            for name, entry in value.items():
                if (
                    re.sub(r"[^a-z]", "", str(name).lower()) in NEXUS_KEYS
                    and isinstance(entry, str)
                    and entry
                ):
                    yield Found("nexusmods", plain(name, 40), Secret(entry))
                else:
                    yield from walk(entry, depth + 1)
        elif isinstance(value, list):
            for entry in value:
                yield from walk(entry, depth + 1)

    yield from walk(json.loads(text), 0)


def _emailproxy(text: str) -> Iterator[Found]:
    """An e-mail proxy's accounts: its tokens are encrypted with the e-mail password, which nobody tells us."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read_string(text)
    for section in config.sections():
        host = urlsplit(config[section].get("token_url", "")).hostname or ""
        if not host:
            continue
        provider = "google" if host.endswith("googleapis.com") else None
        provider = "microsoft" if host == "login.microsoftonline.com" else provider
        yield Found(provider, plain(section, 80), why="its tokens are encrypted: sign in once")


SOURCES: Mapping[str, Callable[[str], Iterator[Found]]] = MappingProxyType(
    {
        "gh": _gh,
        "git-credentials": _git_credentials,
        "netrc": _netrc,
        "codex": _codex,
        "env": _env,
        "nexus": _nexus,
        "emailproxy": _emailproxy,
    }
)


def _at_host(host: str, user: str, secret: str, *, enterprise: bool = False) -> Found:
    host = host.lower()
    whose = plain(f"{user} at {host}" if user else host, 80)
    provider = HOSTS.get(host)
    if provider is None and enterprise:
        return Found("github-enterprise", whose, Secret(secret), {"instance": host})
    if provider is None:
        return Found(None, whose, why="no preset says what this host's passwords are")
    return Found(provider, whose, Secret(secret), {"instance": host} if provider == "gitlab" else EMPTY)
