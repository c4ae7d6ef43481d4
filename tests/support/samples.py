"""Sample accounts in every state, what happened to them, and keys that other tools keep."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from keyfob.core.account import AccountView, ErrorNote, LoggedEvent
from keyfob.core.http import Response
from keyfob.core.provider import Provider
from keyfob.protocol.http.responses import token_failure
from support.fake_ports import NOW

H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def view(provider: str, title: str, label: str, **more: Any) -> AccountView:
    """A connected account with an hour and fifty minutes of life, changed by `more`."""
    values: dict[str, Any] = {
        "id": f"{provider}/{label}",
        "key": f"key-{provider}-{label}".replace("@", "-"),
        "provider": provider,
        "provider_title": title,
        "label": label,
        "method": "oauth",
        "status": "connected",
        "subject": "248289761001",
        "name": None,
        "email": None,
        "plan": None,
        "avatar_url": None,
        "scopes": ("openid", "profile", "email"),
        "obtained_at": NOW - 58 * M,
        "expires_at": NOW + 52 * M,
        "renews_at": NOW + 42 * M,
        "renewable": True,
        "connected_at": NOW - 253 * D,
        "last_renewed_at": NOW - 58 * M,
        "grant_ends_at": None,
        "last_error": None,
        "key_tail": None,
        "color": "#d98f40",
        "shareable": True,
    }
    return AccountView(**(values | more))


def refused(provider: Provider, status: int, code: str, description: str, at: datetime) -> ErrorNote:
    """What an account remembers of a provider's refusal, in the words of the real code."""
    body = {"error": code} | ({"error_description": description} if description else {})
    response = Response(status, {"content-type": "application/json"}, json.dumps(body).encode(), at)
    error = token_failure(provider, response, f"{provider.title}'s token endpoint")
    return ErrorNote(error.code, error.message, error.advice, at, error.detail)


def sample_views() -> list[AccountView]:
    google, mastodon = Provider("google", "Google"), Provider("mastodon", "Mastodon")
    ended = refused(google, 400, "invalid_grant", "Token has been expired or revoked.", NOW - 3 * D)
    busy = refused(mastodon, 503, "temporarily_unavailable", "", NOW - 4 * M)
    return [
        view("nexusmods", "Nexus Mods", "aldis", name="Aldis", plan="premium", subject="41882907"),
        view(
            "bluesky", "Bluesky", "aldis.bsky.social", method="atproto", color="#2b7de9",
            subject="did:plc:z72i7hdynmk6r22z27h6tvur", scopes=("atproto", "transition:generic"),
            expires_at=NOW + 70 * M, renews_at=NOW + 61 * M, grant_ends_at=NOW + 9 * D,
        ),
        view(
            "github", "GitHub", "aldis-k", method="device", color="#24292f", name="aldis-k",
            scopes=("repo", "read:org", "gist", "workflow", "read:packages", "user:email", "notifications",
                    "admin:public_key", "read:discussion", "project"),
            narrower_scopes=("delete_repo",), obtained_at=NOW - H, expires_at=NOW + 7 * H + 30 * M,
            renews_at=NOW + 7 * H + 20 * M,
        ),
        view(
            "google", "Google", "work@example.org", email="work@example.org", status="needs_sign_in",
            color="#d0553f", last_error=ended,
            expires_at=NOW - 3 * D, renews_at=None, connected_at=NOW - 10 * D,
        ),
        view(
            "openai", "OpenAI", "key-f3qa", method="api_key", color="#111111", key_tail="f3Qa", scopes=(),
            expires_at=None, renews_at=None, renewable=False, last_renewed_at=None, subject="",
        ),
        view(
            "mastodon", "Mastodon", "aldis@social.example", color="#6364ff", status="stale", last_error=busy,
            expires_at=NOW - 2 * M, renews_at=NOW - 12 * M,
            name="Aldis von der Donaudampfschifffahrtsgesellschaft",
        ),
        view(
            "keycloak", "Keycloak Unternehmensanmeldung", "alexandra.featherstonehaugh", color="#5c5c63",
            name="Alexandra Featherstonehaugh-Cholmondeley", status="renewing", plan="Enterprise Unlimited",
            expires_at=NOW + 4 * M, renews_at=NOW - 1 * M, obtained_at=NOW - 20 * M,
        ),
        view(
            "spotify", "Spotify", "aldis", name="Aldis", color="#1db954", status="disconnected",
            expires_at=None, renews_at=None, renewable=False,
        ),
    ]  # fmt: skip


def sample_events(key: str, account_id: str = "") -> list[LoggedEvent]:
    lines = [
        (2 * D + 20 * H, "connected", "Connected as Aldis"),
        (2 * D + 9 * H, "renewed", "Renewed"),
        (2 * D + 2 * H, "renewed", "Renewed"),
        (1 * D + 11 * H, "renewed", "Renewed"),
        (11 * H, "renewal_failed", "Nexus Mods is not available right now; Keyfob tries again"),
        (10 * H + 50 * M, "renewed", "Renewed"),
        (2 * H + 38 * M, "renamed", "Renamed from al to aldis"),
        (58 * M, "renewed", "Renewed"),
    ]
    return [
        LoggedEvent(NOW - ago, account_id, key, kind, text, None, n)
        for n, (ago, kind, text) in enumerate(lines)
    ]


def write_tool_files(home: Path) -> None:
    """What other tools have left in a user's own folder: two keys that can be moved, a sign-in that cannot,
    and one that only its tool may renew.
    """
    files = {
        ".config/gh/hosts.yml": "github.com:\n    user: aldis-k\n    oauth_token: github_pat_canary-9xQa\n",
        ".git-credentials": "https://aldis:glpat-canary-mN2c@gitlab.com\n",
        "emailproxy.config": "[work@example.org]\ntoken_url = https://oauth2.googleapis.com/token\n"
        "client_id = app-1\n",
        ".codex/auth.json": json.dumps({"tokens": {"refresh_token": "canary-codex"}}),
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
