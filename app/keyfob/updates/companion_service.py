"""The companion tools on this computer: what is installed, what is newest, and updating.

Nothing is asked of the network for a tool that is not installed, and feeds are asked one after the other.
Blocks; thread-safe.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from keyfob.core.errors import KeyfobError, NotFound, SettingWrong, Usage
from keyfob.updates.archives import is_archive, unpack_all, unpack_file
from keyfob.updates.companion_feeds import CompanionFeeds, Release, filled
from keyfob.updates.companion_files import CompanionFiles
from keyfob.updates.companion_install import disk_errors, put_link, put_program, recover, remove_folder
from keyfob.updates.companion_probe import Probe
from keyfob.updates.companion_state import CompanionState, Found
from keyfob.updates.companions import Companion, Download, Installed, Machine, Newest, Standing, State, System
from keyfob.updates.download import Progress
from keyfob.updates.versions import newer, normalised

if TYPE_CHECKING:
    from keyfob.ports import Clock, Locks

Step = Literal["downloading", "checking", "installing"]
AT_ONCE = 4  # programs that are asked for their version
_SYSTEMS: dict[str, System] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_MACHINES: dict[str, Machine] = {
    "x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64",
}  # fmt: skip


def this_system() -> System | None:
    """As the files of tools call it; None for one that they do not know."""
    return _SYSTEMS.get(sys.platform)


def this_machine() -> Machine | None:
    """As the files of tools call it; None for one that they do not know."""
    return _MACHINES.get(platform.machine().lower())


def _nothing(_: object) -> None:
    """Nobody follows."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Who follows an update: how far the download is, and which step has begun. Called on the update's
    thread.
    """

    progress: Callable[[Progress], None] = _nothing
    step: Callable[[Step], None] = _nothing


NOBODY = Follow()


class Companions:
    """`ours`: the folder for downloads and for tools that are unpacked as a whole; `bin`: where a tool that
    is not installed yet is put.
    """

    def __init__(
        self,
        files: CompanionFiles,
        probe: Probe,
        feeds: CompanionFeeds,
        state: CompanionState,
        folders: tuple[Path, Path],
        locks: Locks,
        clock: Clock,
    ) -> None:
        """`folders`: `ours` and `bin`."""
        self.files, self._probe, self._feeds, self._state = files, probe, feeds, state
        self._ours, self._bin = folders
        self._locks, self._clock = locks, clock
        self.system, self.machine = this_system(), this_machine()

    # --- looking --------------------------------------------------------------------------------------------

    def all(self) -> tuple[Standing, ...]:
        """Every tool that Keyfob knows, with what the last check found. Asks nothing of the network."""
        tools, known = self.files.all(), self._state.read()
        with ThreadPoolExecutor(AT_ONCE, "tools") as pool:
            installed = list(pool.map(self._probe.look, tools))
        return tuple(
            self._standing(tool, copy, known.get(tool.id, Found()))
            for tool, copy in zip(tools, installed, strict=True)
        )

    def one(self, tool_id: str) -> Standing:
        """One tool, as in `all`. Raises NotFound `tool_not_found`, SettingWrong `tool_file_faulty`."""
        tool = self.files.get(tool_id)
        return self._standing(tool, self._probe.look(tool), self._state.read().get(tool.id, Found()))

    def check(
        self, tool_ids: Iterable[str] = (), cancelled: threading.Event | None = None
    ) -> tuple[Standing, ...]:
        """Ask for the newest release of these tools, or of all that are installed, and return these tools. A
        feed that fails is the `problem` of its tool. Raises as `one`, SignInEnded `cancelled`, and OSError if
        what was found cannot be written.
        """
        cancelled = cancelled or threading.Event()
        named = tuple(tool_ids)
        standings = tuple(self.one(each) for each in named) if named else self.all()
        known, found = self._state.read(), {}
        for standing in standings:
            if standing.installed is not None:
                tool = standing.companion
                found[tool.id] = self._asked(tool, known.get(tool.id, Found()), cancelled)
        self._state.keep(found)
        return tuple(
            self._standing(each.companion, each.installed, found.get(each.companion.id, Found()))
            for each in standings
        )

    def _asked(self, tool: Companion, before: Found, cancelled: threading.Event) -> Found:
        try:
            release = self._feeds.newest(tool, cancelled)
        except KeyfobError as error:
            if error.code == "cancelled":
                raise
            return Found(before.newest, before.checked_at, error, self._clock())
        now = self._clock()
        return Found(release.newest, now, None, now)

    def _standing(self, tool: Companion, copy: Installed | None, found: Found) -> Standing:
        return Standing(
            tool,
            _state(copy, found.newest),
            copy,
            found.newest,
            found.checked_at,
            self._can_install(tool, copy),
            found.problem,
            found.tried_at,
        )

    def _can_install(self, tool: Companion, copy: Installed | None) -> bool:
        ours = copy is None or copy.owner.kind in ("person", "keyfob")
        linked = tool.install.how == "folder" and self.system == "windows"
        return ours and not linked and tool.install.how != "notice" and self._download(tool) is not None

    def _download(self, tool: Companion) -> Download | None:
        if self.system is None or self.machine is None:
            return None
        return tool.download_for(self.system, self.machine)

    # --- updating -------------------------------------------------------------------------------------------

    def update(
        self,
        tool_id: str,
        follow: Follow = NOBODY,
        cancelled: threading.Event | None = None,
        *,
        unverified: bool = False,
        anew: bool = False,
    ) -> Standing:
        """Install the newest release in the place of the installed copy. `unverified`: also if nobody says a
        checksum; `anew`: also if the tool is not installed.

        Raises as `one` and `download`; NotFound `tool_not_installed`; SettingWrong `tool_managed` (somebody
        else updates it), `tool_not_installable`; Usage `tool_unverified`; PeerFault `archive_unusable`,
        `tool_broken`, `release_unreadable`; Transient `busy`. The installed copy then works as before.
        """
        cancelled = cancelled or threading.Event()
        tool = self.files.get(tool_id)
        with self._locks.hold(f"tool-{tool.id}", timeout=timedelta(0)):
            found = self._probe.find(tool.program)
            if found is not None:
                recover(found, lambda path: self._probe.version(path, tool.version) is not None)
            copy = self._probe.look(tool)
            self._must_be_ours(tool, copy, anew=anew)
            download = self._download(tool)
            if download is None:
                raise _not_installable(tool)
            release = self._feeds.newest(tool, cancelled)
            self._keep(tool, release)
            if copy is not None and _state(copy, release.newest) == "current":
                return self.one(tool.id)
            archive = self._fetch(tool, download, release, follow, cancelled, unverified=unverified)
            follow.step("installing")
            self._install(tool, download, release.newest, archive, copy)
        return self.one(tool.id)

    def _must_be_ours(self, tool: Companion, copy: Installed | None, *, anew: bool) -> None:
        if copy is None and not anew:
            raise NotFound(
                f"{tool.title} is not installed", code="tool_not_installed", facts={"name": tool.id}
            )
        if copy is not None and copy.owner.kind not in ("person", "keyfob"):
            owner = copy.owner
            raise SettingWrong(
                f"{tool.title} is managed by {owner.name}"
                if owner.name
                else f"{tool.title} is installed for everyone on this computer",
                code="tool_managed",
                facts={"command": owner.command or tool.install.command or "", "name": tool.title},
            )
        if not self._can_install(tool, copy):
            raise _not_installable(tool)

    def _keep(self, tool: Companion, release: Release) -> None:
        now = self._clock()
        self._state.keep({tool.id: Found(release.newest, now, None, now)})

    def _fetch(
        self,
        tool: Companion,
        download: Download,
        release: Release,
        follow: Follow,
        cancelled: threading.Event,
        *,
        unverified: bool,
    ) -> Path:
        """The archive, or the program itself, complete and checked."""
        folder = self._ours / tool.id
        folder.mkdir(parents=True, exist_ok=True)
        file = self._feeds.file_of(tool, download, release, cancelled)
        if file.sha256 is None and not unverified:
            raise Usage(
                f"No checksum of {tool.title} {release.newest.version} is published, so Keyfob cannot check "
                "the download",
                code="tool_unverified",
                facts={"name": tool.id},
            )
        follow.step("downloading")
        fetched = self._feeds.fetch(file, folder, follow.progress, cancelled)
        follow.step("checking")
        return fetched

    def _install(
        self, tool: Companion, download: Download, newest: Newest, fetched: Path, copy: Installed | None
    ) -> None:
        target = copy.path if copy is not None else self._bin / tool.program
        program = None if download.program is None else filled(download.program, newest.version, newest.tag)
        folder = self._ours / tool.id

        def answers(path: Path) -> bool:
            said = self._probe.version(path, tool.version)
            return said is not None and normalised(said) == normalised(newest.version)

        try:
            if tool.install.how == "folder":
                assert program is not None
                put_link(self._unpacked(folder, newest, fetched) / program, target, answers)
                self._drop_older(folder, newest, target)
            elif program is not None and is_archive(fetched.name):
                single = folder / f".{tool.program}.unpacked"
                with disk_errors(single):
                    unpack_file(fetched, program, single)
                put_program(single, target, answers)
                single.unlink()
            else:
                put_program(fetched, target, answers)
        finally:
            fetched.unlink(missing_ok=True)

    def _unpacked(self, folder: Path, newest: Newest, archive: Path) -> Path:
        """The folder of this version, complete or not there."""
        whole, part = folder / newest.version, folder / f".{newest.version}.part"
        remove_folder(part)
        try:
            with disk_errors(whole):
                unpack_all(archive, part)
                remove_folder(whole)
                part.rename(whole)
        finally:
            remove_folder(part)
        return whole

    def _drop_older(self, folder: Path, newest: Newest, target: Path) -> None:
        """Delete the folders of versions that nothing links to any more."""
        used = Path(os.path.realpath(target))
        for each in folder.iterdir():
            if each.is_dir() and each.name != newest.version and not used.is_relative_to(each.resolve()):
                remove_folder(each)


def _state(copy: Installed | None, newest: Newest | None) -> State:
    if copy is None:
        return "not_installed"
    if copy.version is None:
        return "unknown"
    if newest is None:
        return "unchecked"
    later = newer(newest.version, copy.version)
    if later is None:
        return "current" if normalised(newest.version) == normalised(copy.version) else "unknown"
    return "update" if later else "current"


def _not_installable(tool: Companion) -> SettingWrong:
    return SettingWrong(
        f"Keyfob does not install {tool.title} on this system",
        code="tool_not_installable",
        facts={"command": tool.install.command or ""},
    )
