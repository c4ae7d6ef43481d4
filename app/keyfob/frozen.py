"""The entry point of the frozen app: one program under the names of all its commands.

The folder `bin/` beside it has a link for each name. PyInstaller starts this file; nothing else does.
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


def command(started_as: str) -> Callable[[], int]:
    """The `main` of the command that has this name; of `keyfob` for any other."""
    match os.path.basename(started_as):  # noqa: PTH119  (on the fast path of `keyfob token`)
        case "git-credential-keyfob":
            from keyfob.cli import git_credential

            return git_credential.main
        case "docker-credential-keyfob":
            from keyfob.cli import docker_credential

            return docker_credential.main
        case "keyfob-keyring":
            from keyfob.cli import keyring_command

            return keyring_command.main
        case _:
            from keyfob import __main__

            return __main__.main


if __name__ == "__main__":
    own_environment()
    sys.exit(command(sys.argv[0])())
