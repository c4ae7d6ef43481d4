"""The file that a download is collected in, `NAME.part`, and the note beside it that lets it continue.

The note, `NAME.part.json`, has what the server called this version of the file (its ETag or date) and what
was expected of it. Without a note that fits, what was received before is dropped. Used by `download` alone,
by one thread.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from keyfob.core.amounts import size_text
from keyfob.core.errors import KeyfobError, SettingWrong, Transient
from keyfob.process.home import sync_folder

_PIECE = 1024 * 1024  # bytes
_FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


@dataclass(frozen=True, slots=True)
class Note:
    """What a part belongs to. `validator`: for If-Range (RFC 9110 §13.1.5), None if the server gave none."""

    sha256: str | None
    size: int | None
    validator: str | None = None


class PartFile:
    """Open for writing, and locked against other processes where the system can do that."""

    def __init__(self, file: BinaryIO, target: Path, wanted: Note) -> None:
        self._file = file
        self._target = target
        self._wanted = wanted
        self._note_path = target.with_name(f"{target.name}.part.json")
        self._hash = hashlib.sha256()
        self.received = 0
        self.validator: str | None = None
        self._take_over()

    def restart(self, validator: str | None) -> None:
        """Drop what was received. `validator`: what the server calls the version that comes now."""
        self._note_path.unlink(missing_ok=True)  # first: an old note never stands beside new data
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.received = 0
        self.validator = validator
        note = Note(self._wanted.sha256, self._wanted.size, validator)
        self._note_path.write_text(json.dumps(asdict(note)), "utf-8")

    def make_room(self, more: int) -> None:
        """Raises SettingWrong `disk_full` if `more` bytes do not fit on the disk."""
        free = shutil.disk_usage(self._target.parent).free
        if more > free:
            raise SettingWrong(
                f"There is too little space in {self._target.parent}: "
                f"{size_text(more)} are needed and {size_text(free)} are free",
                code="disk_full",
                facts={"path": str(self._target.parent)},
            )

    def write(self, piece: bytes) -> None:
        """Append `piece`. Raises OSError."""
        self._file.write(piece)
        self._hash.update(piece)
        self.received += len(piece)

    def digest(self) -> str:
        """SHA-256 of all that was received, in hex."""
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Give the file its name. On disk when this returns. Raises OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if os.name == "nt":
            self._file.close()  # an open file cannot be renamed there
        self._path.replace(self._target)
        self._note_path.unlink(missing_ok=True)
        with suppress(OSError):  # some file systems cannot
            sync_folder(self._target.parent)

    def drop(self) -> None:
        """Delete it."""
        self._note_path.unlink(missing_ok=True)
        if os.name == "nt":
            self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def checked(self) -> bool:
        """Whether a checksum will show that two parts do not belong together."""
        return self._wanted.sha256 is not None

    @property
    def _path(self) -> Path:
        return _part_of(self._target)

    def _take_over(self) -> None:
        note = _read_note(self._note_path)
        fits = note is not None and (note.sha256, note.size) == (self._wanted.sha256, self._wanted.size)
        if note is None or not fits or (note.validator is None and self._wanted.sha256 is None):
            self._file.truncate(0)
            return
        self.validator = note.validator
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._hash.update(piece)
            self.received += len(piece)


@contextmanager
def opened_part(target: Path, wanted: Note) -> Iterator[PartFile]:
    """The part of `target`, with what an earlier download left if that fits `wanted`.

    Raises SettingWrong `disk_full` and `file_unwritable`, also for an OSError of the block, and Transient
    `download_running` if another process has it open.
    """
    path = _part_of(target)
    try:
        handle = os.open(
            path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666
        )
        with os.fdopen(handle, "r+b") as file:
            _lock(file, target)
            part = PartFile(file, target, wanted)
            yield part
    except KeyfobError:
        raise
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        with suppress(OSError):  # nothing was received: nothing to continue
            if path.stat().st_size == 0:
                path.unlink()
                target.with_name(f"{target.name}.part.json").unlink(missing_ok=True)


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _lock(file: BinaryIO, target: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: the second one's rename fails, as the file is open
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            return  # a file system without locks
        raise Transient(f"{target.name} is being downloaded already", code="download_running") from None


def _read_note(path: Path) -> Note | None:
    try:
        data = json.loads(path.read_text("utf-8"))
        note = Note(data["sha256"], data["size"], data["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = all(isinstance(each, str | None) for each in (note.sha256, note.validator))
    return note if texts and isinstance(note.size, int | None) else None


def disk_error(error: OSError, target: Path) -> SettingWrong:
    """What an error of the disk means for a file that is written: `disk_full` or `file_unwritable`."""
    folder = str(target.parent)
    if error.errno in _FULL:
        return SettingWrong(f"The disk with {folder} is full", code="disk_full", facts={"path": folder})
    return SettingWrong(
        f"{target.name} cannot be saved in {folder}: {error.strerror}",
        code="file_unwritable",
        facts={"path": folder},
    )
