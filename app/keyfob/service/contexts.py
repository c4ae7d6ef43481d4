"""Collects what a flow needs to know about an account: its preset, its
pinned server and its client's credentials.

Stored tokens go only to the addresses that the account was signed in with, even if the preset has changed
since. Client secrets and keys are in the vault next to the account's grant, and only the flow receives them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from keyfob.core.account import Pin, Record
from keyfob.core.errors import Fault, KeyfobError, SignInNeeded
from keyfob.core.grant import Grant, SigningKey, unseal_key
from keyfob.core.hosts import is_listed
from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.core.words import CLIENT_AUTHS, ClientAuth, known
from keyfob.ports import Vault
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.substitute import fill


@dataclass(frozen=True, slots=True)
class ClientSecrets:
    """What the vault keeps of an account's client, in one entry. Owned by the vault; never logged."""

    secret: Secret | None = None
    registration_token: Secret | None = None  # RFC 7592
    key_id: str | None = None  # names a private_key_jwt key under `jwk/`

    def sealed(self) -> Secret:
        """The vault entry that `unsealed` reads. The caller owns it and must only put it in the vault."""
        body = {
            "secret": self.secret.reveal() if self.secret else None,
            "registration_token": self.registration_token.reveal() if self.registration_token else None,
            "key_id": self.key_id,
        }
        return Secret(json.dumps(body, separators=(",", ":"), ensure_ascii=True))

    @classmethod
    def unsealed(cls, entry: Secret | None) -> ClientSecrets:
        """The inverse of `sealed`; empty if there is no entry. Raises ValueError for text that is not one."""
        if entry is None:
            return cls()
        body = json.loads(entry.reveal())
        return cls(
            Secret(body["secret"]) if body.get("secret") else None,
            Secret(body["registration_token"]) if body.get("registration_token") else None,
            body.get("key_id"),
        )


NO_SECRETS = ClientSecrets()


class ContextBuilder:
    """Builds contexts for accounts that exist. Thread-safe; reads the
    vault, so it may block and raise KeychainError.
    """

    def __init__(self, catalogue: Catalogue, vault: Vault, env: FlowEnv) -> None:
        self._catalogue = catalogue
        self._vault = vault
        self._env = env
        # A preset and what it is with these inputs: filling it in costs most of reading an account.
        self._filled: dict[tuple[object, ...], tuple[Provider, Provider]] = {}

    def provider(self, record: Record) -> Provider:
        """The preset as this account uses it: inputs filled in, API addresses as pinned.
        Raises NotFound if the preset is gone.
        """
        preset = self.preset(record.account.provider, record.account.pin)
        # An address that came into the preset later gets no token of this account.
        if not _pinned(record, preset.identity.url):
            preset = replace(preset, identity=replace(preset.identity, url=None))
        if preset.test is not None and not _pinned(record, preset.test.url):
            preset = replace(preset, test=None)
        key = preset.key_for(record.account.method)
        if key is not None and not _pinned(record, key.identity.url):
            preset = replace(preset, api_key=replace(key, identity=replace(key.identity, url=None)))
        return preset

    def preset(self, provider_id: str, pin: Pin) -> Provider:
        """The same, also for an account that is not there any more, or not yet."""
        preset = self._fill(self._catalogue.get(provider_id), pin)
        key = preset.api_key
        if key is not None:
            # An account of another method never looks here, so one pin serves both.
            key = replace(key, api=replace(key.api, base=pin.api_base, hosts=pin.api_hosts))
        return replace(preset, api=replace(preset.api, base=pin.api_base, hosts=pin.api_hosts), api_key=key)

    def _fill(self, preset: Provider, pin: Pin) -> Provider:
        made_for = (preset.id, tuple(sorted(pin.inputs.items())), pin.plain_host)
        known = self._filled.get(made_for)
        if known is None or known[0] is not preset:  # the file has changed
            known = self._filled[made_for] = (preset, fill(preset, pin.inputs, plain_host=pin.plain_host))
        return known[1]

    def for_account(self, record: Record, grant: Grant | None) -> FlowContext:
        """Everything to renew, revoke or identify with. Raises
        SignInNeeded `preset_changed`, KeychainError.
        """
        provider = self.provider(record)
        self.refuse_changed_preset(record)
        pin = record.account.pin
        return FlowContext(
            provider=provider,
            server=pin.server,
            client=self.client(record),
            env=self._env,
            redirect_uri=pin.redirect_uri,
            scopes=record.account.asked_scopes,
            resource=pin.resource,
            dpop_key=grant.key if grant else None,
            inputs=pin.inputs,
        )

    def client(self, record: Record) -> Client:
        """The OAuth client of the account, with its secret or key from the vault. Raises KeychainError."""
        pin = record.account.pin
        if pin.client_auth in ("none", "basic_empty"):
            return Client(pin.client_id, pin.client_auth)
        secrets = self.secrets(record.account.key)
        key = self.jwk(secrets.key_id) if secrets.key_id else None
        return Client(pin.client_id, pin.client_auth, secrets.secret, key)

    def secrets(self, account_key: str) -> ClientSecrets:
        """What the vault holds for the account's client; empty if nothing. Raises KeychainError."""
        return ClientSecrets.unsealed(self._vault.load(f"{account_key}/client"))

    def jwk(self, key_id: str) -> SigningKey | None:
        """The client's signing key (RFC 7517) by its id, None if the vault does not have it. Raises
        KeychainError.
        """
        entry = self._vault.load(f"jwk/{key_id}")
        return unseal_key(entry) if entry else None

    def refuse_changed_preset(self, record: Record) -> None:
        """Raises SignInNeeded `preset_changed` if the preset now names another server than the account's.
        Only addresses the preset states itself are compared: what discovery gave was pinned at sign-in.
        """
        try:
            now = self.preset(record.account.provider, record.account.pin)
        except KeyfobError:
            return  # a preset that is gone or faulty is reported when it is needed
        for new, old in moved(now, record):
            if old is not None:
                change = (
                    f"The address of {now.title} in its preset changed from {_origin(old)} to {_origin(new)}"
                )
                raise SignInNeeded(change, code="preset_changed")
            raise SignInNeeded(
                f"{now.title}'s preset now uses {_origin(new)}, which is not the server of this account",
                code="preset_changed",
            )

    def current_preset(self, record: Record) -> Provider:
        """The preset as it is now, with the account's inputs: not as the account was signed in with it.
        Raises NotFound, SettingWrong.
        """
        return self._fill(self._catalogue.get(record.account.provider), record.account.pin)


def moved(now: Provider, record: Record) -> Iterator[tuple[str, str | None]]:
    """The addresses of a preset that are at another server than the account's, each with the account's own;
    with None if the account has no such address.
    """
    pinned = record.account.pin.server
    pairs: list[tuple[str | None, str | None]] = []
    if METHOD_FACTS[record.account.method].server_from_preset:
        pairs.append((now.issuer, pinned.issuer if now.issuer else None))
        for name in ("token_endpoint", "refresh_endpoint", "userinfo_endpoint"):
            pairs.append((getattr(now.endpoints, name), getattr(pinned.endpoints, name)))
        way = now.revocation.request_of(secret=record.account.pin.confidential)
        revocation = way.url or now.endpoints.revocation_endpoint
        pairs.append((revocation, pinned.endpoints.revocation_endpoint))
    for new, old in pairs:
        if new and old and _origin(new) != _origin(old):
            yield new, old
    for url in identity_urls(now, record.account.method):
        if not _pinned(record, url):
            yield url, None


def identity_urls(provider: Provider, method: Method) -> list[str]:
    """The whole addresses that a preset asks who-am-I at; paths belong to the API's own address."""
    key = provider.key_for(method)
    if key is not None:
        found = [key.identity.url]
    else:
        found = [provider.identity.url, provider.test.url if provider.test else None]
    return [url for url in found if url is not None and urlsplit(url).netloc]


def _pinned(record: Record, url: str | None) -> bool:
    """Whether this address is at a host that the account was signed in with."""
    pin = record.account.pin
    host = urlsplit(url or "").netloc
    if not host or is_listed(host, pin.api_hosts):
        return True
    ends = pin.server.endpoints
    known = [pin.api_base, pin.server.issuer, ends.token_endpoint, ends.userinfo_endpoint]
    return host in {urlsplit(each).netloc for each in known if each}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def stored_auth(text: object, title: str) -> ClientAuth:
    """How a stored client authenticates. Raises Fault `store_too_new` for
    a method that this version does not know.
    """
    auth = known(CLIENT_AUTHS, text)
    if auth is None:
        raise Fault(f"The app registration for {title} was written by a newer Keyfob", code="store_too_new")
    return auth
