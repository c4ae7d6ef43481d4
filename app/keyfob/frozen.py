"""The entry point of the frozen app: one program under the names of all its commands.

The folder `bin/` beside it has a link for each name; on Windows there is a program for each. PyInstaller
starts this file; nothing else does.
"""

from __future__ import annotations

import os
import sys

from keyfob.process.own_process import without_bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def own_environment() -> None:
    """Take out what the bootloader set for this process's libraries. The system's loader has read it already,
    and what this process starts, also through Qt and other libraries, must not see it.
    """
    kept = without_bundle(os.environ)
    for name in [each for each in os.environ if each not in kept]:
        del os.environ[name]
    os.environ.update(kept)


def keep_modules() -> None:
    """Keep this app's modules readable while the process runs. A package manager puts a new version in the
    place of this one, and what is imported later would be read from there.
    """
    import fcntl

    archive = sys.modules["pyimod02_importers"].pyz_archive
    opened = os.open(archive._filename, os.O_RDONLY | os.O_CLOEXEC)  # noqa: SLF001  (PyInstaller has no way for this)
    kept = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 100)  # not a number that a caller may have closed
    os.close(opened)
    archive._filename = f"/proc/self/fd/{kept}"  # noqa: SLF001


def command(started_as: str) -> Callable[[], int]:
    """The `main` of the command that has this name; of `keyfob` for any other."""
    match os.path.basename(started_as).removesuffix(".exe"):  # noqa: PTH119  (on `keyfob token`'s fast path)
        case "git-credential-keyfob":
            from keyfob.cli import git_credential

            return git_credential.main
        case "docker-credential-keyfob":
            from keyfob.cli import docker_credential

            return docker_credential.main
        case "keyfob-keyring":
            from keyfob.cli import keyring_command

            return keyring_command.main
        case "keyfob-window":
            from keyfob import __main__

            return __main__.window_main
        case _:
            from keyfob import __main__

            return __main__.main


if __name__ == "__main__":
    own_environment()
    if sys.platform == "linux":
        keep_modules()
    sys.exit(command(sys.argv[0])())
