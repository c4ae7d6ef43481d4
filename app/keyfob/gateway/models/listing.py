"""`/v1/models`: one answer that clients of OpenAI, Anthropic and the Codex command line all read. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from keyfob.gateway.llm.formats import Json


def model(name: str) -> Json:
    """One model. When it was made is not known."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "keyfob",
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    }


def models(names: Iterable[str]) -> Json:
    """The list. Codex wants `models`, and keeps its own knowledge if that is empty."""
    data = [model(name) for name in names]
    return {
        "object": "list",
        "data": data,
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "models": [],
    }


def names_in(answer: object) -> list[str]:
    """The names in an upstream's list, in whatever format."""
    if not isinstance(answer, dict):
        return []
    rows = answer.get("data") or answer.get("models") or []
    found = [row.get("id") or row.get("slug") for row in rows if isinstance(row, dict)]
    return [name for name in found if isinstance(name, str)]
