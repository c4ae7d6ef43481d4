"""What the window shows, as frozen values: words and numbers. Widgets receive these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.core.words import ShownStatus
from keyfob.desktop.shared.avatar import Face
from keyfob.desktop.window import history

STATUS_WORDS: Mapping[ShownStatus, str] = {
    "connected": "Connected",
    "renewing": "Renewing",
    "stale": "Waiting",
    "needs_sign_in": "Needs you",
    "disconnected": "Disconnected",
}
# What the system's prompt can fix at the keychain, by an error's code,
# and the text of the button that opens it.
KEYCHAIN_BUTTONS = {
    "keychain_locked": "Unlock…",
    "keychain_withheld": "Unlock…",
    "keychain_not_set_up": "Set up…",
    "passphrase_needed": "Unlock…",
    "passphrase_wrong": "Unlock…",
    "agent_locked": "Unlock…",
}
# tone: a palette colour's name; shape: how it is shown without colour
STATUS_TONES: Mapping[ShownStatus, str] = {
    "connected": "ok",
    "renewing": "accent",
    "stale": "warn",
    "needs_sign_in": "warn",
    "disconnected": "ink2",
}
STATUS_SHAPES: Mapping[ShownStatus, str] = {
    "connected": "dot",
    "renewing": "arc",
    "stale": "clock",
    "needs_sign_in": "triangle",
    "disconnected": "ring",
}

ROWS_KEPT = 4096  # rows of the list that need not be made again
TRAY_LINES = 12  # accounts in the tray's menu


@dataclass(frozen=True, slots=True)
class Row:
    """One account in the list, in words."""

    key: str
    id: str
    accessible: str  # `provider/label, status`
    title: str
    subtitle: str
    side: str  # "42 min", "sign in", "no expiry"
    tone: str
    shape: str  # as in STATUS_SHAPES; "renew" beside a countdown to a renewal, empty for no sign
    face: Face
    tooltip: str


@dataclass(frozen=True, slots=True)
class Banner:
    """A notice above the account, with at most one action."""

    tone: str  # warn | bad | info
    title: str
    text: str
    button: str | None
    action: str  # reconnect | keychain | show | none
    key: str  # the account's, or the subject of the banner
    later: str | None = "Later"  # the words of the button that hides it


@dataclass(frozen=True, slots=True)
class LifeBar:
    """How much of the token's life has passed, and when it is renewed."""

    lived: float  # 0 … 1
    mark: float | None  # where renewal is due
    tone: str
    start: str
    mark_text: str
    end: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What an account needs its user for, and the one button that helps."""

    title: str
    text: str
    button: str  # empty if no press here helps
    warns: bool = True  # False: it is as the user wanted it


@dataclass(frozen=True, slots=True)
class Detail:
    """One account's page, in words."""

    key: str
    id: str
    title: str
    subtitle: str
    face: Face
    status: str  # the pill's word
    tone: str
    shape: str
    headline: str
    note: str
    life: LifeBar | None
    scopes: tuple[str, ...]
    missing_scopes: tuple[str, ...]
    refused: str  # what was asked for and not granted, in a sentence; empty if nothing was
    access: tuple[tuple[str, str], ...]  # what tools may do: in words, and the scopes; empty: only the scopes
    can_ask_more: bool
    facts: tuple[tuple[str, str], ...]
    lately: tuple[history.Line, ...]
    points: tuple[history.Point, ...]
    days: tuple[history.Day, ...]
    problem: Problem | None
    details: str  # of the last error, for a report: code and times, nothing secret; empty if there is none
    can_renew: bool
    renew_reason: str  # why the token is never renewed; empty if it is
    tests: bool  # a test of the token can say something
    can_test: bool
    can_copy: bool
    copy_reason: str
    connected: bool  # Disconnect is offered; else Reconnect is
    needs_person: bool
    reconnect_words: str
    busy: bool
    provider_title: str
    api_key: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Everything that the window and the tray show at one moment. It holds nothing secret."""

    rows: tuple[Row, ...]
    summary: str
    summary_note: str
    banners: tuple[Banner, ...]
    detail: Detail | None
    tray: str  # fine | renewing | needs_you | waiting
    tray_text: str
    tray_lines: tuple[tuple[str, str, str, str], ...]  # account key, line, tone, shape
    loading: bool = False
    tray_missing: bool = False
    urgent: bool = False  # a count of seconds is on screen: refresh each second

    @property
    def lead(self) -> Banner | None:
        """The banner whose button is the page's primary one. None: the page's own button is, or none."""
        pressable = [banner for banner in self.banners if banner.button]
        for banner in pressable:
            if banner.tone == "bad":  # without the keychain no account's button can help
                return banner
        account = self.detail is not None and self.detail.problem is not None and self.detail.problem.button
        return None if account or not self.rows or not pressable else pressable[0]
