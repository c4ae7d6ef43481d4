"""Which client a sign-in uses: the user's own registration, one issued to an account, the preset's, or none.

A user's registration is saved for next time, by provider and inputs (a tenant, an instance): its id in the
account store, its secret in the vault. Each account has a copy of the client that it was signed in with, so a
later change does not affect it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from keyfob.core.account import Record
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.hosts import plain_host
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Provider, Server
from keyfob.core.quirks import client_of
from keyfob.core.secret import Secret
from keyfob.core.words import ClientAuth, ClientSource, SecretRule
from keyfob.ports import NamedValues, Vault
from keyfob.protocol.context import Client
from keyfob.protocol.oauth import register
from keyfob.protocol.oauth.provider_quirks import own_registration
from keyfob.providers.substitute import fill, normalised
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.contexts import NO_SECRETS, ClientSecrets, ContextBuilder, stored_auth
from keyfob.service.runner import Runner

HANDLE = (
    "handle"  # the input that says who signs in rather than where; may differ between accounts of one client
)

_SECRET = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class StoredClient:
    """A client id that Keyfob has for a provider, and whether a secret is kept with it."""

    client_id: str
    auth: ClientAuth
    has_secret: bool
    source: ClientSource


@dataclass(frozen=True, slots=True)
class ClientChoice:
    """The client an attempt uses, with what is to be kept next to the account."""

    client: Client
    secrets: ClientSecrets = NO_SECRETS
    registration_uri: str | None = None
    scopes: tuple[str, ...] | None = None
    secret_expires_at: datetime | None = None  # RFC 7591 §3.2.1; a new sign-in registers again


KeepClient = Callable[[Provider, Mapping[str, str], str, Secret | None], None]  # as `Clients.keep`


class Clients:
    """Thread-safe. Reads and writes the vault: may block and raise KeychainError."""

    def __init__(
        self,
        store: NamedValues,
        vault: Vault,
        contexts: ContextBuilder,
        runner: Runner,
        environment: Mapping[str, str],
        new_installation: Callable[[], str],
    ) -> None:
        """`new_installation`: a fresh UUID for providers that want one per installation; kept once made."""
        self._store = store
        self._vault = vault
        self._contexts = contexts
        self._runner = runner
        self._environment = environment
        self._new_installation = new_installation

    # --- inputs ---------------------------------------------------------------------------------------------

    def inputs(self, preset: Provider, request: SignInRequest, record: Record | None) -> dict[str, str]:
        """What the user entered, over what the account was made with, over the preset's defaults.
        Raises Usage if something is missing or does not fit.
        """
        given = dict(record.account.pin.inputs) if record else {}
        given.update({name: value.strip() for name, value in request.inputs.items() if value.strip()})
        values: dict[str, str] = {}
        method = request.method or (record.account.method if record else preset.methods[0])
        for wanted in preset.inputs_for(method):
            value = given.get(wanted.name, wanted.default)
            if value is None:
                raise Usage(
                    f"{preset.title} needs {wanted.title.lower()}",
                    code="input_missing",
                    facts={"name": wanted.name, "example": wanted.example},
                )
            allowed = allowed_host(request, record)
            values[wanted.name] = normalised(wanted, value, allowed) if value else value
        return values

    def filled(self, preset: Provider, inputs: Mapping[str, str], plain_host: str | None = None) -> Provider:
        """The preset with the inputs in its addresses, and the redirect that the environment asks for.
        `plain_host`: as in `providers.substitute.fill`.
        """
        own = {name: value for name, value in inputs.items() if name in _names(preset)}
        provider = fill(preset, own, installation=self._installation(), plain_host=plain_host)
        redirect = self._from_environment(provider, "redirect_uri")
        if redirect:
            provider = replace(
                provider,
                redirect=replace(provider.redirect, uri=redirect, paste=provider.redirect.paste or "url"),
            )
        return provider

    def _installation(self) -> str:
        known = self._store.read("installation")
        if known is None:
            self._store.write("installation", self._new_installation())
            known = self._store.read("installation")
        assert known is not None
        return known

    # --- the client -----------------------------------------------------------------------------------------

    def known(
        self, preset: Provider, inputs: Mapping[str, str], method: Method | None = None
    ) -> StoredClient | None:
        """The client that a sign-in by `method` (default: the preset's first) would use without an explicit
        one. Does not touch the vault.
        """
        from_env = self._from_environment(preset, "client_id")
        if from_env:
            secret = self._from_environment(preset, "client_secret")
            return StoredClient(from_env, auth_for(preset, bool(secret)), bool(secret), "environment")
        kept = self._store.read(_name(preset.id, inputs))
        if kept:
            body = json.loads(kept)
            auth = stored_auth(body["auth"], preset.title)
            return StoredClient(body["client_id"], auth, bool(body["secret"]), "yours")
        if preset.client.client_id:
            return StoredClient(preset.client.client_id, preset.client.auth, False, "preset")
        published = preset.publisher.get(method or preset.methods[0])
        return StoredClient(published, auth_for(preset, False), False, "publisher") if published else None

    def keep(
        self, preset: Provider, inputs: Mapping[str, str], client_id: str, secret: Secret | None
    ) -> None:
        """Keep the user's registration for the next time. The secret goes to the vault. Raises Usage if one
        of them cannot be what it is said to be.
        """
        if secret is not None:
            check_secret(secret)
        client_id = client_id.strip()
        if not client_id or not client_id.isprintable() or len(client_id) > 512:
            raise Usage("This is not a client id")
        name = _name(preset.id, inputs)
        if secret is not None:
            self._vault.save(name, secret)
        else:
            self._vault.delete(name)
        body = {
            "client_id": client_id,
            "auth": auth_for(preset, secret is not None),
            "secret": secret is not None,
        }
        self._store.write(name, json.dumps(body))

    def forget(self, preset: Provider, inputs: Mapping[str, str]) -> None:
        """Delete the client of this preset and these inputs, its secret first. Raises KeychainError,
        Fault.
        """
        name = _name(preset.id, inputs)
        self._vault.delete(name)
        self._store.write(name, None)

    def for_attempt(
        self,
        provider: Provider,
        server: Server,
        request: SignInRequest,
        inputs: Mapping[str, str],
        record: Record | None,
        redirect_uri: str | None,
        scopes: tuple[str, ...],
    ) -> ClientChoice:
        """The client of this attempt: given now, the account's own, saved, the preset's, or registered now.
        Raises SettingWrong `client_missing`, `blocked_by_terms`; what registration raises.
        """
        method = request.method or provider.methods[0]
        if METHOD_FACTS[method].by_client:
            return self._service_account(provider, inputs, request, record)
        if request.client_id:
            self.keep(provider, inputs, request.client_id, request.client_secret)
        elif record is not None and (own := self._of_account(provider, inputs, record)) is not None:
            return own
        known = self.known(provider, inputs, method)
        if known is not None and known.source not in ("preset", "publisher"):
            return self._mine(provider, inputs, known, provider.secret_rule(method))
        if provider.policy.blocked:
            raise SettingWrong(
                provider.policy.blocked,
                code="blocked_by_terms",
                facts={"page": provider.policy.terms or ""},
            )
        quirk = client_of(provider.quirks)
        if quirk == "registered":
            return self._registered(provider, server, redirect_uri, scopes)
        if known is not None:
            return self._shipped(provider, inputs, known)
        policy = provider.policy.client_id
        if quirk is not None or policy == "none":
            return ClientChoice(Client(None))
        if policy == "dynamic" or (policy != "user" and server.endpoints.registration_endpoint):
            return self._registered(provider, server, redirect_uri, scopes)
        raise _missing(provider, redirect_uri)

    def _service_account(
        self, provider: Provider, inputs: Mapping[str, str], request: SignInRequest, record: Record | None
    ) -> ClientChoice:
        """The client that is the account: given now, or the account's own. It is not kept for other sign-ins.
        Raises SettingWrong `client_missing`.
        """
        own = None if record is None else self._contexts.client(record)
        client_id = request.client_id or (own.client_id if own else None)
        secret = request.client_secret or (own.secret if own else None)
        auth = provider.client.auth
        if client_id and auth == "private_key_jwt":
            return self._mine(provider, inputs, StoredClient(client_id, auth, False, "yours"))
        if not client_id or not secret:
            raise SettingWrong(
                f"{provider.title} needs the client id and the client secret of a service account",
                code="client_missing",
                facts={"page": provider.client_credentials.create_at or provider.policy.register_at or ""},
            )
        check_secret(secret)
        if auth != "client_secret_post":
            auth = "client_secret_basic"  # RFC 6749 §2.3.1: every server that has client secrets takes it
        return ClientChoice(Client(client_id, auth, secret), ClientSecrets(secret))

    def _of_account(
        self, provider: Provider, inputs: Mapping[str, str], record: Record
    ) -> ClientChoice | None:
        """The client that the account was signed in with, if it is used again."""
        if not record.account.pin.client_id or provider.policy.client_id == "dynamic":
            return None
        client = self._contexts.client(record)
        if client.auth == "private_key_jwt" and client.client_id is not None:
            # The newest key: an old one is kept for the grants that were made with it, and for no new one.
            return self._mine(provider, inputs, StoredClient(client.client_id, client.auth, False, "yours"))
        if holds_key(record.account.method):
            return None
        return ClientChoice(client, self._contexts.secrets(record.account.key))

    def _shipped(self, provider: Provider, inputs: Mapping[str, str], known: StoredClient) -> ClientChoice:
        """The preset's client; its private key is the user's."""
        if known.auth == "private_key_jwt":
            return self._mine(provider, inputs, known)
        return ClientChoice(Client(known.client_id, known.auth))

    def _mine(
        self,
        provider: Provider,
        inputs: Mapping[str, str],
        known: StoredClient,
        rule: SecretRule = "never",
    ) -> ClientChoice:
        if known.auth == "private_key_jwt":
            key_id = self._store.read(f"jwk-of/{provider.id}")
            key = self._contexts.jwk(key_id) if key_id else None
            if key is None:
                raise SettingWrong(
                    f"{provider.title} needs a private key for its client, and there is none",
                    code="client_key_missing",
                    facts={"provider": provider.id},
                )
            return ClientChoice(
                Client(known.client_id, "private_key_jwt", None, key), ClientSecrets(key_id=key_id)
            )
        secret: Secret | None = None
        if known.has_secret:
            text = self._from_environment(provider, "client_secret")
            if text is not None:
                check_secret(Secret(text))
            secret = (
                Secret(text)
                if known.source == "environment" and text
                else self._vault.load(_name(provider.id, inputs))
            )
        if secret is None and rule == "required":
            raise SettingWrong(
                f"{provider.title} also needs the client secret of your app registration",
                code="client_missing",
            )
        auth = known.auth if secret is not None or known.auth == "basic_empty" else "none"
        return ClientChoice(Client(known.client_id, auth, secret), ClientSecrets(secret))

    def _registered(
        self, provider: Provider, server: Server, redirect_uri: str | None, scopes: tuple[str, ...]
    ) -> ClientChoice:
        flow = own_registration(provider, server, redirect_uri, scopes)
        if flow is None:
            grant_types = ["authorization_code", "refresh_token"]
            if server.endpoints.device_authorization_endpoint and redirect_uri is None:
                grant_types = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
            metadata: dict[str, object] = {
                "client_name": "Keyfob",
                "application_type": "native",
                "redirect_uris": [redirect_uri] if redirect_uri else [],
                "grant_types": grant_types,
                "response_types": ["code"] if redirect_uri else [],
                "token_endpoint_auth_method": "none",
                "scope": " ".join(scopes),
            }
            flow = register.register(server.endpoints.registration_endpoint, metadata)
        registered = self._runner.run(flow)
        return ClientChoice(
            Client(registered.client_id, registered.auth, registered.client_secret),
            ClientSecrets(registered.client_secret, registered.registration_access_token),
            registered.registration_client_uri,
            registered.scopes,
            registered.secret_expires_at,
        )

    def _from_environment(self, provider: Provider, what: str) -> str | None:
        name = provider.client.env.get(what)
        return self._environment.get(name) or None if name else None


def allowed_host(request: SignInRequest, record: Record | None) -> str | None:
    """The host that the user allows without TLS, now or when the account was connected, unless they now name
    it with https. Raises Usage if it is none of the own network.
    """
    if request.allow_http is None:
        kept = record.account.pin.plain_host if record else None
        named = (value.strip().lower() for value in request.inputs.values())
        return None if any(value.startswith(f"https://{kept}") for value in named) else kept
    host = plain_host(request.allow_http.strip())
    if host is None:
        raise Usage(
            "Only a server on your own network can do without TLS: a private IP address, a name that ends "
            "with .local, or a name without a dot",
            code="plain_host_unfit",
        )
    return host


def _missing(provider: Provider, redirect_uri: str | None) -> SettingWrong:
    return SettingWrong(
        f"{provider.title} needs your own app registration",
        code="client_missing",
        facts={"page": provider.policy.register_at or "", "redirect": redirect_uri or ""},
    )


def check_secret(secret: Secret) -> None:
    """Raises Usage, without the secret, if it has characters that a client secret never has (RFC 6749,
    Appendix A.2).
    """
    if not _SECRET.fullmatch(secret.reveal()):
        raise Usage("A client secret must be printable ASCII, on one line", code="secret_malformed")


def auth_for(provider: Provider, has_secret: bool) -> ClientAuth:
    """How this client proves itself: as the preset says where that fits what the user has."""
    auth = provider.client.auth
    if auth in ("basic_empty", "private_key_jwt"):
        return auth
    if not has_secret:
        return "none"
    return "client_secret_basic" if auth == "none" else auth


def _names(preset: Provider) -> set[str]:
    return {wanted.name for wanted in preset.inputs}


def _name(provider_id: str, inputs: Mapping[str, str]) -> str:
    where = {name: value for name, value in sorted(inputs.items()) if name != HANDLE and value}
    if not where:
        return f"client/{provider_id}"
    digest = hashlib.sha256(json.dumps(where).encode()).hexdigest()[:12]
    return f"client/{provider_id}/{digest}"
