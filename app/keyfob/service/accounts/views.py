"""What the services return to the faces: frozen values, without secrets unless a field is a `Secret`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict, get_args

from keyfob.core.account import AccountView
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError
from keyfob.core.finding import Finding
from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.core.times import to_rfc3339
from keyfob.core.words import ENDED, PasteForm, Revoked, Stage, UnrevokedReason, known

SIGN_IN_TIME = 300.0  # seconds
_REVOKED: tuple[Revoked, ...] = get_args(Revoked)
_REASONS: tuple[UnrevokedReason, ...] = get_args(UnrevokedReason)


@dataclass(frozen=True, slots=True)
class Token:
    """A valid access token or key. The caller owns the secret and passes it to its tool only."""

    account: str
    token: Secret
    token_type: str
    expires_at: datetime | None
    scopes: tuple[str, ...]
    header_name: str = "Authorization"
    header_value: Secret | None = None  # the whole header value as the provider wants it; None: as Bearer
    no_header: ErrorCode | None = None  # why no header alone carries it

    def to_json(self) -> dict[str, Any]:
        """The one document that may hold a token: as the agent and `keyfob token --json` answer."""
        return {
            "account": self.account,
            "token": self.token.reveal(),
            "token_type": self.token_type,
            "expires_at": to_rfc3339(self.expires_at),
            "scopes": list(self.scopes),
        }


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What a user asked for. For an account that exists, `account` names it and the rest comes from it."""

    provider: str
    method: Method | None = None  # None: the account's, or the preset's first
    account: str | None = None
    label: str | None = None
    access: tuple[str, ...] | None = None  # ids of bundles; None: those that the preset asks for by default
    scopes: tuple[str, ...] = ()  # besides the preset's and the bundles'
    only_scopes: tuple[str, ...] = ()  # in place of all these
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # instance, tenant, handle, username …
    api_key: Secret | None = None
    password: Secret | None = None
    client_id: str | None = None  # the user's own app registration, kept for the next time
    client_secret: Secret | None = None
    allow_http: str | None = None  # a host of the own network that may be asked without TLS: HOST[:PORT]
    key_expires_at: datetime | None = None
    timeout: float = SIGN_IN_TIME  # seconds for the user to finish in the browser
    open_browser: bool = True
    switch_method: bool = False  # reconnect by another method: on purpose only


@dataclass(frozen=True, slots=True)
class Progress:
    """How a sign-in stands."""

    stage: Stage
    provider: str
    provider_title: str
    method: Method
    url: Secret | None = None  # for "Copy link"; carries state, never logged
    redirect_uri: str | None = None
    browser_opened: bool | None = None  # None: not tried
    user_code: str | None = None
    verification_uri: str | None = None
    verification_uri_complete: str | None = None
    deadline: datetime | None = None
    paste: PasteForm | None = None  # what may be pasted instead: url, code, code#state
    account: AccountView | None = None
    reconnected: bool = False
    recognised: bool = False  # this subject was connected already: that account was renewed, none was added
    error: KeyfobError | None = None
    narrower: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the sign-in is over, well or not."""
        return self.stage in ENDED


class ProgressChanges(TypedDict, total=False):
    """What changes in a Progress while a sign-in goes on."""

    url: Secret | None
    redirect_uri: str
    browser_opened: bool | None
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    deadline: datetime
    account: AccountView
    reconnected: bool
    recognised: bool
    error: KeyfobError
    narrower: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disconnection:
    """What became of an account's sign-ins at its provider: the newest, and older ones that it replaced."""

    account: AccountView | None
    revoked: Revoked  # yes (all of them) | pending (some are tried again later) | unsupported (some stay)
    # Why, for unsupported: local (as asked), not_offered, refused (by the provider), unconfirmed (nothing can
    # show whether it is revoked), nothing_left (no token here)
    reason: UnrevokedReason | None = None
    sign_ins: int = 1  # that there were
    left: int = 0  # that were not revoked, and are not tried again
    page: str | None = None  # the provider's, where the user can end access by hand

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob disconnect --json` shows."""
        return {
            "revoked": self.revoked,
            "reason": self.reason,
            "sign_ins": self.sign_ins,
            "left": self.left,
            "page": self.page,
            "account": self.account.to_json() if self.account else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Disconnection:
        """What an agent sent. Raises ValueError for a word that this version does not know."""
        revoked, reason = known(_REVOKED, data["revoked"]), known(_REASONS, data["reason"])
        if revoked is None or (reason is None and data["reason"] is not None):
            raise ValueError("another version's word")
        account = data.get("account")
        return cls(
            AccountView.from_json(account) if account else None,
            revoked,
            reason,
            sign_ins=data["sign_ins"],
            left=data["left"],
            page=data["page"],
        )


@dataclass(frozen=True, slots=True)
class TestResult:
    """The provider's who-am-I, asked with the account's token."""

    __test__ = False  # not a pytest class

    account: str
    ok: bool
    subject: str | None
    name: str | None
    status: int | None
    milliseconds: int

    def to_json(self) -> dict[str, Any]:
        """The object that `keyfob test --json` shows."""
        return {
            "account": self.account,
            "ok": self.ok,
            "subject": self.subject,
            "name": self.name,
            "status": self.status,
            "milliseconds": self.milliseconds,
        }


__all__ = ["Disconnection", "Finding", "Progress", "SignInRequest", "TestResult", "Token"]
