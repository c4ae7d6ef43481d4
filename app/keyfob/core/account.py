"""Accounts: who is connected at which provider, and in what state.

An `Account` does not change between sign-ins. A `Status` is the state now, and each case has only the fields
that make sense for it. A `Record` has both, and the store keeps records. Only `core.transitions.after`
changes a record, and only `shown_status` decides what a face shows. "Renewing" is derived from the account's
lock and never stored. A sign-in in progress is an `Attempt` of the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never
from urllib.parse import urlsplit

from keyfob.core.access import GrantedAccess
from keyfob.core.error_codes import CODES, Advice, ErrorCode, known_code
from keyfob.core.methods import METHODS, Method, holds_key
from keyfob.core.preset_change import PresetChange
from keyfob.core.provider import EMPTY, Server
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.words import SHOWN_STATUSES, ClientAuth, EventKind, ShownStatus, StatusWord, known


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """An error as an account remembers it. No secret, no text that was not made plain."""

    code: ErrorCode
    message: str
    advice: Advice
    at: datetime
    detail: str = ""  # the provider's own code, status and words, for a report

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` output and the agent's answers contain. It holds nothing secret."""
        return {
            "code": self.code,
            "message": self.message,
            "advice": self.advice,
            "at": to_rfc3339(self.at),
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ErrorNote:
        """What `to_json` made. Raises ValueError, KeyError."""
        at = from_rfc3339(row["at"])
        if at is None:
            raise ValueError("an error without a time")
        code = known_code(row["code"], row["advice"])
        return cls(code, row["message"], CODES[code], at, row.get("detail", ""))


# --- status: a sum type -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connected:
    """The grant works, or is renewed when it is next asked for."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Expired, and the renewal fails for a reason that may pass."""

    since: datetime
    error: ErrorNote


@dataclass(frozen=True, slots=True)
class NeedsSignIn:
    """The grant has ended at the provider, can no longer be used, or seems to have ended (`still_tried`)."""

    since: datetime
    error: ErrorNote


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The user ended it. The account stays, ready to sign in again."""

    since: datetime


Status = Connected | Stale | NeedsSignIn | Disconnected


def status_word(status: Status) -> StatusWord:
    """The word of the interface: connected, stale, needs_sign_in or disconnected."""
    match status:
        case Connected():
            return "connected"
        case Stale():
            return "stale"
        case NeedsSignIn():
            return "needs_sign_in"
        case Disconnected():
            return "disconnected"
    assert_never(status)


# The provider never said that the grant has ended: it refuses its renewals, or does not answer them.
STILL_TRIED = frozenset({"renewal_refused", "renewal_unanswered"})
REFUSED_IN_TEST = frozenset({"key_rejected", "token_rejected"})


def still_tried(status: Status) -> bool:
    """Whether the user is asked to sign in while renewals continue, once an hour: the grant may be alive."""
    return isinstance(status, NeedsSignIn) and status.error.code in STILL_TRIED


def refused_in_test(status: Status) -> bool:
    """Whether the user is asked for a new key or sign-in because the provider refused the token in Keyfob's
    own test. The token is kept, and a test that passes ends it.
    """
    return isinstance(status, NeedsSignIn) and status.error.code in REFUSED_IN_TEST


def shown_status(
    word: ShownStatus,
    *,
    expires_at: datetime | None,
    renewable: bool,
    now: datetime,
    keychain_ok: bool = True,
    renewing: bool = False,
) -> ShownStatus:
    """The status that every face shows. `word` is what was stored (`status_word`), or what a view that is
    some seconds old shows, with a later `now`. `renewing`: a renewal runs.

    An account whose token has expired is never `connected`: it is `stale` when it can be renewed, and
    otherwise needs its person. `keychain_ok` is False while the keychain cannot be used: then no token can be
    returned.
    """
    if word not in ("connected", "stale"):
        return word
    if renewing:
        return "renewing"
    if expires_at is not None and now >= expires_at:
        return "stale" if renewable else "needs_sign_in"
    return word if keychain_ok else "stale"


# --- the account --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pin:
    """What an account was signed in with. Stored tokens and keys go to these addresses and no others."""

    server: Server
    client_id: str | None = None
    client_auth: ClientAuth = "none"
    redirect_uri: str | None = None
    resource: str | None = None
    registration_uri: str | None = None  # RFC 7592: where this account's own client is managed
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    api_base: str | None = None
    api_hosts: tuple[str, ...] = ()
    dpop: bool = False
    plain_host: str | None = None  # the host (and port) that the user allowed without TLS

    @property
    def confidential(self) -> bool:
        """Whether the client has a secret or a key."""
        return self.client_auth not in ("none", "basic_empty")

    @property
    def address(self) -> str | None:
        """Scheme and host of the server that the account signed in at; for a key, of its API."""
        for url in (self.server.issuer, self.server.endpoints.token_endpoint, self.api_base):
            parts = urlsplit(url or "")
            if parts.scheme in ("http", "https") and parts.netloc:
                return f"{parts.scheme}://{parts.netloc}"
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """One identity at one provider. `key` is random, never changes and names its secrets in the keychain."""

    key: str
    provider: str
    label: str
    method: Method
    subject: str
    pin: Pin
    name: str | None = None
    email: str | None = None
    avatar_url: str | None = None
    plan: str | None = None
    asked_scopes: tuple[str, ...] = ()
    created_at: datetime | None = None

    @property
    def id(self) -> str:
        """The name that people type: `provider/label`. It changes with the label; `key` does not."""
        return f"{self.provider}/{self.label}"


@dataclass(frozen=True, slots=True)
class Record:
    """An account with its state: one row of the account store. `epoch` rises at each sign-in and
    disconnect, so that a renewal begun before one cannot store its answer after it.
    """

    account: Account
    status: Status
    epoch: int = 0
    generation: int = 0
    scopes: tuple[str, ...] = ()
    obtained_at: datetime | None = None
    expires_at: datetime | None = None
    renews_at: datetime | None = None
    renewable: bool = False
    connected_at: datetime | None = None
    last_renewed_at: datetime | None = None
    grant_ends_at: datetime | None = None
    last_error: ErrorNote | None = None
    failures: int = 0  # renewals failed in a row
    retry_at: datetime | None = None  # when Keyfob tries again: its backoff or the provider's wait
    asked_until: datetime | None = None  # how long the provider itself asked to wait (Retry-After)
    # Renewals after the token's end whose repeat was not answered either, and the first of them; the same of
    # those that the provider refused without saying that the grant has ended.
    doubts: int = 0
    doubted_since: datetime | None = None
    refusals: int = 0
    refused_since: datetime | None = None
    key_tail: str | None = None  # an API key's last characters
    cleanup: bool = False  # disconnected, and its secrets are not yet all forgotten or revoked


@dataclass(frozen=True, slots=True)
class Intent:
    """Written durably before a refresh token is sent: after a crash it says what may have been used up."""

    key: str  # the account's
    generation: int
    refresh_hash: str
    at: datetime  # when it was first sent
    replays: int = 0  # how often it was sent again


@dataclass(frozen=True, slots=True)
class PendingRevocation:
    """A token the provider has not yet confirmed as revoked. `entry` names the keychain entry that holds it.

    `held`: an older sign-in of an account that is still connected, to be
    revoked when the account is disconnected.
    """

    entry: str
    account_id: str
    pin: Pin
    provider: str
    at: datetime
    tries: int = 0
    retry_at: datetime | None = None
    account_key: str = ""
    held: bool = False
    ends_at: datetime | None = None  # when it ends automatically; None: not known


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A line of an account's history, or a passing event that only subscribers hear of."""

    at: datetime
    account_id: str
    account_key: str
    kind: EventKind
    message: str
    code: ErrorCode | None = None
    seq: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob events --json` and the agent's event stream contain."""
        return {
            "at": to_rfc3339(self.at),
            "account": self.account_id,
            "kind": self.kind,
            "message": self.message,
            "code": self.code,
            "seq": self.seq,
        }


NO_COLOR = "#5c5c63"  # replaces a provider's color if that is not known


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as faces see it: frozen, without secrets, safe on any thread.

    `to_json` is the interface of `keyfob accounts` and of the socket. Fields with a default are not in it, or
    not in that of an older agent.
    """

    id: str
    key: str
    provider: str
    provider_title: str
    label: str
    method: Method
    status: ShownStatus
    subject: str
    name: str | None
    email: str | None
    plan: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None
    renews_at: datetime | None
    renewable: bool
    connected_at: datetime | None
    last_renewed_at: datetime | None
    grant_ends_at: datetime | None
    last_error: ErrorNote | None
    shareable: bool = True
    # `host` or `host:port`: the provider's own, where this account's token belongs
    hosts: tuple[str, ...] = ()
    avatar_url: str | None = None
    obtained_at: datetime | None = None
    key_tail: str | None = None
    color: str = NO_COLOR
    narrower_scopes: tuple[str, ...] = ()  # asked for and not granted
    issuer: str | None = None
    # The preset's bundles that were granted; None: what was granted is not known.
    access: tuple[GrantedAccess, ...] | None = None
    more_access: bool = False  # the preset has bundles that this account has not
    refused_access: tuple[GrantedAccess, ...] = ()  # the bundles that were asked for and not granted
    base_scopes: tuple[str, ...] = ()  # of its scopes, those that the preset always asks for
    unencrypted: bool = False  # its tokens travel without TLS, on the user's own network
    ended_hint: str = ""  # a possible reason why the provider ended the sign-in, if its age fits
    preset_changes: tuple[PresetChange, ...] = ()  # what the preset has now, and this account does not use

    @property
    def refused_words(self) -> tuple[str, ...]:
        """What was asked for and not granted: bundles by their titles, other scopes by name."""
        bundled = {scope for each in self.refused_access for scope in each.scopes}
        others = (scope for scope in self.narrower_scopes if scope not in bundled)
        return (*(each.title for each in self.refused_access), *others)

    @property
    def holds_key(self) -> bool:
        """Whether it has a key that the user made, instead of tokens that a sign-in gave."""
        return holds_key(self.method)

    def at(self, now: datetime, *, keychain_ok: bool = True) -> AccountView:
        """As shown at `now`: a view may be some seconds or hours old, and its token may have expired
        since.
        """
        status = shown_status(
            self.status,
            expires_at=self.expires_at,
            renewable=self.renewable,
            now=now,
            keychain_ok=keychain_ok,
        )
        return self if status == self.status else replace(self, status=status)

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob status --json` and the agent's answers contain. It holds nothing secret."""
        return {
            "id": self.id,
            "provider": self.provider,
            "label": self.label,
            "method": self.method,
            "status": self.status,
            "subject": self.subject,
            "name": self.name,
            "email": self.email,
            "plan": self.plan,
            "scopes": list(self.scopes),
            "access": None if self.access is None else [each.to_json() for each in self.access],
            "expires_at": to_rfc3339(self.expires_at),
            "renews_at": to_rfc3339(self.renews_at),
            "renewable": self.renewable,
            "connected_at": to_rfc3339(self.connected_at),
            "last_renewed_at": to_rfc3339(self.last_renewed_at),
            "grant_ends_at": to_rfc3339(self.grant_ends_at),
            "shareable": self.shareable,
            "hosts": list(self.hosts),
            "unencrypted": self.unencrypted,
            "preset_changes": [each.to_json() for each in self.preset_changes],
            "last_error": self.last_error.to_json() if self.last_error else None,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> AccountView:
        """What `to_json` made, here or in an agent of another version. Raises ValueError for a method or a
        status that this version does not know. The id replaces the key, and the provider's id its title.
        """
        method, status = known(METHODS, row["method"]), known(SHOWN_STATUSES, row["status"])
        if method is None or status is None:
            raise ValueError(f"a method or status of a newer version: {row['method']!r}, {row['status']!r}")
        error = row.get("last_error")
        return cls(
            id=row["id"],
            key=row["id"],
            provider=row["provider"],
            provider_title=row["provider"],
            label=row["label"],
            method=method,
            status=status,
            subject=row["subject"],
            name=row["name"],
            email=row.get("email"),
            plan=row["plan"],
            scopes=tuple(row["scopes"]),
            expires_at=from_rfc3339(row["expires_at"]),
            renews_at=from_rfc3339(row["renews_at"]),
            renewable=row["renewable"],
            connected_at=from_rfc3339(row["connected_at"]),
            last_renewed_at=from_rfc3339(row["last_renewed_at"]),
            grant_ends_at=from_rfc3339(row["grant_ends_at"]),
            last_error=ErrorNote.from_json(error) if error else None,
            shareable=row.get("shareable", True),
            hosts=tuple(row.get("hosts", ())),
            unencrypted=row.get("unencrypted", False),
            preset_changes=PresetChange.all_from(row.get("preset_changes", ())),
            access=None
            if row.get("access") is None
            else tuple(GrantedAccess.from_json(each) for each in row["access"]),
        )
