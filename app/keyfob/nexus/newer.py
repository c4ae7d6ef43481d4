"""Whether a mod has a newer file than the one that is installed. Pure.

The rules are those of the vendor's managers (Vortex, NexusMods.App) and of Mod Organizer 2: follow the
author's own chain of updates first; a page's version is never enough, because it may be ahead of its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keyfob.nexus.models import UpdateState
from keyfob.nexus.reading import ARCHIVED, OLD_VERSION, REMOVED, ModFile, ModFiles
from keyfob.nexus.site import Period
from keyfob.updates.versions import newer

SPARE = timedelta(minutes=5)  # the server's list of changes may be that old
PERIODS: tuple[tuple[Period, timedelta], ...] = (
    ("1d", timedelta(days=1)),
    ("1w", timedelta(days=7)),
    ("1m", timedelta(days=28)),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome for one mod. `file`: the newest, if one is certain. `installed`: the installed file, if the
    site lists it.
    """

    state: UpdateState
    file: ModFile | None = None
    installed: ModFile | None = None


def find(files: ModFiles, file_id: int | None, version: str | None) -> Found:
    """What is newer than the installed file, of which the id or the version is known, or neither."""
    by_id = {each.file_id: each for each in files.files}
    active = [each for each in files.files if each.active]
    if file_id is None:
        if version is None:
            return Found("unknown", _newest(active))
        same = [each for each in files.files if each.version == version]
        if len(same) != 1:
            return _by_version(active, same, version)
        file_id = same[0].file_id
    own = by_id.get(file_id)
    chain = successors(files.replaced, file_id)
    listed = [by_id[each] for each in chain if each in by_id and by_id[each].category != REMOVED]
    offered = next((each for each in reversed(listed) if each.active), None)
    if offered is not None:
        return Found("update", offered, own)
    if own is not None and own.active:
        return Found("current", own, own)
    # The own file is old, removed or archived, and no chain leads to a newer one.
    if len(active) == 1:
        return Found("update", active[0], own)
    if active:
        return Found("choose", None, own)
    if listed:
        return Found("update", listed[-1], own)
    # Replaced by something that is not listed.
    return Found(
        "choose" if own is not None and own.category in (OLD_VERSION, ARCHIVED) else "unknown", None, own
    )


def successors(replaced: tuple[tuple[int, int], ...], file_id: int) -> list[int]:
    """The files that replaced a file, one after another. A chain that comes back to itself ends there."""
    following = dict(replaced)
    found: list[int] = []
    while (after := following.get(file_id)) is not None and after not in found:
        found.append(after)
        file_id = after
    return found


def _newest(active: list[ModFile]) -> ModFile | None:
    """The only file, else the main one; None if there are several."""
    main = [each for each in active if each.category == 1]
    one = active if len(active) == 1 else main
    return one[0] if len(one) == 1 else None


def _by_version(active: list[ModFile], same: list[ModFile], version: str) -> Found:
    """No single file has the installed version: versions are compared, as far as they have an order."""
    newest = _newest(active)
    if any(each.active for each in same):
        return Found("current", next(each for each in same if each.active))
    if newest is None:
        return Found("choose" if active else "unknown")
    order = newer(newest.version, version)
    if order is None:
        return Found("choose", newest)
    return Found("update" if order else "current", newest)


def period_for(since: timedelta | None) -> Period | None:
    """The shortest list of changes that covers the time since the last check; None if none does, so that
    each mod has to be asked for.
    """
    if since is None:
        return None
    return next((name for name, length in PERIODS if since <= length - SPARE), None)
