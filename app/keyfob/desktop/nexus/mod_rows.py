"""Mods and downloads as rows, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import lru_cache

from keyfob.core.amounts import rate_text, size_text
from keyfob.core.errors import KeyfobError
from keyfob.desktop.nexus import words
from keyfob.desktop.nexus.models import Mark, ModDetails, Press, Progress, Row
from keyfob.desktop.shared import remedies
from keyfob.nexus.models import DownloadItem, Mod, ModState

ROWS_KEPT = 4096  # need not be made again: of thousands of mods few change at a time
UNDER_WAY = ("waiting", "link", "running", "paused", "checking")
UP_TO_DATE = Mark("Up to date", "ok", "check")
INSTALLED = Mark("Installed", "ok", "check")
CHECKED = Mark("Checked", "ok", "check")
COMPLETE = Mark("Complete", "ink2", "check")
STOPPED = Mark("Stopped", "bad", "warning")
UNKNOWN = Mark("Not compared", "ink2", "info")
PRESS_ON_SITE = "Press Mod Manager Download on its page"
# The site's word for a page that is not there, as a state and as a sentence.
GONE = {
    "hidden": ("Hidden", "The author has hidden this mod"),
    "removed": ("Removed", "This mod was removed from Nexus Mods"),
    "removed_by_staff": ("Removed", "Nexus Mods removed this mod"),
    "wastebinned": ("Removed", "This mod was removed from Nexus Mods"),
    "under_moderation": ("Under review", "Nexus Mods is reviewing this mod"),
    "not_published": ("Not published", "The author has not published this mod"),
    "publish_with_game": ("Not published", "This mod comes out together with its game"),
}
NOT_THERE = ("Hidden", "Its page is not available")


def key_of(mod: Mod) -> str:
    """What a mod's row is known by."""
    return f"{mod.game}/{mod.mod_id}"


def by(mod: Mod) -> str:
    """`by halvard · endorsed`."""
    parts = [f"by {mod.author}" if mod.author else "", "endorsed" if mod.endorsed else ""]
    return " · ".join(part for part in parts if part)


def picture(mod: Mod, *, adult: bool) -> str:
    """The address of its picture; empty if it has none, or an adult one that the person does not want."""
    return (mod.picture or "") if adult or not mod.adult else ""


def fetch_press(*, premium: bool, update: bool) -> Press:
    """The button that gets a file. Only a premium member's comes without the site."""
    if not premium:
        return Press("browser", "Download in browser")
    return Press("update", "Update") if update else Press("update", "Download")


@lru_cache(maxsize=ROWS_KEPT)
def mod_row(
    state: ModState, item: DownloadItem | None, *, premium: bool, adult: bool, usable: bool = True
) -> Row:
    """A mod of the person's list. `item`: its file in the queue; `usable`: the account can be used now."""
    mod = state.mod
    page = Press("open", "Open page", shown=False)
    remove = Press("untrack", "Stop tracking", shown=False)
    installed = Press("installed", "Set installed version…", shown=False)
    shown = picture(mod, adult=adult)
    if item is not None and item.state in (*UNDER_WAY, "stopped"):
        presses = tuple(each for each in download_presses(item) if each.action != "pause")
        row = _under_way(item, key_of(mod), mod.name, "", (*presses, page), shown)
        return _versioned(row, state)
    before, after = state.installed_version or "", ""
    mark, presses, line = None, (), by(mod)
    match state.state:
        case "current":
            mark = UP_TO_DATE
        case "update":
            after = state.newest or "newer"
            presses = (fetch_press(premium=premium, update=True),)
        case "choose":
            line = " · ".join(part for part in ("several newer files", line) if part)
            line = line[0].upper() + line[1:]
            presses = (Press("files", "Choose a file"),)
        case "hidden":
            word, line = GONE.get(mod.status, NOT_THERE)
            mark = Mark(word, "ink2", "info")
        case "unknown" if state.installed_version is None and state.newest_file_id is not None:
            before = state.newest or mod.version
            line = " · ".join(part for part in (line, "not installed by Keyfob") if part)
            presses = (fetch_press(premium=premium, update=False),)
        case _:
            mark, before = UNKNOWN, before or mod.version
    if not usable:
        presses = ()
    spoken = _spoken(mod.name, line, _versions(before, after), mark)
    return Row(
        key_of(mod), mod.name, line, spoken, picture=shown, before=before, after=after, mark=mark,
        presses=(*presses, page, installed, remove),
    )  # fmt: skip


def card(
    mod: Mod, *, premium: bool, adult: bool, installed: bool, tracked: bool, busy: bool, usable: bool
) -> Row:
    """A mod of the site's lists. `busy`: its file is in the queue."""
    line = by(mod)
    if mod.downloads is not None:
        many = "1 download" if mod.downloads == 1 else f"{mod.downloads:,} downloads"
        line = " · ".join(part for part in (line, many) if part)
    mark = INSTALLED if installed else Mark("In Downloads", "accent", "clock") if busy else None
    presses: list[Press] = []
    if mark is None and usable:
        presses.append(fetch_press(premium=premium, update=False))
    presses.append(Press("open", "Open page", "globe"))
    if usable:
        presses.append(
            Press("untrack", "Stop tracking", "star-full") if tracked else Press("track", "Track", "star")
        )
    spoken = _spoken(mod.name, line, "", mark) + (", tracked" if tracked else "")
    return Row(
        key_of(mod), mod.name, line, spoken, picture=picture(mod, adult=adult), mark=mark,
        presses=tuple(presses),
    )  # fmt: skip


def details(
    mod: Mod, state: ModState | None, row: Row | None, now: datetime, zone: tzinfo | None = None
) -> ModDetails:
    """A mod in a dialog. `row`: its row or card, whose buttons the dialog has too."""
    facts = [
        ("Installed", state.installed_version if state is not None else None),
        ("Newest", state.newest if state is not None else mod.version),
        ("Updated", words.day_and_time(mod.updated_at, now, zone) if mod.updated_at else None),
        ("Downloads", f"{mod.downloads:,}" if mod.downloads is not None else None),
        ("State", GONE.get(mod.status, NOT_THERE)[1] if not mod.available else None),
        ("Number", str(mod.mod_id)),
    ]
    return ModDetails(
        key_of(mod), mod.name, by(mod), mod.summary, row.picture if row is not None else "",
        tuple((name, value) for name, value in facts if value), row.presses if row is not None else (),
    )  # fmt: skip


def download_row(item: DownloadItem, now: datetime, *, adult: bool, zone: tzinfo | None = None) -> Row:
    """A file of the queue, or one that came earlier."""
    title = f"{item.mod.name} {item.version}".strip()
    shown = picture(item.mod, adult=adult)
    presses = download_presses(item)
    if item.state in UNDER_WAY:
        return _under_way(item, item.id, title, item.game.name, presses, shown)
    tip = ""
    if item.state == "stopped":
        line, mark = item.problem or "The download stopped", STOPPED
        tip = what_to_do(item)
    else:
        whole = item.total if item.total is not None else item.received
        line = f"{size_text(whole)} · {words.day_and_time(item.at, now, zone)}"
        mark = CHECKED if item.md5_checked else COMPLETE
    spoken = _spoken(title, tip or line, "", mark)
    return Row(item.id, title, line, spoken, picture=shown, mark=mark, presses=presses, tip=tip)


def what_to_do(item: DownloadItem) -> str:
    """What stopped it, and what helps."""
    if not item.problem:
        return ""
    return remedies.sentence(KeyfobError(item.problem, code=item.code)) if item.code else item.problem


def download_presses(item: DownloadItem) -> tuple[Press, ...]:
    """What can be done with it."""
    cancel, remove = (
        Press("cancel", "Cancel", small="cross"),
        Press("forget", "Remove from the list", shown=False),
    )
    pause, resume = (
        Press("pause", "Pause", "pause", small="pause"),
        Press("continue", "Continue", small="play"),
    )
    match item.state:
        case "running" | "waiting":
            return (pause, cancel)
        case "paused":
            return (resume, cancel)
        case "link":
            return (Press("browser", "Open page", small="globe"), cancel)
        case "checking":
            return ()
        case "stopped" if item.can_keep:
            return (Press("keep", "Keep the file"), Press("continue", "Download again", shown=False), remove)
        case "stopped":
            return (resume, remove)
        case "done":
            return (Press("folder", "Open folder"), remove)


def latest(items: Iterable[DownloadItem]) -> dict[str, DownloadItem]:
    """The newest file of each mod in the queue, by the mod's key."""
    found: dict[str, DownloadItem] = {}
    for item in items:
        key = f"{item.game.domain}/{item.mod.mod_id}"
        if key not in found or item.at >= found[key].at:
            found[key] = item
    return found


def _under_way(
    item: DownloadItem, key: str, title: str, note: str, presses: tuple[Press, ...], shown: str
) -> Row:
    share = None if not item.total else min(item.received / item.total, 1.0)
    far = words.amount(item.received, item.total)
    right, tone = "", "accent"
    match item.state:
        case "running":
            left = far if item.rate is None else f"{far} · {rate_text(item.rate)}"
            right = "" if item.seconds_left is None else words.left(item.seconds_left)
        case "paused":
            left, tone = f"Paused at {far}", "ink3"
        case "checking":
            left, share = "Checking the file…", 1.0
        case "link":
            again = f"{item.problem}. Press the site’s button again" if item.problem else PRESS_ON_SITE
            left, tone = again, "ink3"
            share = share or 0.0
        case "stopped":
            left, tone = item.problem or "The download stopped", "bad"
        case _:
            left, share, tone = "Waiting for its turn", share or 0.0, "ink3"
    progress = Progress(share, left, right, tone)
    spoken = ", ".join(part for part in (title, note, left, right) if part)
    return Row(key, title, left, spoken, note=note, picture=shown, progress=progress, presses=presses)


def _versioned(row: Row, state: ModState) -> Row:
    after = state.newest or ""
    before = state.installed_version or ""
    return replace(row, before=before if before != after else "", after=after)


def _versions(before: str, after: str) -> str:
    return f"{before} to {after}" if before and after else before or after


def _spoken(title: str, line: str, versions: str, mark: Mark | None) -> str:
    parts = (title, line, f"version {versions}" if versions else "", mark.text if mark else "")
    return ", ".join(part for part in parts if part)
