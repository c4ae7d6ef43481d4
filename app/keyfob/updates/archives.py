"""Unpacks archives from the network: only what stays inside the folder, and no more than `BYTES_MOST`.

A member that leads out of the folder, a link that does, a device and an archive that grows without end are
refused, never repaired. Raises PeerFault `archive_unusable` for these and for a damaged archive, and OSError
for the disk. Blocks.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from keyfob.core.errors import PeerFault
from keyfob.core.text import plain

BYTES_MOST = 4 * 1024**3  # of an unpacked archive
MEMBERS_MOST = 100_000
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive that can be unpacked."""
    return name.lower().endswith((*_TARS, ".zip"))


def unpack_file(archive: Path, member: str, to: Path) -> None:
    """Write one file of the archive to `to`."""
    with _faults(archive):
        if archive.name.lower().endswith(".zip"):
            _file_of_zip(archive, member, to)
        else:
            _file_of_tar(archive, member, to)


def unpack_all(archive: Path, folder: Path) -> None:
    """Unpack into `folder`, which must not exist."""
    folder.mkdir(parents=True)
    with _faults(archive):
        if archive.name.lower().endswith(".zip"):
            _all_of_zip(archive, folder)
        else:
            _all_of_tar(archive, folder)


def _file_of_tar(archive: Path, member: str, to: Path) -> None:
    with tarfile.open(archive) as opened:
        for number, info in enumerate(opened):
            if number >= MEMBERS_MOST:
                break
            if str(PurePosixPath(info.name)) != member:
                continue
            if not info.isreg() or info.size > BYTES_MOST:
                raise _unusable(archive, f"{member} is not a file in it")
            found = opened.extractfile(info)
            assert found is not None
            _copy(found, to, archive)
            return
    raise _unusable(archive, f"{member} is not in it")


def _file_of_zip(archive: Path, member: str, to: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        try:
            info = opened.getinfo(member)
        except KeyError:
            raise _unusable(archive, f"{member} is not in it") from None
        if info.is_dir() or _is_link(info):
            raise _unusable(archive, f"{member} is not a file in it")
        with opened.open(info) as found:
            _copy(found, to, archive)


def _all_of_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        size = 0
        for number, info in enumerate(opened):
            size += info.size
            _bound(archive, number, size)
            if info.name.startswith("/"):
                raise _unusable(archive, f"{plain(info.name, 80)} leads out of the folder")
            # Refuses names and links that lead out of the folder, and devices; takes rights away.
            opened.extract(info, folder, filter="data")


def _all_of_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        size = 0
        for number, info in enumerate(opened.infolist()):
            size += info.file_size
            _bound(archive, number, size)
            parts = PurePosixPath(info.filename.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in info.filename or _is_link(info):
                raise _unusable(archive, f"{plain(info.filename, 80)} leads out of the folder")
            path = folder / parts
            if info.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as found:
                _copy(found, path, archive)
            rights = info.external_attr >> 16 & 0o777
            path.chmod(rights or 0o644)


def _bound(archive: Path, members: int, size: int) -> None:
    if members >= MEMBERS_MOST or size > BYTES_MOST:
        raise _unusable(archive, "it is too large")


def _copy(source: IO[bytes], to: Path, archive: Path) -> None:
    """At most BYTES_MOST, whatever the archive says about its sizes."""
    left = BYTES_MOST
    with to.open("wb") as file:
        while piece := source.read(min(1024 * 1024, left + 1)):
            left -= len(piece)
            if left < 0:
                raise _unusable(archive, "it is too large")
            file.write(piece)


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)


@contextmanager
def _faults(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
    ) as error:
        raise _unusable(archive, f"it is damaged ({type(error).__name__})") from error


def _unusable(archive: Path, how: str) -> PeerFault:
    return PeerFault(
        f"The archive {plain(archive.name, 80)} cannot be used: {how}. Nothing was installed",
        code="archive_unusable",
    )
