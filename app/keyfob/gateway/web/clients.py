"""Which client this server is at a provider, and the context in which a flow runs."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.core.account import Record
from keyfob.core.errors import SettingWrong
from keyfob.core.grant import SigningKey
from keyfob.core.provider import Provider, Server
from keyfob.core.words import Algorithm, ClientAuth
from keyfob.gateway.web.client_keys import ClientKeySet
from keyfob.gateway.web.registrations import Registrations
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.service.contexts import NO_SECRETS, ClientSecrets, ContextBuilder
from keyfob.service.sign_in.clients import auth_for

ATPROTO_ALG: Algorithm = "ES256"  # the one algorithm that each atproto server takes


class Clients:
    """Blocking and thread-safe."""

    def __init__(
        self,
        settings: WebSettings,
        keys: ClientKeySet,
        contexts: ContextBuilder,
        env: FlowEnv,
        registrations: Registrations,
    ) -> None:
        self._settings, self._keys, self._contexts, self._env = settings, keys, contexts, env
        self._registrations = registrations

    def for_sign_in(
        self,
        app: AppRegistration,
        provider: Provider,
        server: Server,
        inputs: Mapping[str, str],
        scopes: tuple[str, ...],
    ) -> tuple[Client, ClientSecrets]:
        """The client of a new sign-in, registered now if the provider takes that. Raises SettingWrong,
        SQLAlchemyError, and as registration does.
        """
        if "atproto" in provider.methods and app.client_id is None:
            key = self._keys.newest(self._env.now(), ATPROTO_ALG)
            if key is None and self._keys.keys:
                raise SettingWrong("atproto servers need a client key of the algorithm ES256")
            auth: ClientAuth = "private_key_jwt" if key else "none"
            return Client(self._settings.client_id, auth, None, key), _named(key)
        if app.client_id is None:
            if provider.policy.blocked:
                raise SettingWrong(
                    provider.policy.blocked,
                    code="blocked_by_terms",
                    facts={"page": provider.policy.terms or ""},
                )
            if self._registrations.needed(provider):
                return self._registrations.client(provider, server, inputs, scopes)
            return self._without_registration(provider)
        auth = app.client_auth or auth_for(provider, app.secret is not None)
        if auth != "private_key_jwt":
            return Client(app.client_id, auth, app.secret), NO_SECRETS
        key = self._keys.newest(
            self._env.now(), provider.client.alg if provider.client.auth == auth else None
        )
        if key is None:
            raise SettingWrong(f"{provider.title} needs a client key", code="client_key_missing")
        return Client(app.client_id, auth, None, key), _named(key)

    def _without_registration(self, provider: Provider) -> tuple[Client, ClientSecrets]:
        if provider.policy.client_id == "none":
            return Client(None), NO_SECRETS
        raise SettingWrong(
            f"{provider.title} needs your own app registration",
            code="client_missing",
            facts={
                "page": provider.policy.register_at or "",
                "redirect": self._settings.callback_url,
            },
        )

    def forget(self, record: Record) -> None:
        """The server refuses the client: if it was registered, it is registered anew the next time. Raises
        SQLAlchemyError.
        """
        account = record.account
        self._registrations.forget(account.provider, account.pin.inputs, account.asked_scopes)

    def context(
        self, app: AppRegistration | None, record: Record, secrets: ClientSecrets, dpop_key: SigningKey | None
    ) -> FlowContext:
        """For a sign-in that has begun, and for a session. `app` is None if it is not configured any more.
        Raises SettingWrong, NotFound, SignInNeeded `preset_changed`.
        """
        provider = self._contexts.provider(record)
        self._contexts.refuse_changed_preset(record)
        pin = record.account.pin
        return FlowContext(
            provider=provider,
            server=pin.server,
            client=self._client(app, record, secrets),
            env=self._env,
            redirect_uri=pin.redirect_uri,
            scopes=record.account.asked_scopes,
            resource=pin.resource,
            dpop_key=dpop_key,
            inputs=pin.inputs,
        )

    def _client(self, app: AppRegistration | None, record: Record, secrets: ClientSecrets) -> Client:
        pin = record.account.pin
        key = self._keys.get(secrets.key_id) if secrets.key_id else None
        if secrets.key_id and key is None:
            raise SettingWrong(
                f"The client key {secrets.key_id} is not in the set any more, and a session needs it",
                code="client_key_missing",
            )
        secret = secrets.secret
        if secret is None and app is not None and app.client_id == pin.client_id:
            secret = app.secret
        return Client(pin.client_id, pin.client_auth, secret, key)


def _named(key: SigningKey | None) -> ClientSecrets:
    return ClientSecrets(key_id=key.kid) if key else NO_SECRETS
