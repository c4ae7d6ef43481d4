"""The home: the folders with everything that Keyfob keeps on disk, and the id that keeps two homes apart.

Folders are 0700 and files 0600, whatever the umask. A folder that belongs to another user is refused. Called
by each entry point, and by tests. It contains no secret, and never changes the process's umask (programs that
Keyfob starts would inherit it).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keyfob.core.errors import Fault, SettingWrong
from keyfob.process import paths

_ID = re.compile(r"[0-9a-f]{32}\Z")


# Files in `state` that earlier versions wrote and no version reads any more.
LEFT_BEHIND = ("presets.json",)


@dataclass(frozen=True, slots=True)
class Home:
    """Absolute paths. `id` is random, made once, and part of every keychain entry's name."""

    root: Path
    config: Path
    data: Path
    state: Path
    run: Path
    log: Path
    id: str


def open_home(env: Mapping[str, str] = os.environ) -> Home:
    """The home, made if it is new. Safe when several processes start at once.

    KEYFOB_HOME puts all under one folder, else platformdirs decides. Wider modes of our own folders are
    repaired, and files that only earlier versions used are removed. Raises SettingWrong `home_unusable` for a
    folder that is somebody else's or cannot be made.
    """
    where = paths.folders(env)
    try:
        if env.get("KEYFOB_HOME"):
            root = where["root"]
            # KEYFOB_HOME=/tmp by mistake must not close /tmp: only what is ours or empty is repaired.
            ours = Path(where["data"], "home-id").exists()
            paths.own_folder(root, repair=ours or (Path(root).is_dir() and not any(Path(root).iterdir())))
        for part in paths.PARTS:
            paths.own_folder(where[part])
        identity = _identity(Path(where["data"], "home-id"))
        for name in LEFT_BEHIND:
            with suppress(OSError):  # on a disk that cannot be written it stays, and does no harm
                Path(where["state"], name).unlink()
    except (OSError, paths.NotOursError) as error:
        reason = (
            str(error) if isinstance(error, paths.NotOursError) else f"{error.filename}: {error.strerror}"
        )
        raise SettingWrong(
            f"Keyfob cannot use its folder: {reason}",
            code="home_unusable",
        ) from error
    return Home(**{name: Path(path) for name, path in where.items()}, id=identity)


def socket_path(home: Home, env: Mapping[str, str] = os.environ) -> Path:
    """The agent's socket; see `paths.socket_file`. Raises SettingWrong if the short folder is another's."""
    try:
        return Path(paths.socket_file(env, str(home.run)))
    except (OSError, paths.NotOursError) as error:
        raise SettingWrong(
            f"There is no safe folder for the agent's socket: {error}",
            code="socket_unusable",
        ) from error


def write_private(path: Path, data: bytes) -> None:
    """Replace a file's whole content at once (0600), on disk before this returns. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            ours_alone(handle)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def ours_alone(handle: int) -> None:
    """0600, also under a umask that takes even our own rights away."""
    if os.name != "nt":
        os.fchmod(handle, 0o600)


def make_private(path: Path) -> None:
    """An empty file when there is none, and 0600 in any case. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # Never opened here: closing it would drop the locks that this process holds on it.
        if os.name != "nt" and path.stat().st_mode & 0o777 != 0o600:
            path.chmod(0o600)
        return
    ours_alone(handle)
    os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, if the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _identity(path: Path) -> str:
    if not path.exists():
        fresh = path.with_name(f".home-id.{os.getpid()}.{os.urandom(4).hex()}")
        write_private(fresh, os.urandom(16).hex().encode())
        try:
            # A link never replaces: of two processes that start at once, both take the first one's id.
            os.link(fresh, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            if not path.exists():
                fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        sync_folder(path.parent)
    text = path.read_text("ascii", errors="replace").strip()
    if not _ID.match(text):
        # A new id would hide every secret in the keychain: raise, do not repair it silently.
        raise Fault(
            f"{path} is damaged",
            code="home_id_damaged",
        )
    return text
