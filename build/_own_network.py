"""Starts Python in a separate network that has only loopback.

`build/test` runs each of its workers so: every worker has all ports to itself, and no test can leave the
machine. Root needs no more than the system's permission; another user gets a user namespace in which it keeps
its own id. Exits with 3, and starts nothing, if the system does not allow it.

_own_network.py ARGUMENTS...    as `python ARGUMENTS...`
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

NOT_ALLOWED = 3
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # netdevice(7)


def enter() -> None:
    """Move this process into a new network, with loopback up. Raises
    OSError if the system does not allow it.
    """
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if user != 0:
        # Without setgroups a process may map its own group; user_namespaces(7).
        for name, words in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with Path(f"/proc/self/{name}").open("w") as file:
                file.write(words)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        _, now = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", now | IFF_UP))


if __name__ == "__main__":
    try:
        enter()
    except (OSError, AttributeError):
        sys.exit(NOT_ALLOWED)
    # A new program drops what the user namespace allowed, so that a test is as free as its user and no freer.
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
