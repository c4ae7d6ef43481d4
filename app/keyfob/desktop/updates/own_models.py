"""What the window shows of Keyfob's own update: the card, the dialog and the sidebar's foot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from keyfob.desktop.updates.models import Bar, Tone, amount_of, when
from keyfob.updates.change import Stage
from keyfob.updates.download import Progress
from keyfob.updates.service import UpdateStatus

OwnAction = Literal["open", "restart", "check", ""]
STAGES: Mapping[Stage, str] = {
    "downloading": "Starting the download…",
    "unpacking": "Unpacking…",
    "trying": "Starting the new version once…",
    "done": "Finishing…",
}
NO_SOURCE = "This build has no update source."


@dataclass(frozen=True, slots=True)
class Change:
    """An update that goes on. `stopping`: the user has cancelled it."""

    stage: Stage = "downloading"
    progress: Progress | None = None
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """The card. `fine`: this is the newest version. `leads`: its button is the page's primary one. `later`:
    it can be put off. `command`: to copy. `foot` and `foot_button`: the sidebar's words, and its button in
    their place.
    """

    title: str
    text: str
    tone: Tone = ""
    fine: bool = False
    notes: bool = False
    button: str = ""
    action: OwnAction = ""
    leads: bool = False
    later: bool = False
    command: str = ""
    foot: str = ""
    foot_button: str = ""


@dataclass(frozen=True, slots=True)
class UpdateView:
    """The dialog. `bar` is None unless an update goes on. `ready`: only a restart is missing."""

    title: str
    text: str
    notes: str = ""
    bar: Bar | None = None
    problem: str = ""
    ready: bool = False
    stopping: bool = False


def own(
    status: UpdateStatus, now: datetime, *, change: Change | None = None, checking: bool = False
) -> OwnUpdate:
    """The card and the foot."""
    have = f"Keyfob {status.installed}"
    if status.next_start is not None:
        return OwnUpdate(
            f"Keyfob {status.next_start} is ready",
            f"You have {status.installed}. Its signature is valid, and it is used from the next start on.",
            notes=bool(status.notes),
            button="Restart and update",
            action="restart",
            leads=True,
            later=True,
            foot=have,
            foot_button=f"Restart to v{status.next_start}",
        )
    if change is not None:
        return OwnUpdate(
            f"Updating Keyfob to {status.newest}" if status.newest else "Updating Keyfob",
            bar_of(change).amount,
            button="Show progress",
            action="open",
            foot=have,
            foot_button="Show progress",
        )
    happened = f"{status.problem.rstrip('.')}." if status.problem else ""
    problem = " ".join(part for part in (happened, status.remedy) if part)
    if status.newest is not None:
        return _newer(status, have, problem)
    if problem:
        again = "" if status.state == "no_source" else "Try again"
        return OwnUpdate(have, problem, "warn", button=again, action="check" if again else "", foot=have)
    checked = f"Checked {when(status.checked_at, now)}." if status.checked_at is not None else ""
    match status.state:
        case "current":
            return OwnUpdate(f"{have} is up to date", checked, fine=True, foot=have)
        case "managed":
            text = checked or ("To update this copy, run:" if status.command else NO_SOURCE)
            return OwnUpdate(have, text, command=status.command or "", fine=bool(checked), foot=have)
        case "no_source":
            return OwnUpdate(have, NO_SOURCE, foot=have)
    return OwnUpdate(have, "Checking…" if checking else "Not checked yet.", foot=have)


def _newer(status: UpdateStatus, have: str, problem: str) -> OwnUpdate:
    title, said = f"Keyfob {status.newest} is available", problem or f"You have {status.installed}."
    tone: Tone = "bad" if problem else ""
    if status.state == "newer":
        words = "Try again" if problem else f"Update to v{status.newest}"
        return OwnUpdate(
            title, said, tone, notes=bool(status.notes), button=words, action="open", leads=True, foot=have,
            foot_button=f"Update to v{status.newest}",
        )  # fmt: skip
    where = "" if status.command else " Get it from where you got Keyfob."
    return OwnUpdate(
        title, f"{said}{where}", tone, notes=bool(status.notes), command=status.command or "", foot=have,
        foot_button=f"Version {status.newest} is available",
    )  # fmt: skip


def view(status: UpdateStatus, change: Change | None, problem: str) -> UpdateView:
    """The dialog. `problem`: why the last try failed."""
    version = status.next_start or status.newest or status.installed
    if status.next_start is not None:
        return UpdateView(
            f"Keyfob {version} is ready",
            "Its signature is valid. Keyfob restarts to use it. Your accounts and settings stay as they are.",
            status.notes,
            ready=True,
        )
    text = f"You have {status.installed}."
    if status.state == "newer":
        text += (
            " Keyfob checks the publisher's signature before it unpacks anything, and keeps the old version."
        )
    elif status.command:
        text += f" To update it, run: {status.command}"
    bar = bar_of(change) if change is not None else None
    stopping = change is not None and change.stopping
    title = f"Update Keyfob to {version}" if status.state == "newer" else f"Keyfob {version} is available"
    return UpdateView(title, text, status.notes, bar, problem, stopping=stopping)


def bar_of(change: Change) -> Bar:
    """How far it is."""
    if change.stopping:
        return Bar(None, "Cancelling…")
    if change.stage != "downloading" or change.progress is None:
        return Bar(1.0 if change.stage != "downloading" else None, STAGES[change.stage])
    return amount_of(change.progress)
