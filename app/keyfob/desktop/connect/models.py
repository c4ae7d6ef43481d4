"""What the Connect Account dialog shows, as frozen values made from presets and an attempt's progress. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from keyfob.core import time_words
from keyfob.core.errors import KeyfobError
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Input, Provider
from keyfob.core.text import plain
from keyfob.core.words import (
    ClientSource,
    SecretRule,
    Stage,
)
from keyfob.desktop.shared.avatar import Face, first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.desktop.shared.remedies import remedy
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS as BUTTONS
from keyfob.desktop.window.viewmodel import face_of, name_of
from keyfob.protocol.http.urls import fault_of
from keyfob.service.accounts.views import Progress

BROWSER_NEXT = "Your browser opens in the next step."
CHANGE = "Edit"  # what was entered in the form
# What most users look for stands first; then by title; what fits any server, and test servers, stand last.
POPULAR = (
    "nexusmods", "bluesky", "github", "openai", "claude", "google", "microsoft", "mastodon", "discord", "spotify",
    "gitlab", "huggingface", "slack", "dropbox", "reddit", "nextcloud",
)  # fmt: skip
ANY_SERVER = ("oidc", "oauth2", "atproto", "api-key", "api-key-header")


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


def card(provider: Provider) -> Card:
    """A provider's card in the gallery: its methods, best first, and what they take."""
    # The first one is chosen until the user chooses another.
    ordered = sorted(provider.methods, key=lambda m: not works_at_once(provider, m))
    methods = tuple((m, METHOD_WORDS[m].name) for m in ordered)
    own = wants_own_app(provider)
    spoken = [w for m, w in methods if holds_key(m) or not (own or provider.policy.blocked)]
    if provider.policy.blocked:
        spoken = [f"{' · '.join(spoken)} only" if spoken else "not allowed"]
    elif own and any(METHOD_FACTS[m].needs_client for m in provider.methods):
        spoken.append("own app" if spoken else "needs your own app")
    elif own:
        spoken = [w for _, w in methods]
    any_server = "any server" if _fits_any(provider) else ""
    hay = " ".join((provider.title, provider.id, provider.category, any_server, *(w for _, w in methods)))
    hay += " not allowed by its terms" if provider.policy.blocked else ""
    return Card(
        provider.id,
        plain(provider.title, 120),
        " · ".join(spoken),
        first_letter(provider.title),
        provider.color,
        methods,
        plain(provider.policy.blocked or "", 600),
        hay.casefold(),
        tuple(m for m in ordered if works_at_once(provider, m)),
    )


def wants_own_app(provider: Provider) -> bool:
    """Whether the user has to register an app at the provider first."""
    return provider.policy.client_id == "user" and not provider.client.client_id


def works_at_once(provider: Provider, method: Method) -> bool:
    """Whether a user can sign in by `method` as things stand: without an app registration, and within the terms."""
    if holds_key(method):
        return True
    return not provider.policy.blocked and not (wants_own_app(provider) and METHOD_FACTS[method].needs_client)


def lead(card: Card, method: Method) -> str:
    """What signing in by `method` takes."""
    if method in card.at_once:
        return METHOD_WORDS[method].lead
    if card.blocked:
        return f"{card.badge}."
    return f"First register your own app at {card.title}. Then sign in with it."


def cards(providers: Sequence[Provider], *, demo: bool) -> tuple[Card, ...]:
    """In reading order: the demo if it runs (else left out), then what works at once, each the popular first and the
    rest by title; any server last.
    """
    shown = [p for p in providers if demo or p.category != "demo"]
    return tuple(card(p) for p in sorted(shown, key=_place))


def _place(provider: Provider) -> tuple[bool, bool, bool, bool, int, str]:
    popular = POPULAR.index(provider.id) if provider.id in POPULAR else len(POPULAR)
    return (
        provider.category != "demo",
        _fits_any(provider),
        provider.id.endswith("-sandbox"),
        not any(works_at_once(provider, m) for m in provider.methods),
        popular,
        provider.title.casefold(),
    )


def _fits_any(provider: Provider) -> bool:
    return provider.category == "custom" or provider.id in ANY_SERVER


def other_ways(provider: Provider, method: Method) -> tuple[Card, ...]:
    """The card for switching an account that signs in by `method`; none if there is no other method."""
    mine = card(provider)
    others = tuple((m, w) for m, w in mine.methods if m != method)
    return (replace(mine, methods=others, subtitle=" · ".join(w for _, w in others)),) if others else ()


def found(card: Card, query: str) -> bool:
    """Whether every word of `query` occurs in it."""
    return all(word in card.search for word in query.casefold().split())


def redirect_uri(provider: Provider, setting_port: int) -> str:
    """The exact redirect URI that the user enters when registering an app."""
    redirect = provider.redirect
    if redirect.uri:
        return redirect.uri
    port = setting_port if redirect.port == "setting" else redirect.ports[0] if redirect.ports else None
    if port is None or not redirect.registered_port:
        return f"http://{redirect.host}{redirect.path}"
    return f"http://{redirect.host}:{port}{redirect.path}"


def form(provider: Provider, method: Method, *, known: KnownClient | None, setting_port: int) -> Form:
    """What `method` at `provider` asks of the user."""
    policy, key = provider.policy, provider.api_key
    facts = METHOD_FACTS[method]
    wants_key = holds_key(method)
    registers_redirect = facts.comes_back and facts.needs_client
    needs_client = facts.needs_client and policy.client_id == "user"
    first = "First register an app. Then sign in with it." if needs_client and known is None else BROWSER_NEXT
    text = METHOD_WORDS[method].form or policy.note or first
    return Form(
        provider=provider.id,
        method=method,
        title=f"Connect {provider.title}",
        text=text,
        letter=first_letter(provider.title),
        color=provider.color,
        inputs=provider.inputs,
        needs_client=needs_client,
        known_client=known,
        secret=provider.client.secret if needs_client else "never",
        register_at=policy.register_at if is_web(policy.register_at) else None,
        register_note=policy.register_note,
        redirect_uri=redirect_uri(provider, setting_port) if registers_redirect else None,
        key_wanted=wants_key,
        key_hint=key.hint if key and wants_key else "",
        create_at=key.create_at if key and wants_key and is_web(key.create_at) else None,
        password_wanted=facts.asks_for == "password",
        blocked=policy.blocked if not wants_key and known is None else None,
        link=policy.terms if is_web(policy.terms) else None,
        others=tuple((m, METHOD_WORDS[m].name) for m in provider.methods if m != method),
        also_ports=provider.redirect.ports[1:]
        if registers_redirect and provider.redirect.port == "list" and provider.redirect.registered_port
        else (),
    )


def waiting(progress: Progress, now: datetime) -> Waiting:
    """The progress of a sign-in in words."""
    title, left = progress.provider_title, ""
    if progress.deadline is not None:
        left = f"{time_words.countdown(progress.deadline - now)} left"
    facts = METHOD_FACTS[progress.method]
    if facts.shows_code:
        return _device(progress, left)
    steps: tuple[tuple[str, Stage], ...]
    if facts.asks_for is not None:
        steps = (("Check with the provider", "checking"), ("Save in your keychain", "saving"))
        lead = f"Keyfob is asking {title} who you are."
    else:
        ready = "Ready for your browser"
        if progress.redirect_uri and progress.redirect_uri.startswith("http://127.0.0.1:"):
            ready = f"Ready on {progress.redirect_uri.split('/')[2]}"
        opened = "Browser opened" if progress.browser_opened is not False else "The browser did not open"
        steps = (
            (ready, "ready"),
            (opened, "browser"),
            ("Waiting for you", "waiting"),
            ("Check who signed in", "checking"),
            ("Save in your keychain", "saving"),
        )
        lead = "Your browser is open. Allow access there, then come back."
        if progress.browser_opened is False:
            lead = "No browser opened. Copy the link and open it in any browser."
        elif progress.stage in ("preparing", "ready"):
            lead = "Your browser opens in a moment."
        elif progress.stage in ("checking", "saving"):
            lead = "You can close the page in your browser."
    note = left if progress.stage in ("waiting", "browser") else ""
    paste = {
        None: None,
        "url": "Paste the address of the browser’s last page",
        "code": "Paste the code from the page",
        "code#state": "Paste the code from the page",
    }[progress.paste if progress.stage in ("waiting", "browser", "ready") else None]
    return Waiting(
        f"Connecting {title}" if holds_key(progress.method) else f"Sign in at {title}",
        lead,
        _steps(steps, "waiting" if progress.stage == "browser" and progress.browser_opened else progress.stage, note,
               failed="browser" if progress.browser_opened is False else None),
        progress.url is not None and progress.stage in ("browser", "waiting"),
        paste,
        None, None, None, left,
    )  # fmt: skip


def _device(progress: Progress, left: str) -> Waiting:
    page = progress.verification_uri
    shown = (page or "").removeprefix("https://").removeprefix("http://")
    lead = f"On any device, open {shown} and enter this code." if page else "Getting a code …"
    stage: Stage = "waiting" if progress.stage == "code" else progress.stage
    steps: tuple[tuple[str, Stage], ...] = (
        ("Waiting for you", "waiting"),
        ("Check who signed in", "checking"),
        ("Save in your keychain", "saving"),
    )
    return Waiting(
        f"Sign in at {progress.provider_title}",
        lead,
        _steps(steps, stage, left if stage == "waiting" else ""),
        False,
        None,
        progress.user_code,
        page if is_web(page) else None,
        progress.verification_uri_complete or page,
        left,
    )


def _steps(
    steps: Sequence[tuple[str, Stage]], stage: Stage, note: str, failed: Stage | None = None
) -> tuple[Step, ...]:
    names = [name for _, name in steps]
    reached = names.index(stage) if stage in names else len(names) if stage == "done" else -1
    if stage == "ready":
        reached = names.index("ready") + 1 if "ready" in names else 0
    out = []
    for number, (text, name) in enumerate(steps):
        if name == failed and number <= max(reached, 1):
            state = "failed"
        elif number < reached:
            state = "done"
        elif number == reached or (reached < 0 and number == 0):
            state = "now"
        else:
            state = "later"
        out.append(Step(text, note if name == "waiting" and state == "now" else "", state))
    return tuple(out)


def success(progress: Progress) -> Success:
    """The words for an account that was connected, or recognised and renewed."""
    account = progress.account
    assert account is not None
    name = name_of(account)
    parts = [account.provider_title]
    if account.plan:
        parts.append(account.plan)
    if progress.recognised:
        parts.append("already connected, now renewed")
    elif progress.reconnected:
        parts.append("signed in again")
    if progress.narrower:
        parts.append(f"without {', '.join(progress.narrower)}")
    old = progress.recognised or progress.reconnected
    return Success(
        f"Connected as {name}",
        " · ".join(parts),
        face_of(account),
        "Not you?",
        "Disconnect" if old else "Revoke and remove",
    )


def failure(progress: Progress) -> Failure:
    """The words for a sign-in that brought no account."""
    if progress.error is None:
        title = f"{progress.provider_title} was not connected"
        return Failure(title, "Keyfob does not know why.", "Try again.", "", "Try again")
    return refusal(progress.error, progress.provider_title, progress.provider, progress.method)


def refusal(
    error: KeyfobError, title: str = "The account", provider: str = "", method: Method | None = None
) -> Failure:
    """As `failure`, also for an error that came before there was a sign-in."""
    title = f"{title} was not connected"
    message = error.message.rstrip(".") + "."
    details = "\n".join(
        f"{name}: {value}"
        for name, value in (
            ("provider", provider),
            ("method", method),
            ("code", error.code),
            ("advice", str(error.advice)),
            ("message", error.message),
            ("detail", error.detail),
        )
        if value
    )
    if error.code == "subject_mismatch":
        return Failure(title, message, remedy(error), details, "Connect as a new account", as_new=True)
    if error.code in BUTTONS:
        return Failure(title, message, remedy(error), details, BUTTONS[error.code], unlock=True)
    if error.code == "port_taken":
        # Only a port that Settings sets can be changed there: then the remedy says so.
        in_settings = error.remedy is None
        return Failure(title, message, remedy(error), details, "Try again", settings=in_settings)
    retry = CHANGE if str(error.advice) == "fix_setting" else "Try again"
    return Failure(title, message, remedy(error), details, retry)


def is_web(url: str | None) -> bool:
    """Presets may be anybody's: only pages of the web are offered to be opened, and none with a place to fill in."""
    return fault_of(url) is None
