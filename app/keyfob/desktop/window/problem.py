"""What an account needs its user for, in words: the one place on its page that says so. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.core.error_codes import Advice
from keyfob.desktop.shared import remedies
from keyfob.desktop.window.models import Problem
from keyfob.desktop.window.status_text import ends_soon, headline, sentence

RECONNECT = "Reconnect"
PASSING = (Advice.RETRY, Advice.UNLOCK_KEYCHAIN)  # the card of the token says these, or a banner


def problem(view: AccountView, now: datetime, zone: tzinfo | None) -> Problem | None:
    """What the user has to do; None if Keyfob needs nobody. A failure that passes by itself is no problem."""
    note = view.last_error
    match view.status:
        case "disconnected":
            first, second = headline(view, now, zone)
            return Problem(first, second, RECONNECT, warns=False)
        case "needs_sign_in":
            return _signed_out(view, now, zone)
    if note is not None and note.advice not in PASSING:
        again = RECONNECT if note.advice is Advice.SIGN_IN_AGAIN else ""
        return Problem(
            _title(note.message), _joined(_remedy(view), f"Since {_moment(note.at, now, zone)}."), again
        )
    ends = ends_soon(view, now)
    if ends is None:
        return None
    if view.holds_key:
        title = f"Create a new key at {view.provider_title}"
        text = (
            f"This one stops working on {time_words.date(ends, zone)}. Press Reconnect to enter the new one."
        )
        return Problem(title, text, RECONNECT)
    text = (
        f"{view.provider_title} ends this sign-in in {time_words.span(ends - now)}, whatever Keyfob renews."
    )
    return Problem("Sign in again soon", text, RECONNECT)


def details(view: AccountView) -> str:
    """For a report: codes and times of the last error, nothing secret. Empty if there is none."""
    note = view.last_error
    if note is None or view.status == "disconnected":
        return ""
    return "\n".join(
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


def _signed_out(view: AccountView, now: datetime, zone: tzinfo | None) -> Problem:
    note = view.last_error
    if note is None:
        first, second = headline(view, now, zone)
        return Problem(first, second, RECONNECT)
    title, since = _title(note.message), f"Since {_moment(note.at, now, zone)}."
    if note.code == "grant_ended" and timedelta(0) <= now - note.at < timedelta(days=300):
        title, since = f"{title} {_on(note.at, now, zone)}", ""
    why = f"A possible reason: {sentence(view.ended_hint)}" if view.ended_hint else ""
    return Problem(title, _joined(_remedy(view), since, why), RECONNECT)


def _remedy(view: AccountView) -> str:
    assert view.last_error is not None
    new_key = view.holds_key and view.last_error.advice is Advice.SIGN_IN_AGAIN
    if new_key and view.last_error.code != "key_rejected":
        return f"Create a new key at {view.provider_title} and press Reconnect to enter it."
    return remedies.of_account(view)


def _title(message: str) -> str:
    return sentence(message).removesuffix(".")


def _moment(at: datetime, now: datetime, zone: tzinfo | None) -> str:
    return time_words.moment(at, now, zone)


def _on(at: datetime, now: datetime, zone: tzinfo | None) -> str:
    """`at 14:02`, `yesterday at 14:02`, `on Tuesday`, `on 12 March`."""
    day = time_words.day(at, now, zone)
    if day == "today":
        return f"at {time_words.clock_time(at, zone)}"
    return f"yesterday at {time_words.clock_time(at, zone)}" if day == "yesterday" else f"on {day}"


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
