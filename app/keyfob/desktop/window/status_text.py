"""What an account will do next, in words: when it renews, when it ends, why its token stays here. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from keyfob.core import time_words
from keyfob.core.account import AccountView


def until(view: AccountView, now: datetime) -> timedelta | None:
    """What is counted down: to the renewal if there will be one, else to the end. None: nothing known."""
    target = view.renews_at if view.renewable and view.renews_at else view.expires_at
    return None if target is None else target - now


def expired(view: AccountView, now: datetime) -> bool:
    """Whether its token has ended."""
    return view.expires_at is not None and view.expires_at <= now


def headline(view: AccountView, now: datetime, zone: tzinfo | None) -> tuple[str, str]:
    """What the card says first, and the smaller line under it (which may be empty)."""
    match view.status:
        case "disconnected":
            return "No token", "Reconnect to use this account again."
        case "needs_sign_in" if _ran_out(view, now):
            what = "This key" if view.holds_key else "The token"
            then = (
                "Enter a new key to continue." if view.holds_key else "It cannot be renewed. Sign in again."
            )
            return f"{what} has expired", then
        case "needs_sign_in" if view.holds_key:
            return "This key is no longer accepted", "Enter a new key to continue."
        case "needs_sign_in":
            return "The sign-in has ended", "Sign in again. Keyfob then renews it automatically."
        case "renewing":
            return "Renewing now", _still_good(view, now)
        case "stale" if not expired(view, now):
            return (
                "Waiting for your keychain",
                "You are still signed in. Tools can use this token when the keychain is unlocked.",
            )
        case "stale":
            since = (
                f"Expired {time_words.moment(view.expires_at, now, zone)}" if view.expires_at else "Expired"
            )
            return since, "Keyfob keeps trying. You are still signed in."
        case "connected":
            return _connected(view, now)
    assert_never(view.status)


def _connected(view: AccountView, now: datetime) -> tuple[str, str]:
    left = until(view, now)
    if view.expires_at is None and not view.renewable:
        return (
            "Does not expire" if view.holds_key else "Used until the provider refuses it"
        ), "Keyfob keeps it in your keychain and gives it to your tools."
    if not view.renewable:
        after = (
            "You then need a new key."
            if view.holds_key
            else "It cannot be renewed. Sign in again when it ends."
        )
        assert view.expires_at is not None
        return f"Ends in {time_words.span(view.expires_at - now)}", after
    assert left is not None or view.renews_at is None
    if view.last_error is not None:
        return "Renews when the provider answers", _still_good(view, now)
    if left is None or left <= timedelta(0):
        return "Renews any moment", _still_good(view, now)
    return f"Renews automatically in {time_words.span(left)}", ""


def why_it_ended(view: AccountView, now: datetime) -> str:
    """One sentence: why the account needs its person."""
    if _ran_out(view, now):
        return "The key has expired." if view.holds_key else "Its token has expired and cannot be renewed."
    if view.last_error is None:
        return "The sign-in has ended."
    return f"{view.last_error.message.strip().rstrip('.')}."


def _ran_out(view: AccountView, now: datetime) -> bool:
    """It reached its end, and nothing was refused."""
    return not view.renewable and expired(view, now) and view.last_error is None


def _still_good(view: AccountView, now: datetime) -> str:
    if view.expires_at is None or view.expires_at <= now:
        return ""
    return f"The current token is valid for another {time_words.span(view.expires_at - now)}."


def kept_back(view: AccountView) -> str:
    """Why the token does not leave Keyfob; empty if it may."""
    if view.shareable:
        return ""
    return f"{view.provider_title}’s terms do not let other tools use this token."


def end_of_all(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    """The day from which no renewal helps."""
    ends = view.grant_ends_at
    if ends is None or ends <= now or view.status not in ("connected", "renewing", "stale"):
        return ""
    return f"The sign-in ends on {time_words.date(ends, zone)}. You must then sign in again."
