"""The real engine over fake ports, with an account in every state: what
the samples' views show, as records and grants.

A test reaches outside through the ports: `engine.vault` is a FakeVault, `engine.transport` a
ScriptedTransport, `engine.clock` a FixedClock, `engine.autostart` a FakeAutostart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyfob.adapters.network.transport import unreachable
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
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.provider import Provider, Server
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.protocol.token_placement import api_of
from keyfob.providers.substitute import fill
from keyfob.service.accounts.grant_store import GrantStore
from support.fake_ports import fake_ports
from support.samples import NOW, sample_views

TYPED = {"handle": "aldis.bsky.social", "host": "social.example", "url": "https://login.example.org"}


def status_of(view: AccountView) -> Status:
    note = view.last_error or ErrorNote(
        "network_unreachable", "The provider cannot be reached", Advice.RETRY, NOW
    )
    match view.status:
        case "needs_sign_in":
            return NeedsSignIn(note.at, note)
        case "stale":
            return Stale(note.at, note)
        case "disconnected":
            return Disconnected(NOW)
        case _:
            return Connected()


def _server(provider: Provider) -> Server:
    """The preset's own addresses, and what discovery would have found besides."""
    if provider.discovery is None and "atproto" not in provider.methods:
        return provider.default_server()
    issuer, ends = provider.issuer or "https://bsky.social", provider.endpoints
    found = replace(
        ends,
        token_endpoint=ends.token_endpoint or f"{issuer}/token",
        revocation_endpoint=ends.revocation_endpoint or f"{issuer}/revoke",
    )
    return Server(issuer, found)


def record_of(view: AccountView, provider: Provider) -> Record:
    """The stored record of which a face sees this view, signed in at the preset's own addresses."""
    inputs = {each.name: each.default or TYPED.get(each.kind, "typed") for each in provider.inputs}
    filled = fill(provider, inputs)
    return Record(
        Account(
            view.key,
            view.provider,
            view.label,
            view.method,
            view.subject,
            Pin(
                _server(filled),
                client_id="client-1",
                inputs=inputs,
                api_base=filled.api.base,
                api_hosts=api_of(filled, view.method).hosts,
                resource=filled.resource,
            ),
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
        refresh=Secret(f"canary-refresh-of-{view.key}") if view.renewable else None,
        expires_at=view.expires_at,
        scopes=view.scopes,
        generation=1,
    )


def sample_engine(
    folder: Path, views: Sequence[AccountView] | None = None, *, first_start: bool = False, **ports: Any
) -> Engine:
    """With these accounts; `ports` replace fields of `Ports`. `first_start`: it is still to come."""
    engine = build(fake_ports(folder, **ports))
    add_accounts(engine, sample_views() if views is None else views)
    settings = engine.settings.load()
    engine.settings.save(replace(settings, first_start_done=not first_start), settings)
    return engine


def add_accounts(engine: Engine, views: Sequence[AccountView]) -> None:
    grants = GrantStore(engine.vault)
    for view in views:
        engine.store.put(record_of(view, engine.providers.get(view.provider)))
        if view.status != "disconnected":
            grants.save(view.key, grant_of(view))


def change(engine: Engine, ref: str, **values: Any) -> None:
    """As another part of the program changes an account's record, and says so."""
    key = engine.accounts.resolve(ref).account.key
    changed = engine.store.update(key, lambda record: replace(record, **values))
    assert changed is not None
    engine.events.notify(changed, "idle")


class ProviderServer:
    """Answers for one account: renewals and who it is. Nobody else's
    server can be reached. `fault`: what the next renewal raises.
    """

    def __init__(self, key: str = "key-github-aldis-k") -> None:
        self.key = key
        self.fault: KeyfobError | None = None
        self.sent: list[str] = []  # the purposes of this account's requests

    def __call__(self, request: Request) -> Response:
        ours = self.key.encode() in (request.body or b"")
        known = "Bearer canary" in request.headers.get("Authorization", "")
        if not (ours or known):
            raise unreachable(urlsplit(request.url).netloc)
        self.sent.append(request.purpose)
        if self.fault is not None:
            raise self.fault
        body: dict[str, Any] = {
            "access_token": "canary-access-token-2",
            "refresh_token": f"canary-refresh-of-{self.key}-2",
            "token_type": "bearer",
            "expires_in": 28_800,
        }
        if not ours:
            body = {"id": 248289761001, "login": "aldis-k", "name": "Aldis"}
        return Response(200, {"content-type": "application/json"}, json.dumps(body).encode(), NOW)
