"""Codex: the API key in its auth.json, and its own sign-in, which is shown and never used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.entries import KEY, READ_ONLY, Entry, Format, Place
from keyfob.tools.text_places import json_object, json_strings
from keyfob.tools.tool import Tool


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
            reason="Codex renews this sign-in, and its refresh token changes each time. If Keyfob renewed "
            "it too, both would be signed out",
        )


def _recognized(_: str, body: Mapping[str, Any] | None) -> bool:
    return body is not None and ("OPENAI_API_KEY" in body or "tokens" in body)


TOOL = Tool(
    "codex",
    formats=(
        Format("codex", "Codex", codex, _recognized, places=(Place(".codex/auth.json", "CODEX_HOME"),)),
    ),
)
