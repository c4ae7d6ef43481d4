"""What an account will do next, in words: when it renews, when it ends, why its token stays here. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.core.error_codes import Advice
from keyfob.core.preset_change import command_for
from keyfob.core.text import plain

PARTS_MOST = 3  # changes of a preset that a sentence names
KEY_REMINDER = timedelta(days=7)  # before an API key expires
GRANT_REMINDER = timedelta(days=1)  # before a sign-in ends that no renewal can lengthen


def until(view: AccountView, now: datetime) -> timedelta | None:
    """What is counted down: to the renewal if there will be one, else to the end. None: nothing known."""
    target = view.renews_at if view.renewable and view.renews_at else view.expires_at
    return None if target is None else target - now


def expired(view: AccountView, now: datetime) -> bool:
    """Whether its token has ended."""
    return view.expires_at is not None and view.expires_at <= now


def ends_soon(view: AccountView, now: datetime) -> datetime | None:
    """When the account will need its user, if that is so near that the window reminds of it."""
    if view.status != "connected":
        return None
    ends, reminder = (
        (view.expires_at, KEY_REMINDER) if view.holds_key else (view.grant_ends_at, GRANT_REMINDER)
    )
    return ends if ends is not None and timedelta(0) < ends - now < reminder else None


def headline(view: AccountView, now: datetime, zone: tzinfo | None) -> tuple[str, str]:
    """What the card says first, and the smaller line under it (which may be empty)."""
    match view.status:
        case "disconnected":
            return "Disconnected", "Keyfob has no token of this account. Reconnect to use it again."
        case "needs_sign_in" if _ran_out(view, now):
            what = "This key" if view.holds_key else "The token"
            then = (
                f"Create a new key at {view.provider_title} and press Reconnect to enter it."
                if view.holds_key
                else "It cannot be renewed. Sign in again with Reconnect."
            )
            return f"{what} has expired", then
        case "needs_sign_in" if view.holds_key:
            return "This key is no longer accepted", "Press Reconnect to enter a new key."
        case "needs_sign_in":
            return "The sign-in has ended", "Sign in again with Reconnect."
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
            return since, f"{_trying(view, now, zone)} You are still signed in."
        case "connected":
            return _connected(view, now, zone)
    assert_never(view.status)


def _connected(view: AccountView, now: datetime, zone: tzinfo | None) -> tuple[str, str]:
    left = until(view, now)
    if view.expires_at is None and not view.renewable:
        return (
            "This key does not expire" if view.holds_key else "Used until the provider refuses it"
        ), "Keyfob keeps it in your keychain and gives it to your tools."
    if not view.renewable:
        after = (
            "You then need a new key."
            if view.holds_key
            else "It cannot be renewed. Sign in again when it ends."
        )
        assert view.expires_at is not None
        what = "This key ends" if view.holds_key else "Ends"
        return f"{what} in {time_words.span(view.expires_at - now)}", after
    assert left is not None or view.renews_at is None
    if view.last_error is not None and view.last_error.advice is Advice.RETRY:
        words = (_trying(view, now, zone), _still_good(view, now))
        return f"Renews when {view.provider_title} answers", " ".join(w for w in words if w)
    if view.last_error is not None:
        return "Not renewed yet", _still_good(view, now)
    if left is None or left <= timedelta(0):
        return "Renews any moment", _still_good(view, now)
    return f"Renews automatically in {time_words.span(left)}", ""


def _trying(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    """What keeps a renewal from happening, and when Keyfob tries again."""
    note, again = view.last_error, view.renews_at
    if note is not None and note.advice is Advice.UNLOCK_KEYCHAIN:
        return "Keyfob renews it as soon as it can use your keychain."
    what = f"{sentence(note.message)} " if note is not None and note.advice is Advice.RETRY else ""
    if note is not None and again is not None and again > now:
        soon = again - now < timedelta(minutes=2)
        when = f"in {time_words.span(again - now)}" if soon else f"at {time_words.moment(again, now, zone)}"
        return f"{what}Keyfob tries again {when}."
    return f"{what}Keyfob keeps trying."


def sentence(text: str) -> str:
    """`text` with a full stop, if it has no mark at its end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


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


def preset_note(view: AccountView) -> str:
    """What the preset has now and the account does not use, with what to do; empty if there is nothing."""
    if not view.preset_changes:
        return ""
    found = ", ".join(f"{each.part} {plain(each.value, 60)}" for each in view.preset_changes[:PARTS_MOST])
    more = len(view.preset_changes) - PARTS_MOST
    found += f" and {more} more" if more > 0 else ""
    only_scopes = all(each.part == "scope" for each in view.preset_changes)
    # Signing in again asks for the scopes that the account had.
    how = command_for(view.id, view.preset_changes)
    how = f"run {how}" if only_scopes else "choose Sign in again in its menu"
    return f"The preset of {view.provider_title} has changed: {found}. To use it for this account, {how}."


def end_of_all(view: AccountView, now: datetime, zone: tzinfo | None) -> str:
    """The day from which no renewal helps."""
    ends = view.grant_ends_at
    if ends is None or ends <= now or view.status not in ("connected", "renewing", "stale"):
        return ""
    return f"The sign-in ends on {time_words.date(ends, zone)}. You must then sign in again."
