"""Looks for a newer version of Keyfob and changes to it: for the window and `keyfob update`.

    updates = Updates.of_this_copy(home, remedies=REMEDIES)
    status = updates.check()          # asks, and never raises
    updates.install(watcher=watcher)  # for a bundle

What was found last is kept on disk, so that `status` asks nothing. Thread-safe; `look`, `check` and `install`
block on the network.
"""

from __future__ import annotations

import json
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from keyfob.core.errors import Fault, KeyfobError, SettingWrong, Transient
from keyfob.core.facts import Remedies
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.ports import Clock, StreamingTransport
from keyfob.process.home import Home, write_private
from keyfob.updates.bundle import Bundle
from keyfob.updates.change import Watcher, change_to
from keyfob.updates.feeds import ReleaseFeeds
from keyfob.updates.installation import Installation, this_installation
from keyfob.updates.part_file import disk_error
from keyfob.updates.source import Source, read_source
from keyfob.updates.trusted import Archive, TrustedUpdates
from keyfob.updates.versions import newer, parsed

EVERY = timedelta(days=1)
# unknown: nothing was asked yet. current: there is nothing newer. newer: `install` can put it in use here.
# managed: the package manager updates this copy; `newest` says if there is something. no_source: this build
# does not know where to look.
State = Literal["unknown", "current", "newer", "managed", "no_source"]


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """How this copy stands. `installed` is the version that runs, `newest` one that is newer, None if none is
    known. `notes` are Markdown from the publisher. `checked_at` is UTC: when the source answered last.
    `problem` says what went wrong last, `remedy` what to do; empty if nothing did. `command` is what the user
    types to update a copy that a package manager owns. `next_start` is a version that is installed and used
    from the next start on.
    """

    state: State
    installed: str
    newest: str | None = None
    notes: str = ""
    checked_at: datetime | None = None
    problem: str = ""
    remedy: str = ""
    command: str | None = None
    next_start: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found last. `tried_at`: when it was looked for, with success or without."""

    newest: str | None = None
    notes: str = ""
    checked_at: datetime | None = None
    tried_at: datetime | None = None


class Updates:
    """One for a process is enough."""

    def __init__(
        self,
        installation: Installation,
        source: Source,
        folder: Path,
        *,
        remedies: Remedies,
        token: Callable[[], Secret | None] = lambda: None,
        transport: StreamingTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`folder`: for metadata, downloads and what was found. `remedies`: the face's own. `token`: the
        user's GitHub token, for a feed at api.github.com. `transport` and `clock`: by default the system's.
        """
        self._installation = installation
        self._source = source
        self._folder = folder
        self._remedies = remedies
        self._transport = transport
        self._now = clock or _system_clock
        self._feeds = ReleaseFeeds(folder / "feeds", token=token, transport=transport, clock=clock)
        self._problem: KeyfobError | None = None
        self._faulty: KeyfobError | None = None

    @classmethod
    def of_this_copy(
        cls, home: Home, *, remedies: Remedies, token: Callable[[], Secret | None] = lambda: None
    ) -> Updates:
        """For this installation, with the source that it came with. Never raises: a faulty source is a
        problem in the status.
        """
        source, faulty = Source(), None
        try:
            source = read_source()
        except KeyfobError as error:
            faulty = error
        made = cls(this_installation(), source, home.state / "updates", remedies=remedies, token=token)
        made._faulty = made._problem = faulty
        return made

    def status(self) -> UpdateStatus:
        """What is known now. Reads a few small files and asks nobody."""
        installed, found = self._installation.version, self._kept()
        fresh = found.newest if found.newest and newer(found.newest, installed) else None
        next_start, problem = self._next_start()
        problem = self._problem or problem
        return UpdateStatus(
            self._state(found, fresh),
            installed,
            None if next_start is not None and next_start == fresh else fresh,
            found.notes if fresh else "",
            found.checked_at,
            problem.full_message() if problem else "",
            problem.remedy_in(self._remedies) if problem else "",
            self._installation.update_command,
            next_start,
        )

    def due(self, wanted: bool) -> bool:
        """Whether to look on start: if the setting `updates` is on (`wanted`), this copy updates itself, and
        nothing was asked for a day.
        """
        tried = self._kept().tried_at
        age = None if tried is None else self._now() - tried
        fresh = age is not None and timedelta(0) <= age < EVERY
        return wanted and self._installs_itself and not fresh

    def check(self, *, pre: bool = False, cancelled: threading.Event | None = None) -> UpdateStatus:
        """Look now. What goes wrong is in the status. Never raises a KeyfobError."""
        try:
            self.look(pre=pre, cancelled=cancelled)
            self._problem = None
        except KeyfobError as error:
            self._problem = error
        return self.status()

    def look(self, *, pre: bool = False, cancelled: threading.Event | None = None) -> UpdateStatus:
        """Look now. Raises what `TrustedUpdates.newest` and `ReleaseFeeds.newest` raise, and SettingWrong
        `update_source_missing` if this build does not know where to look, and no command updates it.
        """
        if self._faulty is not None:
            raise self._faulty
        if not self._has_source:
            if self._installation.update_command is not None:
                return self.status()
            raise _no_source()
        before = self._kept()
        self._keep(replace(before, tried_at=self._now()))
        pre = self._with_pre(pre)
        if self._installs_itself:
            archive = self._trusted().newest(pre=pre, cancelled=cancelled)
            newest, notes = (archive.version, archive.notes) if archive else (None, "")
        else:
            release = self._feeds.newest(self._source.feed or "", pre=pre)
            newest, notes = (release.version, release.notes) if release else (None, "")
        now = self._now()
        self._keep(_Found(newest, notes, now, now))
        return self.status()

    def install(
        self,
        *,
        pre: bool = False,
        watcher: Watcher | None = None,
        cancelled: threading.Event | None = None,
    ) -> str | None:
        """Look, and put the newest version in use from the next start on. Its number; None if this is the
        newest.

        Raises what `look` and `change_to` raise, SettingWrong `update_managed` if a package manager owns this
        copy, and Transient `update_running` while another process does the same. Then the version in use is
        the same as before.
        """
        if self._faulty is not None:
            raise self._faulty
        bundle = self._bundle()
        if bundle is None:
            if self._installation.update_command is None and not self._has_source:
                raise _no_source()
            raise _managed(self._installation)
        if not self._source.signed:
            raise _no_source()
        cancelled = cancelled or threading.Event()
        with self._alone():
            archive = self._trusted().newest(pre=self._with_pre(pre), cancelled=cancelled)
            now = self._now()
            newest, notes = (archive.version, archive.notes) if archive else (None, "")
            self._keep(_Found(newest, notes, now, now))
            if archive is None or not self._is_newer(archive, bundle):
                return None
            change_to(
                archive,
                bundle,
                self._folder / "downloads",
                hosts=self._source.target_hosts,
                watcher=watcher or Watcher(),
                cancelled=cancelled,
                transport=self._transport,
            )
        self._problem = None
        return archive.version

    def seen(self) -> None:
        """The user has read the problem: it is not shown again."""
        self._problem = None
        bundle = self._bundle()
        if bundle is not None:
            with suppress(OSError):
                bundle.forget_failure()

    # --- inside ---------------------------------------------------------------------------------------------

    @property
    def _installs_itself(self) -> bool:
        return self._bundle() is not None and self._source.signed

    @property
    def _has_source(self) -> bool:
        return self._installs_itself or self._source.feed is not None

    def _bundle(self) -> Bundle | None:
        root = self._installation.root
        return None if root is None else Bundle(root)

    def _state(self, found: _Found, fresh: str | None) -> State:
        if not self._installs_itself:
            known = self._has_source or self._installation.update_command is not None
            return "managed" if known else "no_source"
        if found.checked_at is None:
            return "unknown"
        return "newer" if fresh else "current"

    def _next_start(self) -> tuple[str | None, KeyfobError | None]:
        """The version that the next start uses if it is another one, and what went wrong with the last."""
        bundle = self._bundle()
        if bundle is None:
            return None, None
        current, failed = bundle.current(), bundle.failed()
        other = current if current is not None and current != self._installation.version else None
        if failed is None:
            return other, None
        return other, Fault(
            f"Version {plain(failed, 40)} did not start, so Keyfob uses version {plain(current, 40)} again",
            code="update_broken",
        )

    def _with_pre(self, pre: bool) -> bool:
        """Who runs a pre-release has chosen to."""
        running = parsed(self._installation.version)
        return pre or (running is not None and running.prerelease)

    def _is_newer(self, archive: Archive, bundle: Bundle) -> bool:
        """Never back: neither behind the version that runs, nor behind the one that the next start uses."""
        known = [self._installation.version, bundle.current() or self._installation.version]
        return all(newer(archive.version, each) for each in known)

    def _trusted(self) -> TrustedUpdates:
        return TrustedUpdates(
            self._source,
            self._folder,
            system="linux" if sys.platform.startswith("linux") else sys.platform,
            machine=platform.machine().lower(),
            transport=self._transport,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._folder / "change.lock", mode=0o600, blocking=False):
                yield
        except Timeout:
            raise Transient("Another Keyfob is changing to a newer version", code="update_running") from None
        except KeyfobError:
            raise
        except OSError as error:
            raise disk_error(error, self._folder / "change.lock") from error

    def _kept(self) -> _Found:
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads((self._folder / "found.json").read_bytes())
            newest, notes = said["newest"], said["notes"]
            if isinstance(newest, str | None) and isinstance(notes, str):
                return _Found(newest, notes, _moment(said["checked_at"]), _moment(said["tried_at"]))
        return _Found()

    def _keep(self, found: _Found) -> None:
        data = {
            "newest": found.newest,
            "notes": found.notes,
            "checked_at": found.checked_at and found.checked_at.isoformat(),
            "tried_at": found.tried_at and found.tried_at.isoformat(),
        }
        with suppress(OSError):  # it is asked again
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._folder / "found.json", json.dumps(data).encode())


def _no_source() -> SettingWrong:
    return SettingWrong("This build has no update source", code="update_source_missing")


def _managed(installation: Installation) -> SettingWrong:
    return SettingWrong(
        "This copy of Keyfob does not update itself",
        code="update_managed",
        facts={"command": installation.update_command or ""},
    )


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    at = datetime.fromisoformat(str(text))
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _system_clock() -> datetime:
    from keyfob.adapters.system.clock import now

    return now()
