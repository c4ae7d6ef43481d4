"""Files with a fresh token for a command that runs for long: `keyfob exec --token-file`, `--id-token-file`.

For programs that read a token from a file, and read it again later. This is the one case in which Keyfob
writes a token outside of the keychain: in memory if the system has a folder there, readable by this user
alone, and only while the command runs. What a killed process left behind is removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path

from filelock import FileLock, Timeout

from keyfob.cli.remedies import sentence
from keyfob.cli.session import Session
from keyfob.cli.token_source import Lease, id_token, lease
from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.core.min_life import USUAL
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339
from keyfob.process import paths
from keyfob.process.home import ours_alone
from keyfob.tools.commands import variable_of

LOOK = 15.0  # seconds between looks at the token: another process may have renewed it
LOOK_LEAST = 1.0
LOOK_MOST = 300.0  # seconds, after errors
AHEAD = 150.0  # seconds before its end that a token is replaced: programs keep what they read for a minute
SHARE = 0.20  # of the time it has left, for a token that does not live so long
PREFIX = "exec-"


@dataclass(frozen=True, slots=True)
class WantedFile:
    """What one option asks for. `variable` gets the file's path; None for the usual name."""

    ref: str
    variable: str | None
    id_token: bool = False

    def get(self, session: Session, min_life: float | None = None) -> Lease:
        """A token for the file. Blocks. Raises a KeyfobError."""
        if not self.id_token:
            return lease(session, self.ref, min_life=min_life)
        found = id_token(session, self.ref)
        ends = from_rfc3339(found["expires_at"])
        return Lease(found["account"], Secret(found["token"]), found["token_type"], ends)

    def variable_for(self, found: Lease) -> str:
        """The variable that gets the path: GITHUB_TOKEN_FILE, GITHUB_ID_TOKEN_FILE."""
        usual = variable_of(found.provider)
        if self.id_token:
            usual = usual.removesuffix("TOKEN") + "ID_TOKEN"
        return self.variable or f"{usual}_FILE"


class TokenFile:
    """One file. Not thread-safe."""

    def __init__(self, wanted: WantedFile, path: Path, found: Lease, now: Callable[[], datetime]) -> None:
        self.path = path
        self._wanted = wanted
        self._now = now
        self._show(found)

    def refresh(self, session: Session) -> Secret | None:
        """Replace the token if there is a newer one, or if it ends soon. Returns the new one. Blocks. Raises
        a KeyfobError; the file stays as it was then.
        """
        found = self._wanted.get(session, self._ahead if self._ahead > USUAL else None)
        if found.token == self._token:
            return None
        self._show(found)
        return found.token

    def _show(self, found: Lease) -> None:
        _write(self.path, found.token)
        self._token = found.token
        self._ends = found.expires_at
        self._ahead = min(AHEAD, self._left * SHARE)

    @property
    def _left(self) -> float:
        """Seconds until the token ends; infinite for a key."""
        return inf if self._ends is None else (self._ends - self._now()).total_seconds()

    @property
    def due(self) -> float:
        """Seconds until the token should be replaced; negative if it is late."""
        return self._left - self._ahead


class TokenFiles:
    """The files of one run, in a folder of their own. They are there, and kept fresh, while in `with`.
    `renewed` is called with each new token.
    """

    def __init__(self, session: Session, run: Path, renewed: Callable[[Secret], object]) -> None:
        self._session = session
        self._base = Path(paths.memory_folder(os.environ) or run)
        self._renewed = renewed
        self._name = f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
        self._lock = FileLock(self._base / f"{self._name}.lock")
        self._files: list[TokenFile] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="token-files")

    @property
    def folder(self) -> Path:
        """Where the files are (0700)."""
        return self._base / self._name

    def __enter__(self) -> TokenFiles:
        try:
            # No other process takes our new folder for one that was left behind.
            with FileLock(self._base / f"{PREFIX}all.lock", mode=0o600):
                _sweep(self._base)
                self._lock.acquire(timeout=0)
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            self._remove()
            raise _unwritable(error) from error
        return self

    def add(self, wanted: WantedFile, found: Lease) -> Path:
        """A file with this token, which `start` keeps fresh. Raises SettingWrong `file_unwritable`."""
        path = self.folder / f"token-{len(self._files) + 1}"
        self._files.append(TokenFile(wanted, path, found, self._session.now))
        return path

    def start(self) -> None:
        """Keep the files fresh, on a thread."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()  # a renewal that has begun is not cut off
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):  # another process has just removed it
            Path(self._lock.lock_file).unlink()

    def _keep_fresh(self) -> None:
        pause, said = self._pause(), ""
        while not self._ended.wait(pause):
            try:
                for each in self._files:
                    token = each.refresh(self._session)
                    if token is not None:
                        self._renewed(token)
            except KeyfobError as error:
                pause = min(pause * 2, LOOK_MOST)
                problem = f"keyfob: The token file cannot be kept fresh: {sentence(error)}"
                if problem != said:  # once, not each time
                    self._session.note(problem)
                said = problem
            else:
                pause, said = self._pause(), ""

    def _pause(self) -> float:
        """Seconds until the next look."""
        return min(LOOK, max(LOOK_LEAST, min(each.due for each in self._files)))


def _sweep(base: Path) -> None:
    """Removes what killed processes left: nobody holds their locks any more."""
    for lock in base.glob(f"{PREFIX}*-*.lock"):
        with suppress(Timeout, OSError), FileLock(lock, timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()


def _write(path: Path, token: Secret) -> None:
    """Replaces the file at once (0600), so that no program reads half of it. Raises SettingWrong."""
    fresh = path.with_name(f".{path.name}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            ours_alone(handle)
            file.write(token.reveal().encode())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> SettingWrong:
    return SettingWrong(f"The token file cannot be written: {error.strerror}", code="file_unwritable")
