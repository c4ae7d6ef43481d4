"""The private keys of confidential clients (RFC 7523, `private_key_jwt`).

Called by `keyfob jwk` and `keyfob client-metadata`. Private keys are in the vault and leave it only for
signing. The account store has the public keys. A new key of a provider is used from the next sign-in. The old
one stays for the accounts that use it (each account names its key), until the user removes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyfob.core.errors import Fault, NotFound, Usage
from keyfob.core.grant import SigningKey, seal_key, unseal_key
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.words import ALGORITHMS, Algorithm, MadeAlgorithm, known
from keyfob.ports import AccountStore, Clock, Vault
from keyfob.protocol.jws import published_jwk
from keyfob.service.contexts import ClientSecrets

KEYS = "jwk/"  # in the store: the public half; in the vault under the same name: the whole key
WEB = "@web"  # in place of a provider's id: a server's own keys for web sign-in
CURRENT = "jwk-of/"  # in the store: the key that a provider's next sign-in uses


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key without its private half. `accounts` were signed in with it and need it for renewing."""

    kid: str
    alg: Algorithm
    provider: str | None
    created_at: datetime | None
    current: bool
    accounts: tuple[str, ...]
    published: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob jwk list --json` shows. It holds no private key."""
        return {
            "kid": self.kid,
            "alg": self.alg,
            "provider": self.provider,
            "created_at": to_rfc3339(self.created_at),
            "current": self.current,
            "accounts": list(self.accounts),
        }


class ClientKeys:
    """Blocking and thread-safe. Raises KeychainError if the vault is needed and cannot be had."""

    def __init__(
        self, store: AccountStore, vault: Vault, new_key: Callable[[MadeAlgorithm], SigningKey], clock: Clock
    ) -> None:
        self._store = store
        self._vault = vault
        self._new_key = new_key
        self._clock = clock

    def generate(self, alg: MadeAlgorithm = "ES256", provider: str | None = None) -> ClientKey:
        """A fresh key, in the vault before anything names it."""
        key = self._new_key(alg)
        self._vault.save(KEYS + key.kid, seal_key(key))
        body = {
            "alg": key.alg,
            "provider": provider,
            "created_at": to_rfc3339(self._clock()),
            "public": dict(key.public_jwk),
        }
        self._store.write(KEYS + key.kid, json.dumps(body))
        if provider is not None:
            self._store.write(CURRENT + provider, key.kid)
        return self._read(key.kid, {})

    def all(self, provider: str | None = None) -> list[ClientKey]:
        """A provider's keys, oldest first; by default those of all providers, without the server's (WEB)."""
        return _of(provider, self._keys(self._used()))

    def _keys(self, used: dict[str, list[str]]) -> list[ClientKey]:
        kids = [name.removeprefix(KEYS) for name in self._store.names(KEYS)]
        return sorted(
            (self._read(kid, used) for kid in kids),
            key=lambda key: (to_rfc3339(key.created_at) or "", key.kid),
        )

    def published(self, provider: str | None = None) -> dict[str, list[dict[str, str]]]:
        """The public JWKS (RFC 7517 §5) of the keys that `all` lists. `{"keys": []}` if there is none. Asks
        no vault.
        """
        return {"keys": [key.published for key in _of(provider, self._keys({}))]}

    def of(self, provider: str) -> list[SigningKey]:
        """A provider's keys for publishing, the current one first. Their private halves are left out. Asks no
        vault.
        """
        found = [key for key in self._keys({}) if key.provider == provider]
        found.sort(key=lambda key: not key.current)
        return [self._public(key.kid) for key in found]

    def private_of(self, provider: str) -> list[tuple[SigningKey, datetime | None]]:
        """A provider's whole keys, newest first, with when each was made. Raises Fault if the vault has lost
        one.
        """
        found = []
        for key in reversed(self._keys({})):
            if key.provider == provider:
                entry = self._vault.load(KEYS + key.kid)
                if entry is None:
                    raise Fault(f"The keychain has lost the key {plain(key.kid, 60)}")
                found.append((unseal_key(entry), key.created_at))
        return found

    def one(self, kid: str, provider: str | None = None) -> ClientKey:
        """A key of those that `all` lists, by its name or by the start of it. Raises NotFound
        `key_not_found`.
        """
        keys = self.all(provider)
        matches = [key for key in keys if key.kid == kid] or [
            key for key in keys if kid and key.kid.startswith(kid)
        ]
        if len(matches) != 1:
            what = "More than one key starts" if matches else "No key starts"
            raise NotFound(f"{what} with {plain(kid, 60)}", code="key_not_found")
        return matches[0]

    def remove(self, kid: str, provider: str | None = None, *, force: bool = False) -> ClientKey:
        """Forget a key, which `one` finds. Raises NotFound `key_not_found`, Usage if
        an account still needs it and `force` is not given.
        """
        found = self.one(kid, provider)
        if found.accounts and not force:
            raise Usage(
                f"These accounts still use the key: {', '.join(found.accounts)}",
                code="key_in_use",
            )
        self._store.write(KEYS + found.kid, None)
        if found.provider is not None and found.current:
            self._store.write(CURRENT + found.provider, None)
        self._vault.delete(KEYS + found.kid)
        return found

    def _read(self, kid: str, used: dict[str, list[str]]) -> ClientKey:
        body = json.loads(self._store.read(KEYS + kid) or "{}")
        provider = body.get("provider")
        key = self._public(kid)
        return ClientKey(
            kid=kid,
            alg=key.alg,
            provider=provider,
            created_at=from_rfc3339(body.get("created_at")),
            current=provider is not None and self._store.read(CURRENT + provider) == kid,
            accounts=tuple(used.get(kid, ())),
            published=published_jwk(key),
        )

    def _public(self, kid: str) -> SigningKey:
        body = json.loads(self._store.read(KEYS + kid) or "{}")
        alg = known(ALGORITHMS, body["alg"])
        if alg is None:
            raise Fault(f"A newer Keyfob made the key {plain(kid, 60)}", code="store_too_new")
        return SigningKey(kid, alg, Secret(""), body["public"])

    def _used(self) -> dict[str, list[str]]:
        """Which accounts were signed in with which key. Asks the vault only for accounts that use one."""
        used: dict[str, list[str]] = {}
        for record in self._store.records():
            account = record.account
            if account.pin.client_auth == "private_key_jwt":
                kid = ClientSecrets.unsealed(self._vault.load(f"{account.key}/client")).key_id
                if kid is not None:
                    used.setdefault(kid, []).append(account.id)
        return used


def _of(provider: str | None, keys: Sequence[ClientKey]) -> list[ClientKey]:
    return [key for key in keys if (key.provider != WEB if provider is None else key.provider == provider)]
