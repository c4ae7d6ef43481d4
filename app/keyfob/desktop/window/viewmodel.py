"""The whole window, made from accounts, history and the time: words and numbers, in `models`' frozen values.

Pure. The presenter calls it. A sentence never contains an error's code. Codes are only in `Problem.details`,
which the user may copy for a report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import assert_never
from urllib.parse import urlsplit

from keyfob.core import time_words
from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.hosts import is_loopback
from keyfob.core.provider import EMPTY
from keyfob.desktop.window.banners import banners
from keyfob.desktop.window.detail import detail
from keyfob.desktop.window.list_rules import SORTED_FROM
from keyfob.desktop.window.models import (
    ROWS_KEPT,
    STATUS_SHAPES,
    STATUS_TONES,
    STATUS_WORDS,
    TRAY_LINES,
    Banner,
    Row,
    Window,
)
from keyfob.desktop.window.names import face_of, name_of, shorter
from keyfob.desktop.window.status_text import until
from keyfob.gateway.rate_limits import RateLimit

SOON = timedelta(minutes=1)


def window(
    views: Sequence[AccountView],
    selected: str | None,
    events: Sequence[LoggedEvent],
    now: datetime,
    *,
    kept_in: str,
    hidden: frozenset[str] = frozenset(),
    busy: frozenset[str] = frozenset(),
    keychain: Banner | None = None,
    offline: bool = False,
    loading: bool = False,
    tray_missing: bool = False,
    pictures: Mapping[str, str] = EMPTY,
    limits: Mapping[str, RateLimit] | None = None,
    zone: tzinfo | None = None,
) -> Window:
    """The whole window at `now`. `selected` and `busy` hold account keys; `keychain` is there while the
    keychain cannot be used. Until the accounts are known (`loading`), nothing is said of them.
    """
    keychain_trouble = keychain is not None
    views = [view.at(now, keychain_ok=not keychain_trouble) for view in views]
    names = Counter(name_of(v) for v in views)
    chosen = next((v for v in views if v.key == selected), None)
    title, note = ("", "") if loading else summary(views, keychain_trouble=keychain_trouble)
    offline = offline and not all(_is_local(v) for v in views)
    needy = sorted(views, key=lambda v: (v.status != "needs_sign_in", v.status != "stale"))
    spoken = " · ".join(p for p in (note, "offline" if offline else "") if p)
    counts = ("connected", "stale")  # to the next renewal, or to the next try
    counted = [left for v in views if v.status in counts and (left := until(v, now)) is not None]
    return Window(
        rows=tuple(row(v, now, names[name_of(v)] > 1, pictures) for v in in_order(views)),
        summary=title,
        summary_note=spoken,
        banners=banners(views, now, hidden, keychain, zone, selected),
        detail=None
        if chosen is None
        else detail(
            chosen,
            events,
            now,
            kept_in=kept_in,
            busy=chosen.key in busy,
            pictures=pictures,
            limit=(limits or {}).get(chosen.id),
            zone=zone,
        ),
        tray=tray_state(views, offline=offline, keychain_trouble=keychain_trouble),
        tray_text=f"Keyfob: {spoken}" if spoken else "Keyfob",
        tray_lines=tuple(tray_line(v, now) for v in needy[:TRAY_LINES]),
        loading=loading,
        tray_missing=tray_missing,
        urgent=any(timedelta(0) <= left < 2 * SOON for left in counted),
    )


def in_order(views: Sequence[AccountView]) -> Sequence[AccountView]:
    """As they are listed: from ten on, those that need the user come first, then those that wait, then the
    rest by name. A few stay as they were connected, so that each keeps its place.
    """
    if len(views) < SORTED_FROM:
        return views
    rank = {"needs_sign_in": 0, "stale": 1}
    return sorted(views, key=lambda v: (rank.get(v.status, 2), name_of(v).casefold(), v.id))


def row(view: AccountView, now: datetime, twins: bool = False, pictures: Mapping[str, str] = EMPTY) -> Row:
    """`twins`: another account shows the same name, so the label goes into the second line."""
    left = until(view, now) if view.status == "connected" else None
    counted = time_words.short_span(left) if left is not None and left > timedelta(0) else ""
    return _row(view, side_text(view, now), counted, twins, pictures.get(view.key, ""))


@lru_cache(maxsize=ROWS_KEPT)
def _row(view: AccountView, side: str, counted: str, twins: bool, picture: str) -> Row:
    """Kept for as long as it says the same: of a thousand accounts few change at a time."""
    parts = [view.provider_title]
    if view.plan:
        parts.append(view.plan)
    if twins and view.label != name_of(view):
        parts.append(view.label)
    title = name_of(view)
    state, tone, shape = (
        STATUS_WORDS[view.status].lower(),
        STATUS_TONES[view.status],
        STATUS_SHAPES[view.status],
    )
    renews = bool(view.renewable and view.renews_at)
    if view.status == "connected":  # quiet: what stands out in the list is what is not well
        tone, shape = "ink2", "renew" if counted and renews else ""
    if counted:
        state += f", {'renews' if renews else 'ends'} in {counted}"
    return Row(
        view.key,
        view.id,
        f"{view.id}, {view.status}",
        title,
        " · ".join(parts),
        side,
        tone,
        shape,
        face_of(view, {view.key: picture}),
        f"{title} · {' · '.join(parts)}\n{view.id}: {state}",
    )


def side_text(view: AccountView, now: datetime) -> str:
    """The short text at the end of an account's row."""
    match view.status:
        case "needs_sign_in":
            return "new key" if view.holds_key else "sign in"
        case "stale":
            return "waiting"
        case "disconnected":
            return "off"
        case "renewing":
            return "renewing"
        case "connected":
            left = until(view, now)
            if left is None:
                return "no expiry" if view.holds_key else "in use"
            return time_words.short_span(left) if left > timedelta(0) else "now"
    assert_never(view.status)


def summary(views: Sequence[AccountView], *, keychain_trouble: bool = False) -> tuple[str, str]:
    """`5 accounts`, `4 fine · 1 needs you`."""
    count = len(views)
    title = "No accounts yet" if not count else "1 account" if count == 1 else f"{count} accounts"
    fine = sum(v.status in ("connected", "renewing") for v in views)
    ended = sum(v.status == "needs_sign_in" for v in views)
    waiting = sum(v.status == "stale" for v in views)
    off = sum(v.status == "disconnected" for v in views)
    if keychain_trouble:
        accounts = f" and {ended} account{'s' * (ended > 1)} need you" if ended else " needs you"
        return title, f"your keychain{accounts}"
    parts = [f"{fine} fine"] if fine else []
    if ended:
        parts.append("1 needs you" if ended == 1 else f"{ended} need you")
    if waiting:
        parts.append(f"{waiting} waiting")
    if off:
        parts.append(f"{off} off")
    return title, ("all fine" if count and fine == count else " · ".join(parts))


def _is_local(view: AccountView) -> bool:
    """Whether its server is on this computer, so that it needs no network."""
    servers = (urlsplit(view.issuer or "").hostname, *(urlsplit(f"//{host}").hostname for host in view.hosts))
    known = [host for host in servers if host]
    return bool(known) and all(is_loopback(host) for host in known)


def tray_state(views: Sequence[AccountView], *, offline: bool, keychain_trouble: bool = False) -> str:
    """needs_you before waiting before renewing before fine. Disconnected accounts do not count."""
    statuses = {v.status for v in views if v.status != "disconnected"}
    if keychain_trouble or "needs_sign_in" in statuses:
        return "needs_you"
    if "stale" in statuses or (offline and statuses):
        return "waiting"
    if "renewing" in statuses:
        return "renewing"
    return "fine"


def tray_line(view: AccountView, now: datetime) -> tuple[str, str, str, str]:
    """The account's line in the tray menu: key, text, tone, shape."""
    status = {"needs_sign_in": "needs sign-in", "stale": "waiting"}.get(view.status, view.status)
    left = until(view, now) if view.status == "connected" else None
    tail = f", {time_words.short_span(left)}" if left is not None and left > timedelta(0) else ""
    line = f"{shorter(name_of(view))} · {shorter(view.provider_title)} — {status}{tail}"
    return view.key, line, STATUS_TONES[view.status], STATUS_SHAPES[view.status]


def next_change(views: Sequence[AccountView], now: datetime) -> datetime | None:
    """When the next token expires, so that its account is shown
    differently although nothing happened to it.
    """
    return min((v.expires_at for v in views if v.expires_at is not None and v.expires_at > now), default=None)
