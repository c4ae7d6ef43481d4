"""Named locks over lock files: one holder at a time across threads and processes.

The keeper takes one for each account before it renews. The app takes one to be the only keeper. The system
frees a lock when its holder dies. The files are in a folder that every process of this user finds (not the
runtime folder, which a job outside the session may not see). They are never deleted, because then a waiter
and a newcomer could hold two files of one name.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from keyfob.adapters.store.turns import POLL, Turns, pause
from keyfob.core.errors import Fault
from keyfob.process.home import make_private

LOOKS = 2  # tries beyond the timeout's end, so that somebody's mere look is not taken for a hold
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class FileLocks:
    """ports.Locks. Thread-safe; one instance a process, since threads queue in it."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made (0700) if it is new. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "nt" and folder.stat().st_mode & 0o700 != 0o700:
            folder.chmod(0o700)  # a umask may take even our own rights away
        self._folder = folder
        self.turns = Turns()

    def hold(
        self, name: str, *, timeout: timedelta, cancel: threading.Event | None = None
    ) -> AbstractContextManager[None]:
        """Not reentrant: a thread that asks again for what it holds waits for itself, until `timeout`.
        Threads of this process are served in the order they came. Raises Fault if the file cannot be opened.
        """
        return self._hold(name, timeout.total_seconds(), cancel)

    @contextmanager
    def _hold(self, name: str, timeout: float, cancel: threading.Event | None) -> Iterator[None]:
        end = time.monotonic() + timeout
        with self.turns.turn(name, end, cancel):
            path = self._path(name)
            with suppress(OSError):  # which `_take` reports
                make_private(path)
            lock = FileLock(path, mode=0o600, preserve_lock_file=True, fallback_to_soft=False, blocking=False)
            tries = 0
            while not _take(lock):
                tries += 1
                # `held` of another process may be looking for a moment: one look does not make it busy.
                pause(end if tries > LOOKS else end + POLL * LOOKS, cancel)
            try:
                yield
            finally:
                lock.release()

    def held(self, name: str) -> bool:
        """Whether any process holds the lock now. It may have changed when this returns."""
        path = self._path(name)
        if not path.exists():
            return False
        return _is_held(path)

    def retire(self, name: str) -> None:
        """Remove the file of a lock that nobody needs again."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError:
            return  # an empty file that stays does no harm

    def _path(self, name: str) -> Path:
        """A readable file name that no two names share and none can lead out of the folder."""
        mark = hashlib.sha256(name.encode()).hexdigest()[:12]
        return self._folder / f"{_UNSAFE.sub('-', name)[:60].strip('.')}-{mark}.lock"


def _take(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    except OSError as error:
        raise Fault(f"A lock file cannot be opened: {error.strerror}", code="store_unwritable") from error
    return True


if sys.platform == "win32":  # pragma: no cover

    def _is_held(path: Path) -> bool:
        probe = FileLock(path, mode=0o600, preserve_lock_file=True, fallback_to_soft=False, blocking=False)
        if _take(probe):
            probe.release()
            return False
        return True

else:
    import fcntl

    def _is_held(path: Path) -> bool:
        """A shared lock for an instant: lookers never see each other, only a holder."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False
