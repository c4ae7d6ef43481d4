"""The banners over the accounts: who needs the user, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.names import listed, name_of
from keyfob.desktop.window.status_text import ends_soon, why_it_ended


def banners(
    views: Sequence[AccountView],
    now: datetime,
    hidden: frozenset[str],
    keychain: Banner | None = None,
    zone: tzinfo | None = None,
    shown: str | None = None,
) -> tuple[Banner, ...]:
    """Who needs the user and why; `hidden` holds `banner_id`s put off with Later. `shown`: the account whose
    page is open. The page says itself what that account needs.
    """
    out = [keychain] if keychain else []
    ended = [v for v in views if v.status == "needs_sign_in"]
    others = [v for v in ended if v.key != shown and banner_id(v) not in hidden]
    if len(others) > 2:
        other = "other " if any(v.key == shown for v in ended) else ""
        names = listed([name_of(v) for v in others], 6)
        title = f"{len(others)} {other}accounts need you"
        out.append(Banner("warn", title, f"Signed out: {names}.", "Show", "show", others[0].key))
        return tuple(out)
    for view in others:
        why = f"{why_it_ended(view, now)}{_since(view, now, zone)}"
        button = "Enter a new key" if view.holds_key else "Sign in"
        out.append(Banner("warn", f"{name_of(view)} needs you", why, button, "reconnect", view.key))
    for view in views:
        ends = ends_soon(view, now)
        if ends is not None and view.key != shown and banner_id(view) not in hidden:
            out.append(_reminder(view, ends - now))
    return tuple(out)


def _reminder(view: AccountView, left: timedelta) -> Banner:
    name, provider, span = name_of(view), view.provider_title, time_words.span(left)
    if view.holds_key:
        title = f"{name} at {provider} is about to expire"
        text = f"It expires in {span}. Create a new key at {provider} before then."
        return Banner("warn", title, text, "Enter a new key", "reconnect", view.key)
    text = f"{provider} ends the sign-in in {span}."
    return Banner("warn", f"Sign in to {name} soon", text, "Sign in", "reconnect", view.key)


def _since(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    at = view.last_error.at if view.last_error else view.expires_at
    return f" ({time_words.moment(at, now, zone)})" if at is not None and at <= now else ""


def banner_id(view: AccountView) -> str:
    """One occasion: the same account in the same trouble. Put off once,
    it stays away until something changes.
    """
    at = view.last_error.at.isoformat() if view.last_error else ""
    return f"{view.key} {view.status} {at}"
