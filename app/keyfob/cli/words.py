"""How a terminal shows an account: its state in a few words, tables and facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import click

from keyfob.core import time_words
from keyfob.core.account import AccountView
from keyfob.core.methods import Method
from keyfob.core.text import plain
from keyfob.core.time_words import short_span
from keyfob.core.words import ShownStatus

STATUS_WORDS: Mapping[ShownStatus, str] = {
    "connected": "connected",
    "renewing": "renewing",
    "stale": "waiting to renew",
    "needs_sign_in": "needs sign-in",
    "disconnected": "disconnected",
}
STATUS_COLOURS: Mapping[ShownStatus, str | None] = {
    "connected": "green",
    "renewing": "blue",
    "stale": "yellow",
    "needs_sign_in": "red",
    "disconnected": None,
}
METHOD_WORDS: Mapping[Method, str] = {
    "oauth": "browser",
    "device": "device code",
    "atproto": "handle",
    "api_key": "API key",
    "app_password": "app password",
    "password": "password",
    "client_credentials": "service account",
}
CELL_MOST = 4_000  # characters of a table's cell or a fact
ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STYLED = re.compile(r"((?:\x1b\[3[1-4]m)?)([^\x1b]*)(\x1b\[0m)")


def moment(at: datetime | None, now: datetime) -> str:
    """A time in words; with its seconds if it is close to now."""
    if at is None:
        return "never"
    if abs(at - now) <= timedelta(minutes=5) and at.astimezone().date() == now.astimezone().date():
        return f"{at.astimezone():%H:%M:%S}"
    return time_words.moment(at, now)


def life(view: AccountView, now: datetime, *, kept_fresh: bool) -> str:
    """How the account's token stands, in a few words. `kept_fresh`: an agent or the app renews it before it
    expires.
    """
    match view.status:
        case "disconnected":
            return "you signed out"
        case "needs_sign_in":
            return (
                view.last_error.message if view.last_error else "the token has expired and cannot be renewed"
            )
        case "stale":
            if view.last_error is None:
                expired = view.expires_at is not None and view.expires_at <= now
                return "expired; renewed when a tool next asks" if expired else "the keychain cannot be used"
            later = kept_fresh and view.renews_at is not None and view.renews_at > now
            again = f", tries again in {short_span(view.renews_at - now)}" if later and view.renews_at else ""
            return view.last_error.message + again
        case "connected" | "renewing":
            return _life_left(view, now, kept_fresh=kept_fresh)
    assert_never(view.status)


def _life_left(view: AccountView, now: datetime, *, kept_fresh: bool) -> str:
    if view.expires_at is None:
        return "no known expiry"
    left = view.expires_at - now
    if view.renewable and not kept_fresh:
        left_words = f"expires in {short_span(left)}" if left > timedelta(0) else "expired"
        return f"{left_words}; renewed when a tool asks"
    if view.renewable and view.renews_at is not None:
        if view.renews_at <= now:
            return "renews now"
        return f"renews automatically in {short_span(view.renews_at - now)}"
    if left <= timedelta(0):
        return "expired"
    return f"expires in {short_span(left)}"


def status(word: ShownStatus) -> str:
    """The status as a coloured word for the terminal."""
    return click.style(STATUS_WORDS[word], fg=STATUS_COLOURS[word])


def who(view: AccountView) -> str:
    """Whom the account belongs to, as one safe line of at most 60 characters."""
    return plain(view.name or view.label, 60)


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Columns as wide as they need to be, two blanks apart; colours take no room. A cell may be any text."""
    lines = [list(head), *[[_cell(cell) for cell in row] for row in rows]]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(head))]
    out = []
    for line in lines:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)]
        out.append("  ".join(cells).rstrip())
    return out


def facts(pairs: Sequence[tuple[str, str | None]]) -> list[str]:
    """`Name   value` lines; a pair without a value is left out. A value may be any text."""
    known = [(name, _cell(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in known), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in known]


def _cell(text: str) -> str:
    styled = _STYLED.fullmatch(text)
    return f"{styled[1]}{plain(styled[2], CELL_MOST)}{styled[3]}" if styled else plain(text, CELL_MOST)


def _width(text: str) -> int:
    return len(ANSI.sub("", text))
