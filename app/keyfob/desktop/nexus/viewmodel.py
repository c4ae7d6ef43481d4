"""The page of a Nexus Mods account, made from what is known of it: words and numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.nexus import mod_rows, words
from keyfob.desktop.nexus.models import (
    DownloadsPart,
    Empty,
    Games,
    Head,
    Limit,
    Links,
    ListName,
    ModsPart,
    NexusPage,
    Note,
    TabName,
    TrendingPart,
)
from keyfob.desktop.shared import remedies
from keyfob.desktop.window.models import Detail
from keyfob.desktop.window.status_text import until
from keyfob.nexus.models import DownloadItem, Game, Limits, Mod, ModState, Profile

LOW = 0.1  # of a limit: below, it is amber
EARLIER_MOST = 200  # downloads that have ended, on the page
GIVES = (
    "With this account, Keyfob shows which of your mods have a newer version, what is popular and new for "
    "your games, and downloads files with progress into a folder that you choose."
)
SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Popular:
    """One of the site's lists, and when it was read."""

    mods: tuple[Mod, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the account at Nexus Mods. `None` is not known yet."""

    profile: Profile | None = None
    limits: Limits = field(default_factory=Limits)
    games: tuple[Game, ...] | None = None
    game: str = ""  # the chosen one's domain
    mods: tuple[ModState, ...] | None = None  # of all games
    mods_at: datetime | None = None
    popular: Mapping[tuple[str, str], Popular] = field(default_factory=dict)  # by game and list
    list: ListName = "trending"
    adult: bool = False
    downloads: tuple[DownloadItem, ...] = ()
    folder: Path | None = None
    home: Path | None = None  # folders in it are shown without it
    links: Links = field(default_factory=Links)
    search: str = ""
    mods_problem: KeyfobError | None = None
    popular_problem: KeyfobError | None = None
    loading_mods: bool = False
    checked: tuple[int, int] | None = None  # mods whose files were looked at, of how many
    loading_popular: bool = False


def page(
    detail: Detail,
    known: Known,
    now: datetime,
    *,
    renews: str,
    leads: bool = True,
    zone: tzinfo | None = None,
) -> NexusPage:
    """The page. `detail` is the account's own page; `renews` says when its token is renewed."""
    running = sum(each.state in mod_rows.UNDER_WAY for each in known.downloads)
    counts: tuple[tuple[TabName, int], ...] = (
        ("mods", len(known.mods or ())),
        ("downloads", running),
    )
    return NexusPage(
        head=head(detail, known, renews, now, zone),
        mods=mods(detail, known, now, zone),
        trending=trending(detail, known, now, zone),
        downloads=downloads(detail, known, now, zone),
        counts=counts,
        folder=f"Downloads go to {short_path(known.folder, known.home)}." if known.folder else "",
        leads=leads,
    )


def head(detail: Detail, known: Known, renews: str, now: datetime, zone: tzinfo | None) -> Head:
    """Who it is, and what is left of its limits."""
    limits, profile = known.limits, known.profile
    bars = (
        limit(limits.hourly_left, limits.hourly_limit, limits.hourly_resets_at, "Left this hour", now, zone),
        limit(limits.daily_left, limits.daily_limit, limits.daily_resets_at, "Left today", now, zone),
    )
    badge = profile.membership if profile is not None else ""
    return Head(
        detail.title,
        " · ".join(part for part in (detail.provider_title, renews) if part),
        detail.face,
        badge if detail.connected else "",
        tuple(bar for bar in bars if bar is not None) if detail.connected else (),
    )


def renews(view: AccountView, now: datetime) -> str:
    """`renews in 43 minutes`, `API key`; empty if the account says more than that itself."""
    if view.status != "connected":
        return view.status.replace("needs_sign_in", "signed out").replace("stale", "waiting")
    left = until(view, now)
    if view.holds_key:
        return "API key"
    if left is None or left <= timedelta(0):
        return ""
    return f"{'renews' if view.renewable else 'ends'} in {time_words.span(left)}"


def limit(
    left: int | None,
    whole: int | None,
    resets: datetime | None,
    under: str,
    now: datetime,
    zone: tzinfo | None,
) -> Limit | None:
    """One limit; None if the site has not said it. A limit that has begun again since is not known."""
    if left is None or not whole or (resets is not None and resets <= now):
        return None
    share = min(max(left / whole, 0.0), 1.0)
    low = share < LOW
    if low and resets is not None:
        more = f"more {words.when(resets, now, zone)}"
        under = f"{more[0].upper()}{more[1:]}" if left == 0 else f"{under} · {more}"
    return Limit(f"{left:,} of {whole:,}", under, share, "warn" if low else "ok")


# --- the tab Mods -------------------------------------------------------------------------------------------


def mods(detail: Detail, known: Known, now: datetime, zone: tzinfo | None) -> ModsPart:
    """The mods of the chosen game that have what is searched for."""
    premium, usable = _premium(known), detail.connected
    queue = mod_rows.latest(known.downloads)
    shown = [each for each in known.mods or () if _matches(each.mod, known)]
    rows = tuple(
        mod_rows.mod_row(
            each, queue.get(mod_rows.key_of(each.mod)), premium=premium, adult=known.adult, usable=usable
        )
        for each in shown
    )
    updates = sum(each.state == "update" for each in shown)
    startable = (
        [key for key, state in updatable(known)] if usable and premium and not known.limits.used_up else []
    )
    summary = "1 update" if updates == 1 else f"{updates:,} updates" if updates else ""
    if known.loading_mods and known.mods:
        summary = "Checking…" if known.checked is None else "Checking {:,} of {:,}…".format(*known.checked)
    waiting = known.loading_mods and known.mods is None
    return ModsPart(
        games=_games(known),
        rows=rows,
        search=known.search,
        waiting=waiting,
        note=_account_note(detail) or _note(known, known.mods_problem, known.mods_at, now, zone),
        empty=None if rows or waiting else _no_mods(detail, known),
        summary=summary,
        update_all="Update all" if startable else "",
        can_add=usable and known.mods is not None,
    )


def updatable(known: Known) -> list[tuple[str, ModState]]:
    """The mods on the page that Update all would update, with their keys."""
    queue = mod_rows.latest(known.downloads)
    found = []
    for each in known.mods or ():
        key = mod_rows.key_of(each.mod)
        item = queue.get(key)
        busy = item is not None and item.state in (*mod_rows.UNDER_WAY, "stopped")
        if each.state == "update" and not busy and _matches(each.mod, known):
            found.append((key, each))
    return found


def _matches(mod: Mod, known: Known) -> bool:
    search = known.search.casefold().split()
    if not search:
        return mod.game == known.game
    text = f"{mod.name} {mod.author} {mod.mod_id}".casefold()
    return mod.game == known.game and all(word in text for word in search)


def _no_mods(detail: Detail, known: Known) -> Empty | None:
    if not detail.connected and not known.mods:
        return _sign_in(detail)
    if known.mods is None or known.games is None:
        return None
    if known.search:
        return Empty("No mod matches", f"None of your mods has “{known.search}” in its name or author.")
    if not known.games:
        return Empty(
            "No games yet",
            "This page lists the games of the mods that you track at Nexus Mods. Track a mod on the site, "
            "or add one here by its address.",
            "Add a mod…",
            "add",
        )
    return Empty(
        f"No mods for {_game_name(known)} yet",
        "Track a mod at Nexus Mods or on the tab Trending, or add one by its address.",
        "Add a mod…",
        "add",
    )


# --- the tab Trending ---------------------------------------------------------------------------------------


def trending(detail: Detail, known: Known, now: datetime, zone: tzinfo | None) -> TrendingPart:
    """One of the site's lists of the chosen game."""
    found = known.popular.get((known.game, known.list))
    states = {mod_rows.key_of(each.mod): each for each in known.mods or ()}
    queue = mod_rows.latest(known.downloads)
    every = [] if found is None else [each for each in found.mods if each.available]
    shown = [each for each in every if known.adult or not each.adult]
    cards = []
    for mod in shown:
        key = mod_rows.key_of(mod)
        state, item = states.get(key), queue.get(key)
        cards.append(
            mod_rows.card(
                mod,
                premium=_premium(known),
                adult=known.adult,
                installed=state is not None and state.installed_version is not None,
                tracked=state is not None,
                busy=item is not None and item.state in mod_rows.UNDER_WAY,
                usable=detail.connected,
            )
        )
    hidden = len(every) - len(shown)
    one = "1 adult mod is" if hidden == 1 else f"{hidden} adult mods are"
    return TrendingPart(
        games=_games(known),
        list=known.list,
        adult=known.adult,
        loaded=f"Loaded {words.when(found.at, now, zone)}" if found is not None else "",
        cards=tuple(cards),
        waiting=known.loading_popular and found is None,
        note=_account_note(detail)
        or _note(known, known.popular_problem, None if found is None else found.at, now, zone),
        empty=None if cards else _no_cards(detail, known, found),
        hidden=f"{one} hidden." if hidden else "",
    )


def _no_cards(detail: Detail, known: Known, found: Popular | None) -> Empty | None:
    if found is not None:
        text = "Nexus Mods lists none" if not found.mods else "None of them can be shown"
        return Empty("Nothing to show", f"{text} for {_game_name(known)} now.")
    if not detail.connected:
        return _sign_in(detail)
    if known.games == ():
        return Empty("No games yet", "Choose a game to see what is popular there.", "Choose a game…", "game")
    return None


# --- the tab Downloads --------------------------------------------------------------------------------------


def downloads(detail: Detail, known: Known, now: datetime, zone: tzinfo | None) -> DownloadsPart:
    """What runs and what came earlier, newest first."""
    newest = sorted(known.downloads, key=lambda each: each.at, reverse=True)
    running = [each for each in known.downloads if each.state in mod_rows.UNDER_WAY]
    earlier = [each for each in newest if each.state not in mod_rows.UNDER_WAY][:EARLIER_MOST]
    rows = [
        tuple(mod_rows.download_row(each, now, adult=known.adult, zone=zone) for each in group)
        for group in (running, earlier)
    ]
    empty = None
    if not known.downloads:
        empty = Empty(
            "No downloads yet", "Files that you download here or on the site of Nexus Mods appear here."
        )
    return DownloadsPart(
        running=rows[0], earlier=rows[1], note=_account_note(detail), empty=empty, links=known.links
    )


# --- what several say ---------------------------------------------------------------------------------------


def _account_note(detail: Detail) -> Note | None:
    """The account needs its user: the amber card of its own page. Disconnected on purpose: none."""
    problem = detail.problem
    if problem is None or not problem.warns:
        return None
    return Note("warn", problem.title, problem.text, problem.button, SIGN_IN if problem.button else "")


def _sign_in(detail: Detail) -> Empty:
    """What signing in would give. The note above has the button, if there is one."""
    asks = detail.problem is None or not detail.problem.warns or not detail.problem.button
    return Empty(
        "Sign in to see your mods",
        GIVES,
        detail.reconnect_words + "…" if asks else "",
        SIGN_IN if asks else "",
    )


def _note(
    known: Known, problem: KeyfobError | None, at: datetime | None, now: datetime, zone: tzinfo | None
) -> Note | None:
    """What went wrong at the last try, and from when the shown content is."""
    since = f"You see what was loaded {words.when(at, now, zone)}." if at is not None else ""
    if problem is None:
        return None
    if known.limits.used_up:
        ends = [each for each in (known.limits.hourly_resets_at, known.limits.daily_resets_at) if each]
        again = f"More {words.when(min(ends), now, zone)}. " if ends else ""
        return Note("warn", "This account has no requests left", f"{again}{since}".strip())
    title = problem.message
    advice = remedies.remedy(problem)
    return Note("warn", title, " ".join(part for part in (advice, since) if part), "Try again", "again")


def _games(known: Known) -> Games:
    return Games(tuple((each.domain, each.name) for each in known.games or ()), known.game)


def _game_name(known: Known) -> str:
    return next((each.name for each in known.games or () if each.domain == known.game), "this game")


def _premium(known: Known) -> bool:
    return known.profile is not None and known.profile.is_premium


def short_path(folder: Path, home: Path | None) -> str:
    """The folder, without the person's own home before it."""
    if home is not None and folder.is_relative_to(home) and folder != home:
        return str(folder.relative_to(home))
    return str(folder)
