"""The cards of the gallery, made from the presets: which providers there
are, in which order, and what each method takes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.desktop.connect.models import Card, Group, Way
from keyfob.desktop.shared.avatar import first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS

# What most users look for stands first; then by title; what fits any server, and test servers, stand last.
POPULAR = (
    "nexusmods", "bluesky", "github", "openai", "claude", "google", "microsoft", "mastodon", "discord",
    "spotify",
    "gitlab", "huggingface", "slack", "dropbox", "reddit", "nextcloud",
)  # fmt: skip
ANY_SERVER = ("oidc", "oauth2", "atproto", "api-key", "api-key-header")
OWN_SERVER = "custom"  # the category of what fits any server
# The categories of the gallery, in reading order. The demo is in none of them.
CATEGORIES = {
    "ai": "AI",
    "code": "Code",
    "work": "Work",
    "social": "Social",
    "storage": "Storage",
    "games": "Games",
    "media": "Media",
    "research": "Research",
    "identity": "Identity",
    "other": "Other",
    OWN_SERVER: "Your own server",
}
GROUPS: tuple[Group, ...] = ("at_once", "own_app", "blocked")
NEEDS_APP = "Needs your own app"
BLOCKED, BLOCKED_ACTION = "Not allowed", "not allowed by its terms"


def card(provider: Provider, *, has_app: bool = False) -> Card:
    """A provider's card in the gallery: its methods, those that work now first. `has_app`: Keyfob has an app
    registration of the user's for it.
    """
    ordered = sorted(provider.methods, key=lambda m: not works_at_once(provider, m, has_app=has_app))
    at_once = tuple(m for m in ordered if works_at_once(provider, m, has_app=has_app))
    blocked = "" if has_app else plain(provider.policy.blocked or "", 600)
    group: Group = "at_once" if at_once else "blocked" if blocked else "own_app"
    ways = tuple(_way(provider, m, blocked, m in at_once, has_app) for m in ordered)
    any_server = "any server" if fits_any(provider) else ""
    names = (f"{METHOD_WORDS[m].name} {way.title}" for m, way in zip(ordered, ways, strict=True))
    hay = " ".join((provider.title, provider.id, provider.category, any_server, *names))
    return Card(
        id=provider.id,
        title=plain(provider.title, 120),
        subtitle={"at_once": ways[0].title, "own_app": NEEDS_APP, "blocked": BLOCKED}[group],
        letter=first_letter(provider.title),
        color=provider.color,
        category=OWN_SERVER if fits_any(provider) else provider.category,
        group=group,
        ways=ways,
        blocked=blocked,
        search=f"{hay} {BLOCKED_ACTION if blocked else ''}".casefold(),
    )


def wants_own_app(provider: Provider) -> bool:
    """Whether the user has to register an app at the provider first, for one of its methods at least."""
    return any(provider.needs_own_app(method) for method in provider.methods)


def works_at_once(provider: Provider, method: Method, *, has_app: bool = False) -> bool:
    """Whether a user can sign in by `method` as things stand: without a new app registration, and within the
    terms.
    """
    if METHOD_FACTS[method].by_client:
        return False  # the user creates it first, whatever else there is
    if holds_key(method) or has_app:
        return True
    return not provider.policy.blocked and not provider.needs_own_app(method)


# What the account's own page does besides keeping it signed in.
GIVES: Mapping[str, str] = {"nexusmods": "Keyfob then shows updates of your mods, and downloads them."}


def key_words(provider: Provider) -> tuple[str, str]:
    """What the provider calls its keys: on a tile and in a sentence."""
    token = provider.api_key is not None and provider.api_key.called == "token"
    return ("Token", "a token") if token else ("API key", "an API key")


def method_title(provider: Provider, method: Method) -> str:
    """What the method is called in a list."""
    return METHOD_WORDS[method].title.replace("{key}", key_words(provider)[0])


def _way(provider: Provider, method: Method, blocked: str, at_once: bool, has_app: bool) -> Way:
    """What signing in by `method` takes, in words."""
    words, title = METHOD_WORDS[method], plain(provider.title, 120)
    action = words.action.replace("{key}", key_words(provider)[1])
    lead = words.lead.replace("{provider}", "your server" if fits_any(provider) else title)
    if METHOD_FACTS[method].by_client:
        return Way(method, method_title(provider, method), action, lead)
    if at_once and METHOD_FACTS[method].needs_client and has_app:
        lead = "You sign in with the app that you registered before."
    elif at_once and holds_key(method) and provider.api_key and provider.api_key.create_at:
        own_app = " No app needed." if wants_own_app(provider) else ""
        lead = f"You create it on a page that Keyfob opens.{own_app}"
    elif not at_once and blocked:
        action, lead = BLOCKED_ACTION, blocked
    elif not at_once:
        action = "sign in with your own app"
        at = "your server" if fits_any(provider) else title
        lead = f"First you register an app at {at}. Keyfob shows you each step."
    if at_once and provider.id in GIVES:
        lead = f"{lead} {GIVES[provider.id]}"
    return Way(method, method_title(provider, method), action, lead)


def cards(providers: Sequence[Provider], *, demo: bool, with_app: Collection[str] = ()) -> tuple[Card, ...]:
    """In reading order: the demo if it runs (else left out), then what works at once, each the popular first
    and the rest by title; any server last. `with_app`: providers that Keyfob has an app registration for.
    """
    shown = [p for p in providers if demo or p.category != "demo"]
    pairs = [(p, card(p, has_app=p.id in with_app)) for p in shown]
    return tuple(made for _, made in sorted(pairs, key=lambda pair: _place(*pair)))


def _place(provider: Provider, made: Card) -> tuple[int, bool, bool, bool, int, str]:
    popular = POPULAR.index(provider.id) if provider.id in POPULAR else len(POPULAR)
    return (
        GROUPS.index(made.group),
        provider.category != "demo",
        fits_any(provider),
        provider.id.endswith("-sandbox"),
        popular,
        provider.title.casefold(),
    )


def fits_any(provider: Provider) -> bool:
    """Whether the preset is for a server that the user names."""
    return provider.category == OWN_SERVER or provider.id in ANY_SERVER


def other_ways(provider: Provider, method: Method) -> tuple[Card, ...]:
    """The card for switching an account that signs in by `method`; none if there is no other method."""
    mine = card(provider)
    others = tuple(way for way in mine.ways if way.method != method)
    return (replace(mine, ways=others, subtitle=" · ".join(w.title for w in others)),) if others else ()


def found(card: Card, query: str) -> bool:
    """Whether every word of `query` occurs in it."""
    return all(word in card.search for word in query.casefold().split())


def best(cards: Sequence[Card], query: str) -> Card | None:
    """The card whose title is `query`, else the first whose title begins with it, else the first of all."""
    wanted = query.strip().casefold()
    titles = [each.title.casefold() for each in cards]
    if wanted in titles:
        return cards[titles.index(wanted)]
    begins = (each for each, title in zip(cards, titles, strict=True) if wanted and title.startswith(wanted))
    return next(begins, cards[0] if cards else None)
