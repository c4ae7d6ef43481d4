"""The paths of Keyfob's folders and of the agent's socket, as plain text.

Called by `home.py` and by the client's fast path, so it imports only `os` and `sys`. `platformdirs` is loaded
only if needed. Nothing here touches the disk except `socket_file`, which creates the short folder that a long
path needs. Two processes of one user always get the same answer, whatever started them.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `collections` alone is a tenth of an interpreter's start
    from collections.abc import Mapping

PARTS = ("config", "data", "state", "run", "log")
# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing zero.
SOCKET_PATH_MOST = 100  # bytes


class NotOursError(Exception):
    """A folder that should be ours alone belongs to somebody else, or
    is not a folder. The text says which.
    """


def folders(env: Mapping[str, str]) -> dict[str, str]:
    """Absolute paths of `root` and each of PARTS. `env` decides by KEYFOB_HOME; platformdirs reads the
    process's own environment.
    """
    home = env.get("KEYFOB_HOME")
    if home:
        root = os.path.abspath(os.path.expanduser(home))
        return {"root": root, **{part: os.path.join(root, part) for part in PARTS}}
    import platformdirs

    dirs = platformdirs.PlatformDirs("keyfob", appauthor=False)
    return {
        "root": dirs.user_data_dir,
        "config": dirs.user_config_dir,
        "data": dirs.user_data_dir,
        "state": dirs.user_state_dir,
        "run": run_folder(env),
        "log": dirs.user_log_dir,
    }


def downloads_folder(env: Mapping[str, str]) -> str:
    """Where downloads go that the user has chosen no folder for: below KEYFOB_HOME, else the system's own."""
    home = env.get("KEYFOB_HOME")
    if home:
        return os.path.join(os.path.abspath(os.path.expanduser(home)), "downloads")
    import platformdirs

    return platformdirs.user_downloads_dir()


def run_folder(env: Mapping[str, str]) -> str:
    """The folder of the agent's socket. A job without XDG_RUNTIME_DIR
    (cron, sudo) finds the session's own.
    """
    home = env.get("KEYFOB_HOME")
    if home:
        return os.path.join(os.path.abspath(os.path.expanduser(home)), "run")
    if sys.platform not in ("win32", "darwin"):
        for runtime in (env.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}"):
            if runtime and os.path.isabs(runtime) and _is_ours(runtime):
                return os.path.join(runtime, "keyfob")
    import platformdirs

    return os.path.join(platformdirs.user_state_dir("keyfob", appauthor=False), "run")


def memory_folder(env: Mapping[str, str]) -> str | None:
    """A folder in memory for files that hold a secret for a while, made here (0700); None if this system has
    none.
    """
    if sys.platform in ("win32", "darwin"):
        return None
    uid = os.getuid()
    found = []
    for runtime in (env.get("XDG_RUNTIME_DIR"), f"/run/user/{uid}"):
        if runtime and os.path.isabs(runtime) and _is_ours(runtime):
            found.append(os.path.join(runtime, "keyfob-files"))
    if os.path.isdir("/dev/shm"):  # noqa: S108
        found.append(f"/dev/shm/keyfob-files-{uid}")  # noqa: S108  its owner is checked below
    for path in found:
        try:
            own_folder(path, follow=False)
        except (OSError, NotOursError):
            continue
        return path
    return None


def socket_file(env: Mapping[str, str], run: str | None = None) -> str:
    """The agent's socket: $KEYFOB_SOCK, else `agent.sock` in the run folder, else, where that is too long for
    a socket, in a short private folder that is created here (0700). Raises NotOursError if that one is
    another's.
    """
    named = env.get("KEYFOB_SOCK")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    run = run_folder(env) if run is None else run
    path = os.path.join(run, "agent.sock")
    if len(os.fsencode(path)) <= SOCKET_PATH_MOST:
        return path
    import hashlib

    mark = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    runtime = env.get("XDG_RUNTIME_DIR", "")
    short = os.path.join(runtime, f"keyfob-{mark}")
    if not (
        os.path.isabs(runtime)
        and _is_ours(runtime)
        and len(os.fsencode(short)) <= SOCKET_PATH_MOST - len("/agent.sock")
    ):
        uid = os.getuid() if hasattr(os, "getuid") else 0
        # The name is guessable on purpose (client and agent must agree), so its owner is checked below.
        short = f"/tmp/keyfob-{uid}-{mark}"  # noqa: S108
    own_folder(short, follow=False)
    return os.path.join(short, "agent.sock")


def own_folder(path: str, *, follow: bool = True, repair: bool = True) -> None:
    """Make `path` (and its parents) a folder that only we may enter. Raises NotOursError if it is another's,
    OSError if it cannot be made. `follow=False` refuses a symbolic link; `repair=False` leaves wider modes
    alone.
    """
    if os.path.dirname(path) != path:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    made = True
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        made = False
    found = os.stat(path) if follow else os.lstat(path)
    if not made and (found.st_mode & 0o170000) != 0o040000:
        raise NotOursError(f"{path} is not a folder")
    if hasattr(os, "geteuid"):
        if found.st_uid != os.geteuid():
            raise NotOursError(f"{path} belongs to another user")
        if (repair or made) and found.st_mode & 0o777 != 0o700:
            os.chmod(path, 0o700)


def _is_ours(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.getuid()
    except OSError:
        return False
