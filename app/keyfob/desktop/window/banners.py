"""The banners over the accounts: who needs the user, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.names import name_of
from keyfob.desktop.window.status_text import why_it_ended

KEY_REMINDER = timedelta(days=7)  # before an API key expires
GRANT_REMINDER = timedelta(days=1)  # before a sign-in ends that no renewal can lengthen


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
            text = (
                f"It expires in {time_words.span(ends - now)}. Create a new key at {view.provider_title} "
                "before then."
            )
            title = f"{name_of(view)} at {view.provider_title} is about to expire"
            out.append(Banner("warn", title, text, "Enter a new key", "reconnect", view.key))
    return tuple(out)


def _since(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    at = view.last_error.at if view.last_error else view.expires_at
    return f" ({time_words.moment(at, now, zone)})" if at is not None and at <= now else ""


def banner_id(view: AccountView) -> str:
    """One occasion: the same account in the same trouble. Put off once,
    it stays away until something changes.
    """
    at = view.last_error.at.isoformat() if view.last_error else ""
    return f"{view.key} {view.status} {at}"
