"""Finds the program that uses a loopback port, for the error message and
for `keyfob doctor`. A hint, never a decision.

Reads /proc on Linux. On other systems, and if the program belongs to another user, it returns nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from keyfob.core.text import plain

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN, as the kernel's tables print it


def who_holds(port: int, *, proc: Path = _PROC) -> str | None:
    """`node (process 4711)` for the listener on this TCP port, None if it is not known. Never raises."""
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in _processes(proc):
        if _has_socket(process, wanted):
            if process.name == str(os.getpid()):
                return f"Keyfob itself (process {process.name})"
            return f"{_name(process)} (process {process.name})"
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii", errors="replace").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING and fields[1].endswith(f":{port:04X}"):
                inodes.add(fields[9])
    return inodes - {"0"}


def _processes(proc: Path) -> list[Path]:
    try:
        return [entry for entry in proc.iterdir() if re.fullmatch(r"[0-9]+", entry.name)]
    except OSError:
        return []


def _has_socket(process: Path, wanted: set[str]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if str(descriptor.readlink()) in wanted:
                return True
        except OSError:
            continue
    return False


def _name(process: Path) -> str:
    try:
        return (
            plain((process / "comm").read_text(encoding="utf-8", errors="replace").strip(), 40) or "a program"
        )
    except OSError:
        return "a program"


__all__ = ["who_holds"]
