"""Makes text from outside safe for the screen: names, scopes, errors and notes from a provider or a file.

Qt guesses whether a tooltip is HTML, and notification servers read markup. HTML there would load local files
or connect to other hosts. So every tooltip, notification and label of the app gets its text from here, as
plain and bounded text. Threat row S-80.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from keyfob.core.text import plain

if TYPE_CHECKING:
    from keyfob.core.account import AccountView, LoggedEvent

NAME, SENTENCE = 120, 600  # characters
LINES, LINE = 24, 80  # the most lines, and the characters after which a tooltip's line wraps
KEPT = 4096  # accounts whose texts need not be made plain again, since they are read at every change
SCOPES = 60  # shown of an account; a number replaces the rest


class _HasToolTip(Protocol):
    def setToolTip(self, text: str, /) -> None: ...


def set_tooltip(target: _HasToolTip, text: str) -> None:
    """Sets the tooltip of a widget, a list item, an action or the tray
    icon. Nothing else may. Newlines separate lines.
    """
    target.setToolTip(tooltip(text))


def lines(text: str) -> list[str]:
    """The lines of a label, each plain and bounded. A caller that means one line makes it `plain` first."""
    return [plain(line, SENTENCE) for line in text[: SENTENCE * 8].split("\n")][:LINES]


def tooltip(text: str) -> str:
    """`text` in the form that Qt shows literally: one that could pass for HTML is escaped."""
    wrapped: list[str] = []
    for line in lines(text):
        wrapped += textwrap.wrap(line, LINE) or ([""] if wrapped else [])
    shown = "\n".join(wrapped[:LINES])
    if "<" not in shown and "&lt;" not in shown:
        return shown  # Qt takes it for plain text, and screen readers read it as it is
    return f"<span>{html.escape(shown).replace(chr(10), '<br>')}</span>"


def notification(text: str) -> str:
    """`text` without the characters that begin markup. Some notification servers read markup and others show
    it, so escaping would be wrong at one of them.
    """
    return plain(text, SENTENCE).replace("<", "‹").replace(">", "›")


@lru_cache(maxsize=KEPT)
def account(view: AccountView) -> AccountView:
    """The account with every text that its provider chose as one bounded line."""
    note = view.last_error
    return replace(
        view,
        provider_title=plain(view.provider_title, NAME),
        subject=plain(view.subject, NAME),
        name=_line(view.name),
        email=_line(view.email),
        plan=_line(view.plan),
        scopes=_some(view.scopes),
        narrower_scopes=_some(view.narrower_scopes),
        last_error=None if note is None else replace(note, message=plain(note.message, SENTENCE)),
        key_tail=_line(view.key_tail),
        ended_hint=plain(view.ended_hint, SENTENCE),
    )


def event(logged: LoggedEvent) -> LoggedEvent:
    """The event with its message as one bounded line."""
    return replace(logged, message=plain(logged.message, SENTENCE))


def _line(text: str | None) -> str | None:
    return None if text is None else plain(text, NAME)


def _some(scopes: Iterable[str]) -> tuple[str, ...]:
    every = tuple(scopes)
    shown = tuple(plain(scope, NAME) for scope in every[:SCOPES])
    return shown if len(every) <= SCOPES else (*shown, f"and {len(every) - SCOPES} more")
