"""An account that is signed in to here and kept elsewhere: `keyfob connect --server`.

The browser and its way back are on the user's desktop, and the account is a server's. The desktop runs the
flow and hands over what it brought, as one JSON object. The server checks it and keeps it as if it had signed
in itself. The desktop keeps nothing. If the server does not keep it, the desktop revokes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.account import AccountView, Connected, Pin, Record
from keyfob.core.errors import KeychainError, SettingWrong, Usage
from keyfob.core.grant import Grant, seal, unseal
from keyfob.core.hosts import is_inside, may_be_plain
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.transitions import SignedIn, after
from keyfob.ports import Locks, NamedValues
from keyfob.protocol.context import Client, FlowContext, Identity, SignInResult
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.urls import fault_of
from keyfob.service.accounts.keeper import LOCK_WAIT
from keyfob.service.contexts import NO_SECRETS, ClientSecrets, ContextBuilder, moved
from keyfob.service.sign_in.new_account import account_of, grant_ends
from keyfob.service.sign_in.preparation import Preparation
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome
from keyfob.service.sign_in.sign_in import SignIn

VERSION = 1
FIELDS = ("v", "id", "label", "record", "grant", "client")
NAME_MOST = 200  # characters of what is shown
REMEMBERED = timedelta(days=1)  # how long a handover is known by its id
_NAMES = "handover/"


class HandOver:
    """The desktop's side. `write` makes text of a record."""

    def __init__(self, now: Callable[[], datetime], write: Callable[[Record], str]) -> None:
        self._now = now
        self._write = write

    def packed(self, ready: PreparedSignIn, outcome: SignInOutcome, label: str | None) -> dict[str, Any]:
        """The object for the server, which holds the tokens. `label`: as asked for. Raises Usage if a private
        key would have to leave this computer.
        """
        if outcome.secrets.key_id is not None:
            raise Usage(
                f"{ready.provider.title} needs a private key, which stays here: connect it on the server"
            )
        now = self._now()
        account = account_of(ready, outcome, ready.account_key, now)
        grant = outcome.result.grant
        event = SignedIn(
            now, account, grant, timedelta(0), grant_ends(ready.provider, outcome, now), outcome.key_tail
        )
        record = after(Record(account, Connected()), event)
        return {
            "v": VERSION,
            "id": ready.attempt.id,
            "label": label,
            "record": json.loads(self._write(record)),
            "grant": seal(grant).reveal(),
            "client": None if outcome.secrets == NO_SECRETS else outcome.secrets.sealed().reveal(),
        }


class TakeOver:
    """The server's side. Blocking and thread-safe. `read` makes a record of text, and raises ValueError."""

    def __init__(
        self,
        preparation: Preparation,
        sign_in: SignIn,
        contexts: ContextBuilder,
        store: NamedValues,
        locks: Locks,
        env: FlowEnv,
        read: Callable[[str], Record],
    ) -> None:
        self._preparation = preparation
        self._sign_in = sign_in
        self._contexts = contexts
        self._store = store
        self._locks = locks
        self._env = env
        self._read = read

    def keep(self, handed: Mapping[str, Any], *, trusted: bool) -> AccountView:
        """Keep the account. The same object again answers with the account and does nothing. `trusted`: by
        whoever runs the server; others may not name addresses of its own network. Raises Usage for what is
        not such an object, SettingWrong if the account's preset is missing here or has other addresses,
        KeychainError, Fault `store_*`: nothing is kept then.
        """
        name, label, record, grant, secrets = self._unpacked(handed)
        with self._locks.hold("handover", timeout=LOCK_WAIT):
            kept = self._kept(name)
            if kept is not None:
                return self._sign_in.view(kept)
            ready = self._preparation.handed_over(record.account, label, plain_host=trusted)
            self._check(record, trusted=trusted)
            view = self._sign_in.keep(ready, self._outcome(ready, record, grant, secrets))
            self._store.write(name, json.dumps({"key": view.key, "at": to_rfc3339(self._env.now())}))
            return view

    def _unpacked(self, handed: Mapping[str, Any]) -> tuple[str, str | None, Record, Grant, ClientSecrets]:
        for field in handed:
            if field not in FIELDS:
                raise Usage(f"Unknown field {field[:60]!r} in handover")
        if handed.get("v") != VERSION:
            raise Usage("The handover is of another version of Keyfob: both computers need the same")
        mark, label, client = handed.get("id"), handed.get("label"), handed.get("client")
        if not isinstance(mark, str) or not 16 <= len(mark) <= 64 or not mark.isprintable():
            raise Usage("The handover has no id")
        if not all(isinstance(each, str | None) for each in (label, client)):
            raise Usage("The handover's label or client is not text")
        try:
            record = self._read(json.dumps(handed["record"]))
            grant = unseal(Secret(handed["grant"]))
            secrets = ClientSecrets.unsealed(Secret(client) if client else None)
        except (KeychainError, ValueError, KeyError, TypeError, AttributeError):
            raise Usage("The handover cannot be read") from None
        if secrets.key_id is not None:
            raise Usage("The handover names a private key that is not here")
        return _NAMES + mark, label, record, grant, secrets

    def _kept(self, name: str) -> str | None:
        """The account that this handover became, if it came before. Forgets older ones."""
        now, found = self._env.now(), None
        for each in self._store.names(_NAMES):
            known = json.loads(self._store.read(each) or "{}")
            at = from_rfc3339(known.get("at"))
            if at is None or now - at > REMEMBERED:
                self._store.write(each, None)
            elif each == name:
                found = known["key"]
        return found

    def _check(self, record: Record, *, trusted: bool) -> None:
        pin = record.account.pin
        for url in _addresses(pin):
            fault = fault_of(url, plain_host=pin.plain_host if trusted else None)
            if fault is not None or not (trusted or _is_outside(url)):
                raise SettingWrong(
                    f"The account has an address that the server must not use: {plain(url, 200)}",
                    code="endpoint_unsafe",
                )
        now = self._contexts.preset(record.account.provider, pin)
        for new, _ in moved(now, record):
            raise SettingWrong(
                f"The server's preset of {now.title} has other addresses, such as {plain(new, 200)}",
                code="preset_differs",
            )

    def _outcome(
        self, ready: PreparedSignIn, record: Record, grant: Grant, secrets: ClientSecrets
    ) -> SignInOutcome:
        account, now = record.account, self._env.now()
        pin = account.pin
        named = account.name is not None
        identity = Identity(
            account.subject,
            _shown(account.name),
            account.label if named else None,
            _shown(account.email),
            account.avatar_url if _is_outside(account.avatar_url) else None,
            _shown(account.plan),
        )
        ends = record.grant_ends_at
        left = {"grant_ends_in": str((ends - now).total_seconds())} if ends is not None else {}
        return SignInOutcome(
            SignInResult(grant, identity, extra=left),
            FlowContext(
                provider=ready.provider,
                server=pin.server,
                client=Client(pin.client_id, pin.client_auth, secrets.secret),
                env=self._env,
                redirect_uri=pin.redirect_uri,
                scopes=account.asked_scopes,
                resource=pin.resource,
                dpop_key=grant.key,
                inputs=ready.inputs,
            ),
            secrets,
            registration_uri=pin.registration_uri,
            api_base=pin.api_base,
            api_hosts=pin.api_hosts,
            key_tail=record.key_tail,
        )


def _addresses(pin: Pin) -> Iterator[str]:
    """All that Keyfob would send something to for this account."""
    ends = pin.server.endpoints
    found = [pin.server.issuer, pin.api_base, pin.registration_uri]
    found += [getattr(ends, each.name) for each in fields(ends)]
    found += [f"https://{host.removeprefix('*.')}" for host in pin.api_hosts if "://" not in host]
    return (url for url in found if url)


def _is_outside(url: str | None) -> bool:
    """Whether an address is fit, and of no host of the server's own network."""
    host = urlsplit(url).hostname if url is not None and fault_of(url) is None else None
    return host is not None and not is_inside(host) and not may_be_plain(host)


def _shown(text: str | None) -> str | None:
    return plain(text, NAME_MOST) if text else None
