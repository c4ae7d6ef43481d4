"""The cards of the gallery, made from the presets: which providers there
are, in which order, and what each method takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.desktop.connect.models import Card
from keyfob.desktop.shared.avatar import first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS

# What most users look for stands first; then by title; what fits any server, and test servers, stand last.
POPULAR = (
    "nexusmods", "bluesky", "github", "openai", "claude", "google", "microsoft", "mastodon", "discord",
    "spotify",
    "gitlab", "huggingface", "slack", "dropbox", "reddit", "nextcloud",
)  # fmt: skip
ANY_SERVER = ("oidc", "oauth2", "atproto", "api-key", "api-key-header")


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
    """Whether a user can sign in by `method` as things stand: without an
    app registration, and within the terms.
    """
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
    """In reading order: the demo if it runs (else left out), then what works at once, each the popular first
    and the rest by title; any server last.
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
