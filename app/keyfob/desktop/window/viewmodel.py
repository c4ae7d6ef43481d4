"""Makes what the window shows from accounts, history and the time: words and numbers, in `models`' frozen values.

Pure. The presenter calls it. A sentence never contains an error's code. Codes are only in `Problem.details`, which the user may
copy for a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from keyfob.core import time_words
from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.provider import EMPTY
from keyfob.desktop.shared.avatar import Face, avatar_color, first_letter
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.desktop.shared.remedies import REMEDIES
from keyfob.desktop.window import history
from keyfob.desktop.window.models import (
    STATUS_SHAPES,
    STATUS_TONES,
    STATUS_WORDS,
    Banner,
    Detail,
    LifeBar,
    Problem,
    Row,
    Window,
)
from keyfob.desktop.window.status_text import end_of_all, expired, headline, kept_back, until, why_it_ended

KEY_REMINDER = timedelta(days=7)
GRANT_REMINDER = timedelta(days=1)  # before a sign-in ends that no renewal can lengthen
MENU_NAME = 28  # letters of a name in the menu of the tray
SOON = timedelta(minutes=1)


def name_of(view: AccountView) -> str:
    """What the window calls an account: the user's name there, the key's end, or the label."""
    if view.holds_key and view.key_tail and not (view.name or view.email):
        return f"key …{view.key_tail}"
    return view.name or view.label


def next_change(views: Sequence[AccountView], now: datetime) -> datetime | None:
    """When the next token expires, so that its account is shown differently although nothing happened to it."""
    return min((v.expires_at for v in views if v.expires_at is not None and v.expires_at > now), default=None)


def face_of(view: AccountView, pictures: Mapping[str, str] = EMPTY) -> Face:
    """`pictures`: files of avatars by account key."""
    return Face(
        first_letter(name_of(view)),
        avatar_color(view.key),
        first_letter(view.provider_title),
        view.color,
        pictures.get(view.key, ""),
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


def row(view: AccountView, now: datetime, twins: bool = False, pictures: Mapping[str, str] = EMPTY) -> Row:
    """`twins`: another account shows the same name, so the label goes into the second line."""
    parts = [view.provider_title]
    if view.plan:
        parts.append(view.plan)
    if twins and view.label != name_of(view):
        parts.append(view.label)
    title = name_of(view)
    return Row(
        view.key,
        view.id,
        f"{view.id}, {view.status}",
        title,
        " · ".join(parts),
        side_text(view, now),
        STATUS_TONES[view.status],
        STATUS_SHAPES[view.status],
        face_of(view, pictures),
        f"{title} · {' · '.join(parts)}\n{view.id}: {_state(view, now)}",
    )


def _state(view: AccountView, now: datetime) -> str:
    """The status in words, and what the time in the list counts down to."""
    state = STATUS_WORDS[view.status].lower()
    left = until(view, now)
    if view.status != "connected" or left is None or left <= timedelta(0):
        return state
    return f"{state}, {'renews' if view.renewable and view.renews_at else 'ends'} in {time_words.short_span(left)}"


def life(view: AccountView, now: datetime, zone: tzinfo | None) -> LifeBar | None:
    """The token's life from issue to end with the renewal mark; None if there is nothing to draw."""
    end = view.expires_at or (view.renews_at if view.renewable else None)
    start = view.obtained_at
    if view.status in ("disconnected", "needs_sign_in") or end is None or start is None or end <= start:
        return None
    whole = (end - start).total_seconds()
    lived = min(max((now - start).total_seconds() / whole, 0.0), 1.0)
    mark = None
    if view.renewable and view.renews_at and view.expires_at and start < view.renews_at < end:
        mark = (view.renews_at - start).total_seconds() / whole
    tone = {"stale": "warn", "renewing": "accent"}.get(view.status, "ok")
    if view.status == "connected" and not view.renewable and lived > 0.9:
        tone = "warn"
    seconds = whole < 300  # demo lifetimes: minutes would all read alike

    def moment(at: datetime) -> str:
        if seconds and abs((at - now).total_seconds()) < 3600:
            return at.astimezone(zone).strftime("%H:%M:%S")
        return time_words.moment(at, now, zone)

    return LifeBar(
        lived,
        mark,
        tone,
        f"issued {moment(start)}",
        f"renews {moment(view.renews_at)}" if mark is not None and view.renews_at else "",
        ("" if view.expires_at else "renews ") + moment(end),
    )


def problem(view: AccountView, now: datetime, zone: tzinfo | None) -> Problem | None:
    """What the account's page says is wrong; None if nothing is."""
    note = view.last_error
    if note is None or view.status == "disconnected":
        return None
    details = "\n".join(
        [
            f"account: {view.id}",
            f"status: {view.status}",
            f"method: {view.method}",
            f"code: {note.code}",
            f"advice: {note.advice}",
            f"message: {note.message}",
            f"at: {note.at.isoformat(timespec='seconds')}",
            *([f"detail: {note.detail}"] if note.detail else []),
        ]
    )
    return Problem(
        _sentence(note.message), REMEDIES.get(note.code, ""), time_words.moment(note.at, now, zone), details
    )


def detail(
    view: AccountView,
    events: Sequence[LoggedEvent],
    now: datetime,
    *,
    kept_in: str,
    busy: bool = False,
    pictures: Mapping[str, str] = EMPTY,
    zone: tzinfo | None = None,
) -> Detail:
    """Everything the detail page shows for one account."""
    first, second = headline(view, now, zone)
    api_key = view.holds_key
    live = view.status not in ("disconnected", "needs_sign_in")
    parts = [view.provider_title]
    if view.plan:
        parts.append(view.plan)
    if view.connected_at and view.status != "disconnected":
        parts.append(f"connected {time_words.day(view.connected_at, now, zone)}")
    return Detail(
        key=view.key,
        id=view.id,
        title=name_of(view),
        subtitle=" · ".join(parts),
        face=face_of(view, pictures),
        status=STATUS_WORDS[view.status],
        tone=STATUS_TONES[view.status],
        shape=STATUS_SHAPES[view.status],
        headline=first,
        note=" ".join(p for p in (second, kept_back(view), end_of_all(view, now, zone)) if p),
        life=life(view, now, zone),
        scopes=view.scopes,
        missing_scopes=view.narrower_scopes,
        facts=_facts(view, now, kept_in, zone),
        lately=history.lines(events, now, zone),
        points=history.points(events, now),
        problem=problem(view, now, zone),
        token_heading="API key" if api_key else "Access token",
        can_renew=live and view.renewable and not busy and view.status != "renewing",
        can_test=live and not busy,
        can_copy=live and view.shareable and view.status != "stale" and not expired(view, now) and not busy,
        copy_reason=kept_back(view),
        connected=live,
        needs_person=view.status == "needs_sign_in",
        reconnect_words="Enter a new key" if api_key else "Sign in",
        busy=busy,
        provider_title=view.provider_title,
        api_key=api_key,
    )


def _facts(
    view: AccountView, now: datetime, kept_in: str, zone: tzinfo | None
) -> tuple[tuple[str, str], ...]:
    out = [("Name for tools", view.id), ("Method", METHOD_WORDS[view.method].name)]
    if view.subject:
        out.append(("Subject", view.subject))
    if view.email and view.email != name_of(view):
        out.append(("Email", view.email))
    if view.key_tail:
        out.append(("Key ends in", f"…{view.key_tail}"))
    if view.holds_key and view.expires_at and view.status != "disconnected":
        out.append(("Key expires", time_words.date(view.expires_at, zone)))
        out.append(("Reminder", time_words.date(view.expires_at - KEY_REMINDER, zone)))
    if view.last_renewed_at:
        out.append(("Last renewed", time_words.moment(view.last_renewed_at, now, zone)))
    if view.renewable and view.renews_at and view.status in ("connected", "renewing", "stale"):
        out.append(("Next renewal", time_words.moment(max(view.renews_at, now), now, zone)))
    if view.grant_ends_at and view.status != "disconnected":
        out.append(("Sign-in ends", time_words.moment(view.grant_ends_at, now, zone)))
    if view.status != "disconnected":
        out.append(("Kept in", kept_in))
    return tuple(out)


def banners(
    views: Sequence[AccountView],
    now: datetime,
    hidden: frozenset[str],
    keychain: Banner | None = None,
    zone: tzinfo | None = None,
) -> tuple[Banner, ...]:
    """Who needs the user and why; `hidden` holds `banner_id`s put off with Later."""
    out = [keychain] if keychain else []
    ended = [v for v in views if v.status == "needs_sign_in" and banner_id(v) not in hidden]
    if len(ended) > 2:
        names = ", ".join(name_of(v) for v in ended)
        out.append(
            Banner(
                "warn",
                f"{len(ended)} accounts need you",
                f"Signed out: {names}.",
                "Show",
                "show",
                ended[0].key,
            )
        )
        return tuple(out)
    for view in ended:
        why = f"{why_it_ended(view, now)}{_since(view, now, zone)}"
        button = "Enter a new key" if view.holds_key else "Sign in"
        out.append(Banner("warn", f"{name_of(view)} needs you", why, button, "reconnect", view.key))
    for view in views:
        ends = view.grant_ends_at
        if view.status != "connected" or ends is None or not timedelta(0) < ends - now < GRANT_REMINDER:
            continue
        if banner_id(view) not in hidden:
            text = f"{view.provider_title} ends the sign-in in {time_words.span(ends - now)}."
            out.append(
                Banner("warn", f"Sign in to {name_of(view)} soon", text, "Sign in", "reconnect", view.key)
            )
    for view in views:
        ends = view.expires_at
        if not view.holds_key or view.status != "connected" or ends is None:
            continue
        if timedelta(0) < ends - now < KEY_REMINDER and banner_id(view) not in hidden:
            text = f"It expires in {time_words.span(ends - now)}. Create a new key at {view.provider_title} before then."
            title = f"{name_of(view)} at {view.provider_title} is about to expire"
            out.append(Banner("warn", title, text, "Enter a new key", "reconnect", view.key))
    return tuple(out)


def _since(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    at = view.last_error.at if view.last_error else view.expires_at
    return f" ({time_words.moment(at, now, zone)})" if at is not None and at <= now else ""


def banner_id(view: AccountView) -> str:
    """One occasion: the same account in the same trouble. Put off once, it stays away until something changes."""
    at = view.last_error.at.isoformat() if view.last_error else ""
    return f"{view.key} {view.status} {at}"


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
    line = f"{_short(name_of(view))} · {_short(view.provider_title)} — {status}{tail}"
    return view.key, line, STATUS_TONES[view.status], STATUS_SHAPES[view.status]


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
    zone: tzinfo | None = None,
) -> Window:
    """The whole window at `now`. `selected` and `busy` hold account keys; `keychain` is there while the keychain cannot
    be used. Until the accounts are known (`loading`), nothing is said of them.
    """
    keychain_trouble = keychain is not None
    views = [view.at(now, keychain_ok=not keychain_trouble) for view in views]
    names = [name_of(v) for v in views]
    chosen = next((v for v in views if v.key == selected), None)
    title, note = ("", "") if loading else summary(views, keychain_trouble=keychain_trouble)
    needy = sorted(views, key=lambda v: (v.status != "needs_sign_in", v.status != "stale"))
    spoken = " · ".join(p for p in (note, "offline" if offline else "") if p)
    counted = [left for v in views if v.status == "connected" and (left := until(v, now)) is not None]
    return Window(
        rows=tuple(row(v, now, names.count(name_of(v)) > 1, pictures) for v in views),
        summary=title,
        summary_note=spoken,
        banners=banners(views, now, hidden, keychain, zone),
        detail=None
        if chosen is None
        else detail(
            chosen, events, now, kept_in=kept_in, busy=chosen.key in busy, pictures=pictures, zone=zone
        ),
        tray=tray_state(views, offline=offline, keychain_trouble=keychain_trouble),
        tray_text=f"Keyfob: {spoken}" if spoken else "Keyfob",
        tray_lines=tuple(tray_line(v, now) for v in needy),
        loading=loading,
        tray_missing=tray_missing,
        urgent=any(timedelta(0) <= left < 2 * SOON for left in counted),
    )


def _short(text: str) -> str:
    return text if len(text) <= MENU_NAME else f"{text[: MENU_NAME - 1]}…"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
