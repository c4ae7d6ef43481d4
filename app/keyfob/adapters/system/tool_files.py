"""Other tools' plaintext files: reads them, changes them with a backup, and removes keys from them.

Called by the importer and by `wire`. A change is made completely or not at all. It never replaces a link,
keeps the file's permissions, overwrites no earlier backup, and is refused if somebody changed the file since
it was read. When keys are removed, every other byte stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.ports import BACKUP_SUFFIX, Blanked, ToBlank, file_changed
from keyfob.process.home import sync_folder

MOST_BACKUPS = 1000  # of one file


def read(path: Path, most: int | None = None) -> bytes | None:
    """The file's bytes, at most `most` of them; None if there is no such file. Raises SettingWrong if it
    cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(-1 if most is None else most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingWrong(f"{path} cannot be read: {error.strerror}") from None


def blank(jobs: Sequence[ToBlank]) -> list[Blanked]:
    """Replace the spans of each file by their fillers. Never raises: errors are in the result.

    Two paths that lead to one file (a link and its target) are one change.
    """
    done = []
    for real in dict.fromkeys(job.path.resolve() for job in jobs):
        same = [job for job in jobs if job.path.resolve() == real]
        try:
            done.append(Blanked(same[0].path, _blank(real, same)))
        except KeyfobError as error:
            done.append(Blanked(same[0].path, error=error))
        except OSError as error:
            wrong = SettingWrong(f"{real} cannot be changed: {error.strerror}. Nothing was changed in it")
            done.append(Blanked(same[0].path, error=wrong))
    return done


def _blank(real: Path, jobs: Sequence[ToBlank]) -> Path:
    before = read(real)
    if before is None or any(hashlib.sha256(before).hexdigest() != job.digest for job in jobs):
        raise file_changed(real)
    if real.stat().st_nlink > 1:
        # A new file takes only this name; the keys would stay under the other one.
        raise SettingWrong(
            f"{real} has a hard link, so Keyfob did not change it",
            code="file_linked",
        )
    pieces, at = [], 0
    for start, end, filler in sorted({(s.start, s.end, s.filler) for job in jobs for s in job.spans}):
        if not at <= start <= end <= len(before):
            raise SettingWrong(f"The keys in {real} overlap", code="keys_overlap")
        pieces += [before[at:start], filler]
        at = end
    return replace(real, before, b"".join([*pieces, before[at:]]))


def replace(real: Path, before: bytes, after: bytes, *, private: bool = True) -> Path:
    """Give an existing file new content and return its backup. `real` must not be a link; `private`: the
    backup is 0600, else it has the file's own permissions. Raises SettingWrong; then the file is as it was
    and there is no backup.
    """
    backup = None
    try:
        backup = _back_up(real, before)
        if not private:
            shutil.copymode(real, backup)
        sync_folder(real.parent)
        write_over(real, before, after)
    except BaseException as error:
        if backup is not None:
            backup.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SettingWrong(
                f"{real} cannot be changed: {error.strerror}. Nothing was changed in it"
            ) from None
        raise
    return backup


def create(path: Path, data: bytes, mode: int) -> None:
    """A new file. Raises OSError, FileExistsError if there is one by now; then nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(path, data)
    path.chmod(mode)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """No error if there is no such file. Raises OSError."""
    path.unlink(missing_ok=True)


def write_over(real: Path, before: bytes, after: bytes) -> None:
    """New content at once, with the file's own permissions. Raises OSError, or SettingWrong if it no longer
    holds `before`.
    """
    temporary = real.with_name(f".{real.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write_new(temporary, after)
        shutil.copystat(real, temporary)
        os.utime(temporary)
        if hasattr(os, "chown"):
            owner, now = real.stat(), temporary.stat()
            if (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
                os.chown(temporary, owner.st_uid, owner.st_gid)
                temporary.chmod(owner.st_mode & 0o7777)  # chown may clear bits
        if real.read_bytes() != before:
            raise file_changed(real)
        temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the change is made, and an error would say that it is not
        sync_folder(real.parent)


def _back_up(real: Path, data: bytes) -> Path:
    """A copy next to the file, under the first name that is free."""
    for number in range(1, MOST_BACKUPS):
        backup = real.with_name(real.name + BACKUP_SUFFIX + (f".{number}" if number > 1 else ""))
        with contextlib.suppress(FileExistsError):
            _write_new(backup, data)
            return backup
    raise OSError(errno.EEXIST, f"it already has {MOST_BACKUPS} backups")


def _write_new(path: Path, data: bytes) -> None:
    """A new file (0600), on disk before this returns. Never follows a link. Raises OSError; then nothing is
    left.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
