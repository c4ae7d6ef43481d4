"""The downloads as the faces see them: run by this process if it is their owner, else by the process that is.

Blocks; thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keyfob.core.errors import Transient, Usage
from keyfob.nexus.downloads import Downloads
from keyfob.nexus.models import DownloadItem
from keyfob.nexus.owner import NoOwnerError, Owner, ask
from keyfob.nexus.queue import QueueFile, item_from, row_of_item
from keyfob.nexus.site import Site

# Carries out a request of another process: `add` or `open`.
Serve = Callable[[Mapping[str, Any]], DownloadItem]
Done = Callable[[DownloadItem], None]


class Transfers:
    """`serve` adds a download for another process. `on_done` is called once a file is there."""

    def __init__(
        self, state: Path, env: Mapping[str, str], sites: Callable[[str], Site], serve: Serve, on_done: Done
    ) -> None:
        self._state, self._env = state, env
        self._sites, self._serve, self._on_done = sites, serve, on_done
        self._owner = Owner(state, env, self._served)
        self._local: Downloads | None = None
        self._guard = threading.RLock()
        self._observers: list[Callable[[], None]] = []

    # --- who runs them --------------------------------------------------------------------------------------

    def take(self, *, start: bool = True) -> bool:
        """Run the downloads in this process, if no other one does. `start`: go on with what is waiting."""
        with self._guard:
            if not self._owner.take():
                return False
            if self._local is None:
                self._local = Downloads(self._state, self._sites, self._on_done)
                self._local.observe(self._notify)
            if start:
                self._local.start()
        return True

    @property
    def own(self) -> bool:
        """Whether this process runs them."""
        return self._owner.held

    def release(self) -> None:
        """Stop what runs here, and let another process go on with it."""
        with self._guard:
            local, self._local = self._local, None
        if local is not None:
            local.close()
        self._owner.release()

    def observe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer`, on a download's thread, when a download of this process changed. Those of another
        process are seen by asking `items` from time to time. Returns what ends that.
        """
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _notify(self) -> None:
        for observer in list(self._observers):
            observer()

    # --- the downloads --------------------------------------------------------------------------------------

    def items(self) -> list[DownloadItem]:
        """All downloads, the oldest first."""
        local = self._local
        if local is not None:
            return local.items()
        try:
            answer = ask(self._env, {"do": "list"})
            return [item_from(row) for row in answer["downloads"]]
        except (NoOwnerError, KeyError, TypeError, ValueError):
            return [job.shown() for job in QueueFile(self._state).read()]

    def add(self, request: Mapping[str, Any], here: Callable[[Downloads], DownloadItem]) -> DownloadItem:
        """Add a download: by `here` if this process is the owner or becomes it, else by sending `request` to
        the owner.
        """
        if not self.own:
            try:
                return item_from(ask(self._env, request)["download"])
            except NoOwnerError:
                self.take()
        return here(self.local())

    def pause(self, job_id: str) -> None:
        """Pause one. Raises NotFound `download_not_found`, as do the others."""
        self._do("pause", job_id)

    def resume(self, job_id: str) -> None:
        """Continue one that is paused or stopped, here if no process runs the downloads."""
        self._do("resume", job_id)

    def keep(self, job_id: str) -> None:
        """Keep a file whose MD5 the site does not list."""
        self._do("keep", job_id)

    def cancel(self, job_id: str) -> None:
        """End one, and delete what was received of it."""
        self._do("cancel", job_id)

    def clear(self) -> None:
        """Take the finished ones out of the list."""
        self._do("clear", "")

    def local(self) -> Downloads:
        """The downloads of this process. Raises Usage if another process runs them."""
        local = self._local
        if local is None:
            raise Usage("Another process runs the downloads")
        return local

    def _do(self, what: str, job_id: str) -> None:
        if not self.own:
            try:
                ask(self._env, {"do": what, "id": job_id})
            except NoOwnerError:
                lasting = what == "resume"
                if not self.take(start=lasting):
                    raise Transient("Another process is about to run the downloads", code="busy") from None
                try:
                    self._here(what, job_id)
                finally:
                    if not lasting:
                        self.release()
            return
        self._here(what, job_id)

    def _here(self, what: str, job_id: str) -> None:
        local = self.local()
        match what:
            case "pause":
                local.pause(job_id)
            case "resume":
                local.resume(job_id)
            case "keep":
                local.keep(job_id)
            case "cancel":
                local.cancel(job_id)
            case "clear":
                local.clear()
            case _:
                raise Usage("Keyfob does not know this request")

    # --- for other processes --------------------------------------------------------------------------------

    def _served(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        what = str(asked.get("do"))
        if what == "list":
            return {"downloads": [row_of_item(each) for each in self.local().items()]}
        if what in ("add", "open"):
            return {"download": row_of_item(self._serve(asked))}
        self._here(what, str(asked.get("id", "")))
        return {}
