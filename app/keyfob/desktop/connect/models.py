"""What the Connect Account dialog shows, as frozen values. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyfob.core.methods import Method
from keyfob.core.provider import Input, SecondPart
from keyfob.core.words import ClientSource, SecretRule
from keyfob.desktop.shared.avatar import Face

# Whether a provider works as things stand, needs an app registration first, or forbids the sign-in.
Group = Literal["at_once", "own_app", "blocked"]


@dataclass(frozen=True, slots=True)
class Way:
    """A method of a provider: its name in a list, what the user does, and what then happens."""

    method: Method
    title: str
    action: str
    lead: str


@dataclass(frozen=True, slots=True)
class Card:
    """A provider in the gallery."""

    id: str
    title: str
    subtitle: str
    letter: str
    color: str
    category: str
    group: Group
    ways: tuple[Way, ...]  # those that work now first
    blocked: str  # why the provider's terms forbid signing in; empty if they do not
    search: str


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A client id that Keyfob has already, and where it is from."""

    client_id: str
    source: ClientSource | Literal["account"]  # account: that of the account signed in to again


@dataclass(frozen=True, slots=True)
class Registration:
    """How the user registers an app: what the steps of the form show."""

    at: str  # the provider's title, or "your server"
    page: str | None  # its address; `{name}` stands for what the user enters
    note: str  # what to choose there
    redirect: str | None  # the address to enter there; None: there is no field for it
    also_ports: tuple[int, ...] = ()  # further ports to register, if the provider wants each
    id_pattern: str | None = None
    id_hint: str = ""
    service: bool = False  # a service account, which signs in as itself
    client_id: str = ""  # known already


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How the user creates a key and what it looks like."""

    name: str  # "API key" or "Token"
    an: str  # in a sentence: "an API key"
    page: str | None  # where it is created; `{name}` stands for what the user enters
    hint: str
    pattern: str | None
    second: SecondPart | None = None  # a key of two parts
    foreign: tuple[tuple[str, str], ...] = ()  # patterns of other providers' keys, and whose they are


@dataclass(frozen=True, slots=True)
class AccessChoice:
    """Something that tools may do with the account, to be ticked."""

    id: str  # empty: always asked for
    title: str
    scopes: tuple[str, ...]
    allows: str = ""  # a line about what it allows
    risky: str = ""  # why to think twice
    chosen: bool = False
    fixed: bool = False  # the account has it, or it is always asked for
    note: str = ""  # why it is fixed


@dataclass(frozen=True, slots=True)
class Form:
    """What the user must enter before a sign-in by `method` can begin."""

    provider: str
    method: Method
    title: str
    text: str
    letter: str
    color: str
    provider_title: str
    inputs: tuple[Input, ...] = ()
    registration: Registration | None = None  # None: the method needs no app registration
    known_client: KnownClient | None = None
    secret: SecretRule = "never"  # noqa: S105  (a word of the presets)
    key: KeyForm | None = None
    password_wanted: bool = False
    blocked: str | None = None
    link: str | None = None
    others: tuple[Way, ...] = ()  # the provider's other methods
    choices: tuple[Way, ...] = ()  # methods to choose among, this one included; empty: there is one
    instead: Way | None = None  # what the button "Use a token instead" leads to
    offers_app: bool = False  # the app registration of before is offered, though nothing has to be entered
    access: tuple[AccessChoice, ...] = ()  # what tools may do, to choose from
    asks_more: bool = False  # the account exists, and the user wants more of its access

    @property
    def takes_secret(self) -> bool:
        """Whether a client secret can be entered."""
        return self.secret != "never"  # noqa: S105  (a word of the presets)

    @property
    def needs_secret(self) -> bool:
        """Whether a client secret must be entered."""
        return self.secret == "required"  # noqa: S105

    @property
    def asks_client(self) -> bool:
        """Whether a client id has to be entered."""
        return self.registration is not None and self.known_client is None

    @property
    def empty(self) -> bool:
        """Nothing to ask: the sign-in can begin at once."""
        asks = self.inputs or self.key or self.password_wanted or self.blocked or self.access
        return not asks and not self.asks_client and not self.offers_app


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
    id: str  # the account's name for tools
    command: str  # that prints a token; empty if no tool gets one
    next_step: str


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
    other: str = ""  # somebody else signed in: connects that one as a new account
    key_for: str = ""  # the press first creates a private key for this provider
    copies: str = "Copy details"  # what the button that copies `details` says
