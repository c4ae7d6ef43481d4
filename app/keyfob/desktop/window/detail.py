"""The page of one account, made from its view, its history and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from urllib.parse import urlsplit

from keyfob.core import time_words
from keyfob.core.account import REFUSED_IN_TEST, AccountView, LoggedEvent
from keyfob.core.provider import EMPTY
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.desktop.window import history
from keyfob.desktop.window.models import (
    STATUS_SHAPES,
    STATUS_TONES,
    STATUS_WORDS,
    Detail,
    LifeBar,
)
from keyfob.desktop.window.names import face_of, name_of
from keyfob.desktop.window.problem import details, problem
from keyfob.desktop.window.status_text import (
    KEY_REMINDER,
    end_of_all,
    ends_soon,
    expired,
    headline,
    kept_back,
    preset_note,
)
from keyfob.gateway.rate_limits import RateLimit


def detail(
    view: AccountView,
    events: Sequence[LoggedEvent],
    now: datetime,
    *,
    kept_in: str,
    busy: bool = False,
    pictures: Mapping[str, str] = EMPTY,
    limit: RateLimit | None = None,
    zone: tzinfo | None = None,
) -> Detail:
    """Everything the detail page shows for one account."""
    first, second = headline(view, now, zone)
    api_key = view.holds_key
    live = view.status not in ("disconnected", "needs_sign_in")
    if ends_soon(view, now) is None:
        ends = end_of_all(view, now, zone)
    else:
        second = ends = ""  # the card above says it
    parts = [view.provider_title]
    if view.plan:
        parts.append(view.plan)
    if host := host_of(view):
        parts.append(host)
    if view.unencrypted:
        parts.append("Unencrypted")
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
        note=" ".join(p for p in (second, kept_back(view), preset_note(view), ends) if p),
        life=life(view, now, zone),
        scopes=view.scopes,
        missing_scopes=view.narrower_scopes,
        refused=f"{view.provider_title} did not allow: {', '.join(view.refused_words)}"
        if view.refused_words
        else "",
        access=_access(view),
        can_ask_more=view.more_access and not busy,
        facts=(*_facts(view, now, kept_in, zone), *_limit(limit, now, zone)),
        lately=history.lines(events, now, zone),
        points=history.points(events, now),
        days=history.days(now, zone),
        problem=problem(view, now, zone),
        details=details(view),
        can_renew=live and view.renewable and not busy and view.status != "renewing",
        renew_reason=_not_renewed(view),
        tests=live or _refused_in_test(view),
        can_test=(live or _refused_in_test(view)) and not busy,
        can_copy=live and view.shareable and view.status != "stale" and not expired(view, now) and not busy,
        copy_reason=kept_back(view),
        connected=live,
        needs_person=view.status == "needs_sign_in",
        reconnect_words="Enter a new key" if api_key else "Sign in",
        busy=busy,
        provider_title=view.provider_title,
        api_key=api_key,
    )


def _limit(limit: RateLimit | None, now: datetime, zone: tzinfo | None) -> tuple[tuple[str, str], ...]:
    """How many requests its provider still takes, if the gateway has heard so."""
    if limit is None or not limit.holds(now):
        return ()
    of = f" of {limit.limit:,}" if limit.limit is not None else ""
    end = f", more at {time_words.moment(limit.resets_at, now, zone)}" if limit.resets_at is not None else ""
    return (("Requests left", f"{limit.remaining:,}{of}{end}"),)


def _access(view: AccountView) -> tuple[tuple[str, str], ...]:
    """What tools may do with the account, in a person's words. Empty if the preset has no such words."""
    if not view.access and not view.more_access:
        return ()
    bundled = [scope for each in view.access or () for scope in each.scopes]
    others = [scope for scope in view.scopes if scope not in (*bundled, *view.base_scopes)]
    lines = (
        ("See who you are", view.base_scopes),
        *((each.title, each.scopes) for each in view.access or ()),
        ("Other scopes", tuple(others)),
    )
    return tuple((title, " ".join(scopes)) for title, scopes in lines if scopes)


def _refused_in_test(view: AccountView) -> bool:
    error = view.last_error
    return view.status == "needs_sign_in" and error is not None and error.code in REFUSED_IN_TEST


def host_of(view: AccountView) -> str:
    """The server that the account is at; empty if none is known, or if it has its provider's name."""
    host = urlsplit(view.issuer or "").netloc.lower() or min(view.hosts, key=len, default="")
    name = view.provider_title.casefold().split()[:1]
    return "" if name and name[0] in host else host


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
        f"Issued {moment(start)}",
        f"Renews {moment(view.renews_at)}" if mark is not None and view.renews_at else "",
        f"{'Ends' if view.expires_at else 'Renews'} {moment(end)}",
    )


def _not_renewed(view: AccountView) -> str:
    if view.renewable:
        return ""
    what = "this key" if view.holds_key else "this token"
    return f"{view.provider_title} does not let Keyfob renew {what}"


def _facts(
    view: AccountView, now: datetime, kept_in: str, zone: tzinfo | None
) -> tuple[tuple[str, str], ...]:
    live = view.status not in ("disconnected", "needs_sign_in")
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
    if view.renewable and view.renews_at and view.renews_at > now and live:
        out.append(("Next renewal", time_words.moment(view.renews_at, now, zone)))
    if view.grant_ends_at and view.status != "disconnected":
        out.append(("Sign-in ends", time_words.moment(view.grant_ends_at, now, zone)))
    if view.unencrypted:
        out.append(("Connection", "Unencrypted (http)"))
    if view.status != "disconnected":
        out.append(("Kept in", kept_in))
    return tuple(out)
