"""The keeper's role passes to a new version of Keyfob without a request lost.

The process becomes the new version (execve(2)), and takes the listening socket with it: whoever connects in
between waits in the socket's queue until the new version answers. What was asked before is answered by the
old one first, and renewals in progress are finished. The process id stays, so systemd keeps its service.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from keyfob.core.errors import Usage
from keyfob.process.own_process import (
    CREDENTIAL,
    CREDENTIALS,
    become_another,
    child_environment,
)
from keyfob.updates.bundle import this_bundle

FILE = "KEYFOB_SOCKET_FILE"  # device and inode of the socket's file, if it is ours and not systemd's
SOCKET = 3  # the descriptor, as sd_listen_fds(3) has it


class Succession:
    """Thread-safe."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._kept: socket.socket | None = None
        self._file: tuple[int, int] | None = None

    @property
    def asked(self) -> bool:
        """Whether this process ends only to become the new version."""
        return self._asked.is_set()

    def ask(self) -> None:
        """The process is about to end for that."""
        self._asked.set()

    def keep(self, sock: socket.socket, file: tuple[int, int] | None) -> None:
        """Keep a listening socket open beyond the end of its server. `file`: of a socket that we bound."""
        self._kept, self._file = sock.dup(), file

    def become(self, arguments: Sequence[str]) -> None:
        """Replace this process by the version that is current now. Everything is finished and closed. Returns
        only if there is no such version, and raises OSError if it cannot be run.
        """
        bundle = this_bundle()
        if bundle is None:
            return
        environment = child_environment(os.environ)
        for name in ("LISTEN_PID", "LISTEN_FDS", FILE):
            environment.pop(name, None)
        if CREDENTIALS in os.environ:
            environment[CREDENTIALS] = os.environ[CREDENTIALS]  # it is us who read them again
        environment["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
        if self._kept is not None:
            environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
            if self._file is not None:
                environment[FILE] = f"{self._file[0]}:{self._file[1]}"
        become_another()
        sys.stdout.flush()
        sys.stderr.flush()
        if self._kept is not None:
            number = self._kept.detach()
            if number != SOCKET:
                os.dup2(number, SOCKET)
                os.close(number)
            os.set_inheritable(SOCKET, True)
        program = str(bundle.root / "keyfob")
        os.execve(program, [program, *arguments], environment)  # noqa: S606  (our own program, no shell)


def check_may_restart(sealed: bool) -> None:
    """Raises Usage if this process cannot become the new version by itself. `sealed`: tokens are in an
    encrypted file, whose passphrase the new version would have to be given again.
    """
    if this_bundle() is None:
        raise Usage(
            "This copy of Keyfob does not update itself",
            remedy="To use a newer version, stop the agent with `keyfob agent --stop` and start it again.",
        )
    folder = os.environ.get(CREDENTIALS)
    if sealed and not (folder and Path(folder, CREDENTIAL).exists()):
        raise Usage(
            "The new version needs the passphrase of the encrypted file",
            remedy="Stop the agent with `keyfob agent --stop`, and start it again.",
        )


def inherited_file() -> tuple[int, int] | None:
    """Device and inode of the socket's file that the version before has bound, for `handed_over`."""
    device, _, inode = os.environ.pop(FILE, "").partition(":")
    return (int(device), int(inode)) if device.isdecimal() and inode.isdecimal() else None
