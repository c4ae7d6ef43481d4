"""Clients at providers that need no app registration: the application registers itself (RFC 7591,
Mastodon's way).

One client for each provider and server is kept in the database, sealed, and all servers of the
application use it. A session has a copy, so that it goes on if the client is registered anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.provider import Provider, Server
from keyfob.core.quirks import client_of
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.gateway.web.sealing import SealedError, Sealer
from keyfob.gateway.web.settings import WebSettings
from keyfob.gateway.web.tables import ClientRow
from keyfob.ports import Locks
from keyfob.protocol.context import Client
from keyfob.protocol.effects import Flow
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth import register
from keyfob.protocol.oauth.provider_quirks import own_registration
from keyfob.protocol.oauth.register import Registered
from keyfob.service.contexts import ClientSecrets, stored_auth
from keyfob.service.runner import Runner

LOCK_WAIT = timedelta(seconds=60)
LEFT_LEAST = timedelta(days=1)  # a client whose secret ends sooner begins no new session


class Registrations:
    """Blocking and thread-safe. Raises SQLAlchemyError, and as registration does."""

    def __init__(
        self,
        settings: WebSettings,
        sessions: sessionmaker[Session],
        sealer: Sealer,
        runner: Runner,
        env: FlowEnv,
        locks: Locks,
    ) -> None:
        self._settings, self._sessions, self._sealer = settings, sessions, sealer
        self._runner, self._env, self._locks = runner, env, locks

    def needed(self, provider: Provider) -> bool:
        """Whether an application registers itself at this provider."""
        return provider.policy.client_id == "dynamic" or client_of(provider.quirks) == "registered"

    def client(
        self, provider: Provider, server: Server, inputs: Mapping[str, str], scopes: tuple[str, ...]
    ) -> tuple[Client, ClientSecrets]:
        """The application's client there, registered now if there is none yet."""
        key = self._key(provider.id, inputs, scopes)
        found = self._kept(key, provider)
        if found is None:
            with self._locks.hold(f"web-client-{key}", timeout=LOCK_WAIT):
                found = self._kept(key, provider)  # another server may have registered it
                if found is None:
                    found = self._runner.run(self._registration(provider, server, scopes))
                    self._keep(key, found)
        secrets = ClientSecrets(found.client_secret, found.registration_access_token)
        return Client(found.client_id, found.auth, found.client_secret), secrets

    def forget(self, provider_id: str, inputs: Mapping[str, str], scopes: tuple[str, ...]) -> None:
        """Register anew the next time: the server does not know the client any more."""
        with self._sessions.begin() as session:
            key = self._key(provider_id, inputs, scopes)
            session.execute(delete(ClientRow).where(ClientRow.client_key == key))

    def _registration(self, provider: Provider, server: Server, scopes: tuple[str, ...]) -> Flow[Registered]:
        name, callback = self._settings.client_name, self._settings.callback_url
        own = own_registration(provider, server, callback, scopes, name)
        if own is not None:
            return own
        offered = server.token_endpoint_auth_methods_supported
        confidential = offered is None or "client_secret_basic" in offered
        metadata: dict[str, object] = {
            "client_name": name,
            "application_type": "web",
            "redirect_uris": [callback],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic" if confidential else "none",
            "scope": " ".join(scopes),
        }
        if self._settings.client_uri is not None:
            metadata["client_uri"] = self._settings.client_uri
        return register.register(server.endpoints.registration_endpoint, metadata)

    def _key(self, provider_id: str, inputs: Mapping[str, str], scopes: tuple[str, ...]) -> str:
        what = [provider_id, sorted(inputs.items()), self._settings.callback_url, list(scopes)]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def _kept(self, key: str, provider: Provider) -> Registered | None:
        with self._sessions() as session:
            row = session.get(ClientRow, key)
        if row is None:
            return None
        try:
            body = json.loads(self._sealer.open(row.sealed, "web_clients", key))
        except SealedError:
            return None
        ends = from_rfc3339(body["expires_at"])
        if ends is not None and ends <= self._env.now() + LEFT_LEAST:
            return None
        return Registered(
            client_id=body["client_id"],
            auth=stored_auth(body["auth"], provider.title),
            client_secret=Secret(body["secret"]) if body["secret"] else None,
            secret_expires_at=ends,
            registration_access_token=Secret(body["token"]) if body["token"] else None,
        )

    def _keep(self, key: str, client: Registered) -> None:
        secret, token = client.client_secret, client.registration_access_token
        body = {
            "client_id": client.client_id,
            "auth": client.auth,
            "secret": secret.reveal() if secret else None,
            "token": token.reveal() if token else None,
            "expires_at": to_rfc3339(client.secret_expires_at),
        }
        sealed = self._sealer.seal(json.dumps(body).encode(), "web_clients", key)
        with self._sessions.begin() as session:
            session.merge(ClientRow(client_key=key, sealed=sealed))
