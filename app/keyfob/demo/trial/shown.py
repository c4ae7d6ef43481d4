"""How a request is shown: secrets as placeholders, and parameters one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from keyfob.core.encoding import basic
from keyfob.core.http import Request
from keyfob.core.provider import EMPTY
from keyfob.demo.trial import made_up
from keyfob.demo.trial.wire import Exchange

# What Keyfob makes afresh for each sign-in, by the name of its parameter.
FRESH = {
    "state": "<state>",
    "nonce": "<nonce>",
    "code_challenge": "<PKCE challenge>",
    "code_verifier": "<PKCE verifier>",
    "codeVerifier": "<PKCE verifier>",  # AWS writes names so
    "client_assertion": "<client assertion>",
}
KNOWN = {
    made_up.CLIENT_ID: "<client id>",
    made_up.ISSUED_CLIENT_ID: "<issued client id>",
    made_up.CLIENT_SECRET: "<client secret>",
    made_up.API_KEY: "<API key>",
    made_up.KEY_SECOND: "<second part of the key>",
    made_up.PASSWORD: "<password>",
    made_up.CODE: "<code>",
    made_up.DEVICE_CODE: "<device code>",
    made_up.POLL_TOKEN: "<poll token>",
}


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A request without secrets. `url` has no query; `query` and `form` have the parameters."""

    purpose: str
    method: str
    url: str
    status: int
    by_browser: bool
    query: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    form: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    body: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object of `providers try --json`."""
        return {
            "for": self.purpose,
            "by": "browser" if self.by_browser else "keyfob",
            "method": self.method,
            "url": self.url,
            "query": dict(self.query),
            "headers": dict(self.headers),
            "form": dict(self.form),
            "body": self.body,
            "status": self.status,
        }


def shown(exchange: Exchange, issued: Mapping[str, str]) -> ShownRequest:
    """The exchange's request. `issued`: the placeholders of the secrets that the provider gave."""
    request = exchange.request
    words = {**KNOWN, **issued}
    bare, _, query = request.url.partition("?")
    form, body = _body(request, words)
    return ShownRequest(
        purpose="sign-in page" if exchange.by_browser else request.purpose,
        method=request.method,
        url=_hidden(bare, words),
        status=exchange.status,
        by_browser=exchange.by_browser,
        query=_parameters(query, words),
        headers={name: _header(name, value, words) for name, value in request.headers.items()},
        form=form,
        body=body,
    )


def _body(request: Request, words: Mapping[str, str]) -> tuple[Mapping[str, str], str | None]:
    text = (request.body or b"").decode("utf-8", "replace")
    kind = next((v for k, v in request.headers.items() if k.lower() == "content-type"), "")
    if "urlencoded" in kind:
        return _parameters(text, words), None
    if text and "json" in kind:
        try:
            found = json.loads(text)
        except ValueError:
            return EMPTY, _hidden(text, words)
        if isinstance(found, dict):
            found = {name: FRESH.get(name, value) for name, value in found.items()}
        return EMPTY, _hidden(json.dumps(found, indent=2, ensure_ascii=False), words)
    return EMPTY, _hidden(text, words) or None


def _parameters(text: str, words: Mapping[str, str]) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    return {name: FRESH.get(name, _hidden(value, words)) for name, value in pairs}


def _header(name: str, value: str, words: Mapping[str, str]) -> str:
    if name.lower() == "dpop":
        return "<DPoP proof>"
    if name.lower() == "authorization" and value.startswith("Basic "):
        for user in (made_up.CLIENT_ID, made_up.ISSUED_CLIENT_ID):
            for secret in (made_up.CLIENT_SECRET, ""):
                if value == basic(user, secret):
                    return f"Basic <client id>:{'<client secret>' if secret else ''}"
        return "Basic <user name and secret>"
    return _hidden(value, words)


def _hidden(text: str, words: Mapping[str, str]) -> str:
    # The longest first: one token may begin with another.
    for secret in sorted(words, key=len, reverse=True):
        text = text.replace(secret, words[secret])
    return text
