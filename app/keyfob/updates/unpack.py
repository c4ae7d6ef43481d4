"""Takes one version out of a bundle's archive, and nothing that would leave its folder.

The archive is verified before it comes here (`trusted`, `download`). This holds in any case: no member
outside of the folder, no link that leads outside, no hard link, device or pipe, no bits beyond rwxr-xr-x, a
limit on number and size. Blocks. Raises Fault `update_broken` and OSError, and leaves a folder for the caller
to remove.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from keyfob.core.errors import Fault
from keyfob.core.text import plain

START = "start-script"  # in a version's folder: for the bundle's root, once the version has started
FILES_MOST = 20_000
SIZE_MOST = 4 * 1000**3  # bytes, unpacked


def unpack(archive: Path, version: str, into: Path, check: Callable[[], None] = lambda: None) -> None:
    """Unpack `keyfob-<version>/versions/<version>/` of `archive` as the folder `into`, which is made, and the
    start script beside it as `START` in that folder. The rest of the archive is for new installations.
    Everything is on the disk when this returns. `check` is called between files and may raise.
    """
    within = PurePosixPath(f"keyfob-{version}/versions/{version}")
    start = PurePosixPath(f"keyfob-{version}/keyfob")
    _make_folder(into)
    folders = {PurePosixPath(".")}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            size = 0
            for number, member in enumerate(tar):
                check()
                size += member.size
                if number >= FILES_MOST or size > SIZE_MOST:
                    raise _broken("it is too large")
                name = _name_of(member)
                if name.is_relative_to(within):
                    _place(tar, member, name.relative_to(within), into, folders)
                elif name == start and member.isreg():
                    _place(tar, member, PurePosixPath(START), into, folders)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _broken(plain(error)) from error
    except OSError as error:
        if error.errno is None:  # gzip's own: a checksum that differs
            raise _broken(plain(error)) from error
        raise
    if not (into / "keyfob").is_file():
        raise _broken(f"it has no version {version}")
    for folder in folders:
        _sync(into / folder)


def _name_of(member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
        raise _broken(f"{plain(member.name)} is outside of its folder")
    return name


def _place(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    name: PurePosixPath,
    into: Path,
    folders: set[PurePosixPath],
) -> None:
    target = into / name
    if member.isdir():
        if name not in folders:
            _parent_of(name, folders, into)
            _make_folder(target)
            folders.add(name)
        return
    _parent_of(name, folders, into)
    if member.issym():
        to = posixpath.normpath(posixpath.join(name.parent, member.linkname))
        if member.linkname.startswith("/") or to == ".." or to.startswith("../"):
            raise _broken(f"the link {plain(member.name)} leads outside")
        target.symlink_to(member.linkname)
        return
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise _broken(f"{plain(member.name)} is neither a file nor a folder nor a link")
    mode = 0o755 if member.mode & 0o100 else 0o644
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with source, os.fdopen(handle, "wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
        os.fchmod(file.fileno(), mode)  # whatever the umask says
        file.flush()
        os.fsync(file.fileno())


def _parent_of(name: PurePosixPath, folders: set[PurePosixPath], into: Path) -> None:
    """Makes the folders above `name`. Only what was made as a folder here counts as one: nothing is written
    through a link of the archive.
    """
    for folder in reversed(name.parents):
        if folder not in folders:
            _make_folder(into / folder)
            folders.add(folder)


def _make_folder(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)  # whatever the umask says


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _broken(how: str) -> Fault:
    return Fault(f"The archive of the new version cannot be unpacked: {how}", code="update_broken")
