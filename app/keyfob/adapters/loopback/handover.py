"""Hands a loopback port from an attempt that has ended to the next one, also between processes.

An ended attempt keeps its port for some minutes, to answer a browser that comes late. It gives the port to
whoever asks: `GET /give-way` from this computer. The request carries nothing, and a live attempt refuses it.
So the most that a stranger gets by it is a late page that is gone.
"""

from __future__ import annotations

import contextlib
import socket

GIVE_WAY_PATH = "/give-way"
_ANSWER_WITHIN = 0.5  # seconds; another program on the port may never answer


def hosts_at(port: int, *hosts: str) -> frozenset[str]:
    """The Host values (RFC 9110 §7.2) that name `hosts`, or any name of loopback, at this port."""
    names = hosts or ("127.0.0.1", "localhost", "[::1]")
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())


def ask_to_give_way(port: int) -> bool:
    """Ask whoever listens on this port; True if it was an attempt that has ended, whose port is free within a
    second. Blocks for a second at most; never raises.
    """
    # Both are asked: different attempts may listen on them.
    answers = [_asked(address, port) for address in ("127.0.0.1", "::1")]
    return any(answers)


def _asked(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), _ANSWER_WITHIN) as peer:
        peer.settimeout(_ANSWER_WITHIN)
        peer.sendall(f"GET {GIVE_WAY_PATH} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode("ascii"))
        return peer.recv(64).startswith(b"HTTP/1.1 204 ")
    return False


__all__ = ["GIVE_WAY_PATH", "ask_to_give_way", "hosts_at"]
