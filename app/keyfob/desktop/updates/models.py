"""What the page Tools and updates shows of the tools, made from how they stand. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from keyfob.core.amounts import rate_text, size_text
from keyfob.core.error_codes import Advice, ErrorCode
from keyfob.core.errors import KeyfobError
from keyfob.core.time_words import clock_time, day, span
from keyfob.desktop.shared import remedies
from keyfob.updates.companion_service import Step
from keyfob.updates.companions import Standing
from keyfob.updates.download import Progress

NONE = "—"
# The computer cannot reach the network: the page says so once, and not in each row.
OFFLINE: frozenset[ErrorCode] = frozenset({"network_unreachable", "network_timeout", "captive_portal"})
OFFLINE_NEVER = "You are offline. Nothing was checked yet."
STEPS: Mapping[Step, str] = {
    "downloading": "Starting the download…",
    "checking": "Checking the download…",
    "installing": "Installing…",
}
# What happened to an update, in the words that have room in a row.
SHORT: Mapping[ErrorCode, str] = {
    "download_wrong": "The download is not what was announced.",
    "download_elsewhere": "The download comes from another server than expected.",
    "tool_broken": "The new version does not start.",
    "archive_unusable": "The archive cannot be used.",
    "release_unreadable": "The release does not have the expected files.",
    "network_unreachable": "The server cannot be reached.",
    "network_timeout": "The server did not answer in time.",
    "provider_unavailable": "The server is not available right now.",
    "disk_full": "The disk is full.",
}
Action = Literal["update", "cancel", "open", ""]
Tone = Literal["", "bad", "warn"]


@dataclass(frozen=True, slots=True)
class Bar:
    """How far a download is. `part`: from 0 to 1, None if its size is not known or it is not a download."""

    part: float | None
    amount: str
    left: str = ""


@dataclass(frozen=True, slots=True)
class ToolRow:
    """One tool. `text`: the second line; `tone`: of that line. `fine`: it is up to date. `state`: the words
    at the right if there is no button. `spoken`: what assistive technology reads of the row.
    """

    key: str
    mark: str
    title: str
    text: str
    installed: str
    newest: str
    state: str = ""
    fine: bool = False
    tone: Tone = ""
    action: Action = ""
    button: str = ""
    bar: Bar | None = None
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """An update that goes on. `stopping`: the user has cancelled it."""

    step: Step = "downloading"
    progress: Progress | None = None
    stopping: bool = False


@dataclass(frozen=True, slots=True)
class ToolsPage:
    """`summary`: when was checked. `rows`: the tools that are installed; `others`: the names of those that
    Keyfob knows and that are not. `faulty`: the faults of files of the user's own.
    """

    summary: str = ""
    checking: bool = False
    loading: bool = True
    rows: tuple[ToolRow, ...] = ()
    others: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    updates: int = 0


def page(
    standings: Sequence[Standing],
    now: datetime,
    *,
    checking: bool = False,
    works: Mapping[str, Work] | None = None,
    failures: Mapping[str, KeyfobError] | None = None,
    uses: Mapping[str, str] | None = None,
    faulty: Sequence[str] = (),
) -> ToolsPage:
    """The whole page. `works`: what goes on, `failures`: how the last update of a tool failed, `uses`: the
    accounts that a tool is set up for; all by the tool's id.
    """
    works, failures, uses = works or {}, failures or {}, uses or {}
    installed = [each for each in standings if each.installed is not None]
    offline = is_offline(installed)
    rows = tuple(
        row(
            each,
            work=works.get(each.companion.id),
            failure=failures.get(each.companion.id),
            uses=uses.get(each.companion.id, ""),
            quiet=offline,
        )
        for each in installed
    )
    return ToolsPage(
        summary=_summary(installed, now, checking=checking, offline=offline),
        checking=checking,
        loading=False,
        rows=rows,
        others=tuple(each.companion.title for each in standings if each.installed is None),
        faulty=tuple(faulty),
        updates=sum(each.state == "update" and each.installable for each in installed),
    )


def is_offline(standings: Sequence[Standing]) -> bool:
    """Whether no source could be reached at the last check."""
    return bool(standings) and all(
        each.problem is not None and each.problem.code in OFFLINE for each in standings
    )


def _summary(standings: Sequence[Standing], now: datetime, *, checking: bool, offline: bool) -> str:
    if checking:
        return "Checking for newer versions…"
    times = [each.checked_at for each in standings if each.checked_at is not None]
    last = max(times) if times else None
    if offline:
        return f"You are offline. Last checked {when(last, now)}." if last else OFFLINE_NEVER
    if last is None:
        return "Not checked yet." if standings else ""
    return f"Checked {when(last, now)}."


def when(at: datetime, now: datetime) -> str:
    """`today at 14:48`, `yesterday at 14:48`, `on Friday`."""
    said = day(at, now)
    return f"{said} at {clock_time(at)}" if said in ("today", "yesterday") else f"on {said}"


# --- one row ------------------------------------------------------------------------------------------------


def row(
    standing: Standing,
    *,
    work: Work | None = None,
    failure: KeyfobError | None = None,
    uses: str = "",
    quiet: bool = False,
) -> ToolRow:
    """`quiet`: nobody can be reached, and the page says so."""
    tool, copy, newest = standing.companion, standing.installed, standing.newest
    assert copy is not None
    version, latest = copy.version or NONE, newest.version if newest else NONE
    text, tone = _text(standing, failure, uses, quiet=quiet)
    state, fine, action, button = _right(standing, failure)
    bar = None
    if work is not None:
        # What is done to the tool takes the place of what it is for.
        text, tone = f"{version} → {latest}" if newest else version, ""
        state, fine, action, button, bar = "", False, "cancel", "Cancel", _bar(work)
        if work.stopping or work.step == "installing":
            action, button = "", ""
    spoken = _spoken(version, latest, state, text, bar)
    return ToolRow(
        tool.id,
        mark(tool.id),
        tool.title,
        text,
        version,
        latest,
        state,
        fine,
        tone,
        action,
        button,
        bar,
        spoken,
    )


def mark(tool_id: str) -> str:
    """Two letters in the place of a picture."""
    return tool_id.replace("-", "")[:2]


def _text(standing: Standing, failure: KeyfobError | None, uses: str, *, quiet: bool) -> tuple[str, Tone]:
    tool, copy = standing.companion, standing.installed
    assert copy is not None
    if failure is not None:
        return failed_text(failure), "bad"
    if standing.problem is not None and not quiet:
        return remedies.sentence(standing.problem), "warn"
    if standing.state == "unknown" and copy.version is None:
        return "It does not say a version that Keyfob can read.", ""
    command = copy.owner.command or (tool.install.command or "" if copy.owner.kind != "manager" else "")
    if standing.state == "update" and not standing.installable and command:
        return f"To update it, run: {command}", ""
    return f"{tool.description} · {uses}" if uses else tool.description, ""


def failed_text(failure: KeyfobError) -> str:
    """What happened, what did not happen, and what to do unless that is to try again."""
    happened = SHORT.get(failure.code) or f"{failure.full_message().rstrip('.')}."
    todo = remedies.remedy(failure) if failure.advice is Advice.FIX_SETTING else ""
    return " ".join(part for part in (happened, "Nothing was installed.", todo) if part)


def _right(standing: Standing, failure: KeyfobError | None) -> tuple[str, bool, Action, str]:
    """The words at the right, whether they are good, and the button."""
    copy, newest = standing.installed, standing.newest
    assert copy is not None
    if standing.state == "current":
        return "Up to date", True, "", ""
    if standing.state == "update" and newest is not None:
        if standing.installable:
            words = "Try again" if failure is not None else f"Update to v{newest.version}"
            return "", False, "update", words
        if copy.owner.kind == "manager":
            return f"Managed by {copy.owner.name}", False, "", ""
        if copy.owner.kind == "everyone":
            return "Managed by your system", False, "", ""
        if newest.page:
            return "", False, "open", "See release"
        return "Newer version available", False, "", ""
    if standing.state == "unchecked" and standing.problem is None:
        return "Not checked yet", False, "", ""
    return "", False, "", ""


def _bar(work: Work) -> Bar:
    if work.stopping:
        return Bar(None, "Cancelling…")
    progress = work.progress
    if work.step != "downloading" or progress is None:
        return Bar(None, STEPS[work.step])
    return amount_of(progress)


def amount_of(progress: Progress) -> Bar:
    """Bytes, rate and time left."""
    amount = size_text(progress.received)
    part = None
    if progress.total:
        part = min(progress.received / progress.total, 1.0)
        amount = _of(progress.received, progress.total)
    if progress.rate > 0:
        amount = f"{amount} · {rate_text(progress.rate)}"
    left = ""
    if progress.seconds_left is not None and progress.rate > 0:
        left = f"{span(timedelta(seconds=max(round(progress.seconds_left), 1)))} left"
    return Bar(part, amount, left)


def _of(received: int, total: int) -> str:
    """`7.9 of 21.4 MB`, or with both units if they differ."""
    here, whole = size_text(received), size_text(total)
    number, _, unit = here.rpartition(" ")
    return f"{number} of {whole}" if unit == whole.rpartition(" ")[2] else f"{here} of {whole}"


def _spoken(version: str, latest: str, state: str, text: str, bar: Bar | None) -> str:
    parts = [
        "" if version == NONE else f"installed {version}",
        "" if latest == NONE else f"newest {latest}",
        state,
        text if bar is None else bar.amount,
    ]
    return ", ".join(part.rstrip(".") for part in parts if part)
