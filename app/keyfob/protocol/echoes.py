"""What a peer says back of what it was sent: an error that quotes a token, a code or a key must not carry it on.

Called by the runner for every error that a flow raises: error descriptions are shown, stored and logged, and servers do
write "refresh token abc has expired". Never changes the kind of an error, and nothing but its words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, urlsplit

from keyfob.core.errors import KeyfobError
from keyfob.core.wire import Request

SHORTEST = 8  # characters; shorter ones would blank out ordinary words
INSTEAD = "[redacted]"
_SECRET_FIELDS = frozenset(
    {
        "access_token", "api_key", "assertion", "client_assertion", "client_secret", "code", "code_verifier",
        "device_code", "id_token", "key", "password", "refresh_token", "state", "token",
    }
)  # fmt: skip
_PLAIN_HEADERS = frozenset(
    {"accept", "content-type", "user-agent", "content-length", "application-name", "application-version"}
)


def silence(error: KeyfobError, sent: Sequence[Request]) -> None:
    """Takes what `sent` held of secrets out of the error's words."""
    for secret in sorted(set(_secrets(sent)), key=len, reverse=True):
        if secret in error.message:
            error.message = error.message.replace(secret, INSTEAD)
        if secret in error.detail:
            error.detail = error.detail.replace(secret, INSTEAD)
        if error.remedy and secret in error.remedy:
            error.remedy = error.remedy.replace(secret, INSTEAD)
    error.args = (error.message,)


def _secrets(sent: Sequence[Request]) -> Iterator[str]:
    for request in sent:
        for name, value in request.headers.items():
            if name.lower() not in _PLAIN_HEADERS:
                yield from (word for word in value.split() if len(word) >= SHORTEST)
        for name, value in (*parse_qsl(urlsplit(request.url).query), *_fields(request)):
            if name in _SECRET_FIELDS and len(value) >= SHORTEST:
                yield value


def _fields(request: Request) -> list[tuple[str, str]]:
    """The names and texts of a form or a flat JSON object; none of what is neither."""
    try:
        text = (request.body or b"").decode()
        if text.startswith("{"):
            return [(name, value) for name, value in json.loads(text).items() if isinstance(value, str)]
        return parse_qsl(text)
    except ValueError:
        return []
