"""What the Connect Account dialog shows, as frozen values. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyfob.core.methods import Method
from keyfob.core.provider import Input
from keyfob.core.words import ClientSource, SecretRule
from keyfob.desktop.shared.avatar import Face


@dataclass(frozen=True, slots=True)
class Card:
    """A provider in the gallery."""

    id: str
    title: str
    subtitle: str
    letter: str
    color: str
    methods: tuple[tuple[Method, str], ...]  # (method, words)
    blocked: str  # why the provider's terms forbid signing in; empty if they do not
    search: str
    at_once: tuple[Method, ...] = ()  # the methods that need no app registration, and that the terms allow

    @property
    def badge(self) -> str:
        """The words of the badge; empty if there is none."""
        return "Not allowed by the provider’s terms" if self.blocked else ""


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client id that Keyfob has already, and where it is from."""

    client_id: str
    source: ClientSource | Literal["account"]  # account: that of the account signed in to again


@dataclass(frozen=True, slots=True)
class Form:
    """What the user must enter before a sign-in by `method` can begin."""

    provider: str
    method: Method
    title: str
    text: str
    letter: str
    color: str
    inputs: tuple[Input, ...]
    needs_client: bool
    known_client: KnownClient | None
    secret: SecretRule
    register_at: str | None
    register_note: str | None
    redirect_uri: str | None
    key_wanted: bool
    key_hint: str
    create_at: str | None
    password_wanted: bool
    blocked: str | None
    link: str | None
    others: tuple[tuple[Method, str], ...] = ()  # the provider's other methods, if this one is blocked
    also_ports: tuple[int, ...] = ()  # further ports to register, if the provider wants each

    @property
    def takes_secret(self) -> bool:
        """Whether a client secret can be entered."""
        return self.secret != "never"  # noqa: S105  (a word of the presets)

    @property
    def needs_secret(self) -> bool:
        """Whether a client secret must be entered."""
        return self.secret == "required"  # noqa: S105

    @property
    def empty(self) -> bool:
        """Nothing to ask: the sign-in can begin at once."""
        asks = self.inputs or self.key_wanted or self.password_wanted or self.blocked
        return not asks and (not self.needs_client or self.known_client is not None)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list of what is done and what comes next."""

    text: str
    note: str
    state: str  # done | now | later | failed


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in in progress."""

    title: str
    text: str
    steps: tuple[Step, ...]
    can_copy_link: bool
    paste: str | None  # the words for what may be pasted
    code: str | None
    code_page: str | None  # the address to open
    code_qr: str | None  # what the QR code holds
    left: str  # time left, in words


@dataclass(frozen=True, slots=True)
class Success:
    """What the page after a sign-in says."""

    title: str
    text: str
    face: Face
    not_you: str  # the question
    undo: str  # the button's words


@dataclass(frozen=True, slots=True)
class Failure:
    """What the page after a failed sign-in says. It holds nothing secret."""

    title: str
    text: str
    remedy: str
    details: str
    retry: str
    unlock: bool = False  # the press has the user unlock the keychain, or set it up, first
    settings: bool = False  # the remedy is in Settings
    as_new: bool = False  # somebody else signed in: the press connects that one as a new account
