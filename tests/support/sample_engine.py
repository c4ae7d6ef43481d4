"""The real engine over fake ports, with an account in every state: what the samples' views show, as records and grants.

A test reaches outside through the ports: `engine.vault` is a FakeVault, `engine.transport` a ScriptedTransport,
`engine.clock` a FixedClock, `engine.autostart` a FakeAutostart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keyfob.core.account import (
    Account,
    AccountView,
    Connected,
    Disconnected,
    ErrorNote,
    NeedsSignIn,
    Pin,
    Record,
    Stale,
    Status,
)
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.service.accounts.grant_store import GrantStore
from support.fake_engine import NOW, sample_views
from support.fake_ports import fake_ports

SERVER = Server(
    None,
    Endpoints(
        authorization_endpoint="https://id.example.org/authorize",
        token_endpoint="https://id.example.org/token",
        revocation_endpoint="https://id.example.org/revoke",
    ),
)


def status_of(view: AccountView) -> Status:
    note = view.last_error or ErrorNote("network_unreachable", "The provider cannot be reached", "retry", NOW)
    match view.status:
        case "needs_sign_in":
            return NeedsSignIn(note.at, note)
        case "stale":
            return Stale(note.at, note)
        case "disconnected":
            return Disconnected(NOW)
        case _:
            return Connected()


def record_of(view: AccountView) -> Record:
    """The stored record of which a face sees this view."""
    return Record(
        Account(
            view.key,
            view.provider,
            view.label,
            view.method,
            view.subject,
            Pin(SERVER, client_id="client-1"),
            name=view.name,
            email=view.email,
            plan=view.plan,
            asked_scopes=(*view.scopes, *view.narrower_scopes),
            created_at=view.connected_at,
        ),
        status_of(view),
        generation=1,
        scopes=view.scopes,
        obtained_at=view.obtained_at,
        expires_at=view.expires_at,
        renews_at=view.renews_at,
        renewable=view.renewable,
        connected_at=view.connected_at,
        last_renewed_at=view.last_renewed_at,
        grant_ends_at=view.grant_ends_at,
        last_error=view.last_error,
        key_tail=view.key_tail,
    )


def grant_of(view: AccountView) -> Grant:
    return Grant(
        Secret("canary-access-token"),
        view.obtained_at or NOW,
        refresh=Secret("canary-refresh-token") if view.renewable else None,
        expires_at=view.expires_at,
        scopes=view.scopes,
        generation=1,
    )


def sample_engine(folder: Path, views: Sequence[AccountView] | None = None, **ports: Any) -> Engine:
    """With these accounts; `ports` replace fields of `Ports`. The first start is over."""
    engine = build(fake_ports(folder, **ports))
    add_accounts(engine, sample_views() if views is None else views)
    settings = engine.settings.load()
    engine.settings.save(settings.__class__(first_start_done=True), settings)
    return engine


def add_accounts(engine: Engine, views: Sequence[AccountView]) -> None:
    grants = GrantStore(engine.vault)
    for view in views:
        engine.store.put(record_of(view))
        if view.status != "disconnected":
            grants.save(view.key, grant_of(view))
