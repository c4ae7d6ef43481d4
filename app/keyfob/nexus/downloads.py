"""Downloads of mods: a queue that two threads work off, with progress, pause, resume and a check at the end.

A premium member's download asks the API for a link. A free member's needs the link that the site's button
gives; until it comes, the download waits in the state `link`. Links end: then a new one is asked for, and the
download continues where it was. A file gets its name after its size and its MD5 were checked.

One process at a time may run the queue (`owner.py`). Thread-safe; the methods do not block on the network,
except `add`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError, NotFound, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.nexus.addresses import NxmLink
from keyfob.nexus.api import ApiRefused
from keyfob.nexus.delivery import hosts_for, md5_of
from keyfob.nexus.models import DownloadItem, DownloadState, Game, Mod
from keyfob.nexus.queue import Job, QueueFile, Wish, free_name, new_id, safe_name
from keyfob.nexus.reading import ModFile
from keyfob.nexus.site import Site
from keyfob.updates.download import DownloadRefused, Progress, download

log = logging.getLogger(__name__)
AT_ONCE = 2
LINKS_MOST = 5  # links that one run of a download asks for
ENDED = (403, 404, 410)  # a delivery server's answer for a link that has ended
Observer = Callable[[], None]
Done = Callable[[DownloadItem], None]


class LinkNeededError(Exception):
    """Only the site's button gives a link. `error` says why the last one did not do, if there was one."""

    def __init__(self, error: KeyfobError | None = None) -> None:
        super().__init__("a link is needed")
        self.error = error


class Downloads:
    """`sites` finds an account's site. `on_done` is called once a file is there, before the download is
    shown as done.
    """

    def __init__(self, state: Path, sites: Callable[[str], Site], on_done: Done = lambda _: None) -> None:
        self._file = QueueFile(state)
        self._sites = sites
        self._on_done = on_done
        self._guard = threading.RLock()
        self._jobs: list[Job] = self._file.read()
        self._threads: dict[str, threading.Thread] = {}
        self._observers: list[Observer] = []
        self._running = False

    # --- the queue ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Work off what is waiting, now and from now on."""
        with self._guard:
            self._running = True
        self._fill()

    def close(self, seconds: float = 10.0) -> None:
        """Stop all threads. What ran goes on after the next `start`, here or in another process."""
        with self._guard:
            self._running = False
            threads = list(self._threads.values())
            for job in self._jobs:
                if job.id in self._threads:
                    self._stop(job, "close")
        for thread in threads:
            thread.join(seconds)

    def items(self) -> list[DownloadItem]:
        """All downloads, the oldest first."""
        with self._guard:
            return [job.shown() for job in self._jobs]

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` on a download's thread when something changed, up to ten times a second for each
        download. Returns what ends that.
        """
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def add(
        self, account: str, game: Game, mod: Mod, file: ModFile, folder: Path, link: NxmLink | None = None
    ) -> DownloadItem:
        """Put a file into the queue. If it is there already and not finished, that download goes on, with
        `link` if there is one.
        """
        with self._guard:
            job = self._same(game.domain, mod.mod_id, file.file_id)
            if job is None:
                job = Job(
                    id=new_id(),
                    account=account,
                    game=game,
                    mod=mod,
                    file_id=file.file_id,
                    file_name=safe_name(file.file_name, file.file_id),
                    version=file.version,
                    folder=folder,
                    total=file.size,
                )
                self._jobs.append(job)
            if job.state not in ("running", "checking"):
                self._again(job, account, link)
        self._changed(saved=True)
        self._fill()
        return job.shown()

    def _same(self, domain: str, mod_id: int, file_id: int) -> Job | None:
        wanted = (domain, mod_id, file_id)
        return next(
            (
                job
                for job in self._jobs
                if job.state != "done" and (job.game.domain, job.mod.mod_id, job.file_id) == wanted
            ),
            None,
        )

    def pause(self, job_id: str) -> DownloadItem:
        """Pause it. Raises NotFound `download_not_found`."""
        with self._guard:
            job = self._find(job_id)
            if job.id in self._threads:
                self._stop(job, "pause")
            elif job.state in ("waiting", "link"):
                self._set(job, "paused")
        self._changed(saved=True)
        return job.shown()

    def resume(self, job_id: str) -> DownloadItem:
        """Continue what is paused or stopped. A file that may be damaged is fetched again. Raises NotFound
        `download_not_found`.
        """
        with self._guard:
            job = self._find(job_id)
            if job.state in ("paused", "stopped", "link"):
                if job.can_keep:
                    self._drop_files(job)
                self._again(job, job.account, None)
        self._changed(saved=True)
        self._fill()
        return job.shown()

    def cancel(self, job_id: str) -> None:
        """End it and delete what was received; a finished file stays. Raises NotFound."""
        with self._guard:
            job = self._find(job_id)
            if job.id in self._threads:
                self._stop(job, "cancel")
            else:
                self._forget(job)
        self._changed(saved=True)

    def keep(self, job_id: str) -> DownloadItem:
        """Give a file its name although the site does not list its MD5. Raises NotFound, SettingWrong
        `file_unwritable`.
        """
        with self._guard:
            job = self._find(job_id)
        if job.can_keep:
            self._finish(job)
        self._changed(saved=True)
        return job.shown()

    def clear(self) -> None:
        """Take the finished downloads out of the list. Their files stay."""
        with self._guard:
            self._jobs = [job for job in self._jobs if job.state != "done"]
        self._changed(saved=True)

    # --- working it off -------------------------------------------------------------------------------------

    def _fill(self) -> None:
        with self._guard:
            if not self._running:
                return
            for job in self._jobs:
                if len(self._threads) >= AT_ONCE:
                    return
                if job.state == "waiting" and job.id not in self._threads:
                    job.stop, job.wish = threading.Event(), None
                    self._set(job, "running")
                    thread = threading.Thread(
                        target=self._run, args=(job,), name="nexus-download", daemon=True
                    )
                    self._threads[job.id] = thread
                    thread.start()

    def _run(self, job: Job) -> None:
        try:
            self._work(job)
        except Exception as error:
            log.exception("a download failed")
            with self._guard:
                self._set(job, "stopped", f"A fault in Keyfob: {type(error).__name__}", "internal")
        finally:
            with self._guard:
                self._threads.pop(job.id, None)
                job.rate = job.seconds_left = None
                if job.wish == "cancel" and job.state != "done":
                    self._forget(job)
            self._changed(saved=True)
            self._fill()

    def _work(self, job: Job) -> None:
        """One run of a download, to its end or to what is in its way."""
        try:
            if not (job.fetched and job.target.exists()):
                self._fetch(job)
            self._check(job)
        except LinkNeededError as needed:
            with self._guard:
                error = needed.error
                self._set(job, "link", error.full_message() if error else None, error.code if error else None)
        except SignInEnded:
            with self._guard:
                self._set(job, "waiting" if job.wish == "close" else "paused")
        except KeyfobError as error:
            with self._guard:
                self._set(job, "stopped", error.full_message(), error.code)

    def _fetch(self, job: Job) -> None:
        """Receive the file. A link that ends on the way is replaced."""
        error: KeyfobError | None = None
        for _ in range(LINKS_MOST):
            url = self._link(job, error)
            try:
                job.folder.mkdir(parents=True, exist_ok=True)
                download(
                    url,
                    job.target,
                    allowed_hosts=hosts_for(self._sites(job.account).api.base, url),
                    expected_size=job.total,
                    progress=lambda progress: self._progress(job, progress),
                    cancelled=job.stop,
                )
            except DownloadRefused as refused:
                if refused.status not in ENDED:
                    raise
                error = _expired(job)
            except OSError as failed:
                raise SettingWrong(
                    f"{job.folder} cannot be used: {failed.strerror}",
                    code="file_unwritable",
                    facts={"path": str(job.folder)},
                ) from failed
            else:
                with self._guard:
                    job.fetched, job.received = True, job.target.stat().st_size
                    job.total = job.received
                return
        raise Transient("The links of Nexus Mods end before the download begins", answered=True)

    def _link(self, job: Job, error: KeyfobError | None) -> str:
        """An address for the file. Raises LinkNeededError if only the site's button gives one."""
        site, link = self._sites(job.account), job.link
        try:
            found = site.links(job.game.domain, job.mod.mod_id, job.file_id, link)
        except ApiRefused as refused:
            job.link = None
            if refused.status == 400:
                raise LinkNeededError(_expired(job)) from None
            if refused.status == 403:
                raise LinkNeededError(error) from None
            if refused.status == 404:
                raise NotFound(
                    f"Nexus Mods does not have {job.file_name} any more", code="nexus_not_found"
                ) from None
            raise
        job.link = None  # it is used once
        if not found:
            raise PeerFault("Nexus Mods gave no link for the file", code="response_invalid")
        return found[0]

    def _progress(self, job: Job, progress: Progress) -> None:
        with self._guard:
            job.received, job.rate, job.seconds_left = progress.received, progress.rate, progress.seconds_left
            if progress.total is not None:
                job.total = progress.total
        self._changed()

    # --- the check ------------------------------------------------------------------------------------------

    def _check(self, job: Job) -> None:
        """Compare the file with what the site lists by MD5, and give it its name."""
        with self._guard:
            self._set(job, "checking")
        self._changed(saved=True)
        digest = md5_of(job.target, job.stop)
        found = self._sites(job.account).by_md5(job.game.domain, digest)
        if job.file_id not in found:
            self._refuse(job, found)
        job.md5_checked = True
        self._finish(job)

    def _refuse(self, job: Job, found: Sequence[int]) -> NoReturn:
        with self._guard:
            job.can_keep = not found
            if found:
                self._drop_files(job)
        if found:
            raise PeerFault(
                f"{job.file_name} is another file than the one that was asked for", code="download_wrong"
            )
        raise PeerFault(f"Nexus Mods does not list the MD5 of {job.file_name}", code="file_unlisted")

    def _finish(self, job: Job) -> None:
        """Give the file its name, say so, and only then show the download as done."""
        path = free_name(job.folder / job.file_name)
        try:
            job.target.replace(path)
        except OSError as error:
            raise SettingWrong(
                f"{path.name} cannot be saved: {error.strerror}",
                code="file_unwritable",
                facts={"path": str(path.parent)},
            ) from error
        job.path, job.can_keep = path, False
        try:
            self._on_done(job.shown())
        except KeyfobError as error:
            log.warning("a finished download was not noted as installed: %s", error.message)
        with self._guard:
            self._set(job, "done")

    # --- states ---------------------------------------------------------------------------------------------

    def _find(self, job_id: str) -> Job:
        found = [job for job in self._jobs if job.id.startswith(job_id)] if job_id else []
        if len(found) != 1:
            raise NotFound(f"There is no download {job_id[:20]}", code="download_not_found")
        return found[0]

    def _again(self, job: Job, account: str, link: NxmLink | None) -> None:
        job.account, job.can_keep = account, False
        job.link = link or job.link
        self._set(job, "waiting")

    def _stop(self, job: Job, wish: Wish) -> None:
        job.wish = wish
        job.stop.set()

    def _set(
        self, job: Job, state: DownloadState, problem: str | None = None, code: ErrorCode | None = None
    ) -> None:
        job.state, job.problem, job.code = state, problem, code
        job.at = datetime.now(UTC)

    def _forget(self, job: Job) -> None:
        if job.state != "done":
            self._drop_files(job)
        self._jobs = [each for each in self._jobs if each is not job]

    def _drop_files(self, job: Job) -> None:
        for path in job.files:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        job.fetched, job.received = False, 0

    def _changed(self, *, saved: bool = False) -> None:
        if saved:
            with self._guard:
                try:
                    self._file.write(self._jobs)
                except OSError as error:
                    log.warning("the list of downloads cannot be saved: %s", error.strerror)
        for observer in list(self._observers):
            observer()


def _expired(job: Job) -> Transient:
    page = job.shown().page
    return Transient("The download link has expired", code="nxm_link_expired", facts={"page": page})
