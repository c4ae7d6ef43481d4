"""Email OAuth 2.0 Proxy: the mailboxes in its configuration, and their app registrations."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.tools.entries import SIGN_IN, Entry, Format, Place
from keyfob.tools.tool import Tool


def emailproxy(text: str) -> Iterator[Entry]:
    """An Email OAuth 2.0 Proxy config. Its tokens are encrypted with each mailbox's password, so they stay
    there; the app registration comes along.
    """
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
            reason="The proxy keeps its tokens encrypted with the mailbox's password, so Keyfob cannot move "
            "them",
        )


def _recognized(text: str, body: Mapping[str, Any] | None) -> bool:
    return body is None and "token_url" in text and re.search(r"(?m)^\s*\[.+\]", text) is not None


TOOL = Tool(
    "emailproxy",
    formats=(
        Format(
            "emailproxy",
            "Email OAuth 2.0 Proxy",
            emailproxy,
            _recognized,
            places=(Place("emailproxy.config"), Place(".config/emailproxy/emailproxy.config")),
        ),
    ),
)
