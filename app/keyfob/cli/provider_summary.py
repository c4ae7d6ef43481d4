"""A provider as `keyfob providers list --json` shows it."""

from __future__ import annotations

from typing import Any

from keyfob.core.provider import Provider


def summary(provider: Provider) -> dict[str, Any]:
    """A provider's line of `providers list --json`."""
    return {
        "id": provider.id,
        "title": provider.title,
        "category": provider.category,
        "methods": list(provider.methods),
        "client_id_policy": provider.policy.client_id,
        "needs_registration": provider.policy.client_id == "user"
        and provider.client.client_id is None
        and not provider.publisher,
        "published_for": list(provider.publisher),
        "blocked": provider.policy.blocked,
        "share": provider.policy.share,
        "inputs": [
            {"name": entry.name, "title": entry.title, "example": entry.example, "default": entry.default}
            for entry in provider.inputs
        ],
        "access": [
            {
                "id": each.id,
                "title": each.title,
                "allows": each.allows,
                "scopes": list(each.scopes),
                "default": each.default,
                "risky": each.risky,
            }
            for each in provider.access
        ],
        "tested": provider.tested,
        "facts": provider.facts,
        "origin": provider.origin,
        "docs": provider.docs,
    }
