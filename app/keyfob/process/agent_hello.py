"""How an agent that listens on a port proves its identity before a client sends it the key or a secret.

The port and the key are in a file that only the user's programs can read. A killed agent leaves the file
behind, and any program may take its port. So a client first sends a challenge, and the agent answers with an
HMAC of it under the key. Only then does the client send the key. Both sides are here. Unix sockets need
neither.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
from typing import Protocol

TARGET = "/v1/hello"
_WITHIN = 5.0  # seconds
_ANSWER_MOST = 4096  # bytes
_CHALLENGE = 32  # hexadecimal characters
_HEX = frozenset("0123456789abcdef")


class Connected(Protocol):
    """What is needed of a socket, of Python's or of the bare module's."""

    def settimeout(self, seconds: float | None, /) -> None:
        """How long each `send` and `recv` may take, in seconds; None: for ever."""

    def send(self, data: bytes, /) -> int:
        """Send some of `data`; how many bytes that were. Raises OSError."""

    def recv(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end. Raises OSError."""


def proof(key: str, port: int, challenge: str) -> str | None:
    """What the agent at `port` answers to a challenge; None for what is not one."""
    if len(challenge) != _CHALLENGE or not set(challenge) <= _HEX:
        return None
    # The port: an agent proves its own address, so that no other program can reuse the proof.
    return hmac.digest(key.encode(), f"keyfob agent hello\n{port}\n{challenge}".encode(), "sha256").hex()


def proves_itself(sock: Connected, port: int, key: str) -> bool:
    """Whether the other end of this new connection knows the key. The connection can be used afterwards.
    Blocks for at most a few seconds; raises OSError.
    """
    challenge = os.urandom(_CHALLENGE // 2).hex()
    sock.settimeout(_WITHIN)
    request = f"GET {TARGET}?challenge={challenge} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    while request:
        request = request[sock.send(request) :]
    wanted = proof(key, port, challenge)
    raw = b""
    while len(raw) < _ANSWER_MOST:
        head, blank, body = raw.partition(b"\r\n\r\n")
        if blank and len(body) >= _length(head):
            return head.startswith(b"HTTP/1.1 200 ") and hmac.compare_digest(_proof_in(body), str(wanted))
        chunk = sock.recv(_ANSWER_MOST)
        if not chunk:
            return False
        raw += chunk
    return False


def is_agent(port: int, key: str) -> bool:
    """Whether the agent that has this key listens at this port. Blocks for at most a few seconds; never
    raises.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(1)
        try:
            sock.connect(("127.0.0.1", port))
            return proves_itself(sock, port, key)
        except OSError:
            return False


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


def _proof_in(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    found = answer.get("proof") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found.isascii() else ""
