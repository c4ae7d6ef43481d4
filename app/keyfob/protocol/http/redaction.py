"""Removes secrets from what a peer says: an error that quotes a token, a code or a key must not spread it.

The runner calls it for every error that a flow raises, because error descriptions are shown, stored and
logged, and some servers write "refresh token abc has expired". The peer's words are already cut to a line, so
a part of a secret counts like the whole. It changes only the words of an error, never its kind.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import cast
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from keyfob.core.errors import KeyfobError
from keyfob.core.facts import Facts
from keyfob.core.http import Request

SHORTEST = 8  # characters; shorter ones would blank out ordinary words
PART = 16  # characters of a secret in a row that no other text has by chance
INSTEAD = "[redacted]"
# The ends of names, without what separates their words: client_secret, clientSecret, auth-key.
_SECRET_ENDS = ("assertion", "code", "codeverifier", "key", "password", "secret", "state", "token")
_PLAIN_HEADERS = frozenset(
    {"accept", "content-type", "user-agent", "content-length", "application-name", "application-version"}
)


def silence(error: KeyfobError, sent: Sequence[Request]) -> None:
    """Takes what `sent` held of secrets out of the error's words."""
    secrets = sorted(set(_secrets(sent)), key=len, reverse=True)
    error.message = _without(secrets, error.message)
    error.detail = _without(secrets, error.detail)
    error.facts = cast(Facts, {name: _without(secrets, str(fact)) for name, fact in error.facts.items()})
    error.args = (error.message,)


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, INSTEAD)
        if len(secret) > PART:
            text = _without_parts(secret, text)
        # Where `core.text.plain` cut the text, the secret's beginning may stand before the mark.
        for length in range(min(PART, len(secret)) - 1, SHORTEST - 1, -1):
            text = text.replace(f"{secret[:length]}…", f"{INSTEAD}…")
    return text


def _without_parts(secret: str, text: str) -> str:
    parts = {secret[at : at + PART] for at in range(len(secret) - PART + 1)}
    kept, at = [], 0
    while at < len(text):
        if text[at : at + PART] not in parts:
            kept.append(text[at])
            at += 1
            continue
        end = at + PART
        while end < len(text) and text[end - PART + 1 : end + 1] in parts:
            end += 1
        kept.append(INSTEAD)
        at = end
    return "".join(kept)


def _secrets(sent: Sequence[Request]) -> Iterator[str]:
    for request in sent:
        for name, value in request.headers.items():
            if name.lower() not in _PLAIN_HEADERS:
                yield from (word for word in value.split() if len(word) >= SHORTEST)
                yield from _password(value)
        for name, value in (*parse_qsl(urlsplit(request.url).query), *_fields(request)):
            if _is_secret(name) and len(value) >= SHORTEST:
                yield value


def _is_secret(name: str) -> bool:
    return "".join(char for char in name.lower() if char.isalnum()).endswith(_SECRET_ENDS)


def _password(value: str) -> Iterator[str]:
    """What a header for Basic authentication encodes (RFC 6749 §2.3.1: a client secret, form-encoded)."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            name, _, password = base64.b64decode(encoded).decode().partition(":")
            secret = unquote_plus(password or name)  # some take a key as the user name, without a password
            if len(secret) >= SHORTEST:
                yield secret


def _fields(request: Request) -> list[tuple[str, str]]:
    """The names and texts of a form or a flat JSON object; none of what is neither."""
    try:
        text = (request.body or b"").decode()
        if text.startswith("{"):
            return [(name, value) for name, value in json.loads(text).items() if isinstance(value, str)]
        return parse_qsl(text)
    except ValueError:
        return []
