"""TXT records, asked of the system's resolvers: what atproto handles are proved with.

Called through the `dns_txt` argument of `protocol.atproto`. A small stub resolver (RFC 1035) over UDP, TCP for long
answers. It believes only an answer from the address and port that it asked, with its id and its question, and never
waits longer than DEADLINE in all. Where a system tells no resolvers (Windows), it finds nothing, and the handle is
proved over HTTPS instead.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
DEADLINE = 6.0  # seconds in all; a person is waiting
TRY_SECONDS = 2.0
_SERVERS_MOST = 3  # as the C library has it
_RECORDS_MOST = 100
_TXT, _CNAME, _IN = 16, 5, 1
_TRUNCATED, _RESPONSE, _RECURSION_WANTED = 0x0200, 0x8000, 0x0100

Server = tuple[str, int]


def txt_lookup(servers: Sequence[Server] | None = None) -> Callable[[str], tuple[str, ...]]:
    """A lookup over `servers` (address, port), by default the system's. The lookup returns the TXT records of a name,
    and nothing where there are none or nobody answers. It blocks for at most DEADLINE; thread-safe."""

    def lookup(name: str) -> tuple[str, ...]:
        deadline = time.monotonic() + DEADLINE
        try:
            question = _question(name)
        except ValueError:
            return ()
        for server in system_servers() if servers is None else servers:
            left = min(TRY_SECONDS, deadline - time.monotonic())
            if left <= 0:
                break
            try:
                return _ask(server, question, left)
            except (OSError, ValueError):
                continue  # silence, refusal or nonsense: the next one may know
        return ()

    return lookup


def system_servers(path: Path = RESOLV_CONF) -> tuple[Server, ...]:
    """The resolvers that the system is set up with; none where it does not say."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    found = [
        words[1] for words in (line.split() for line in lines) if len(words) > 1 and words[0] == "nameserver"
    ]
    return tuple((address, 53) for address in found[:_SERVERS_MOST])


def _question(name: str) -> bytes:
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise ValueError("not a name")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack("!HH", _TXT, _IN)


def _ask(server: Server, question: bytes, seconds: float) -> tuple[str, ...]:
    number = secrets.randbits(16)
    message = struct.pack("!HHHHHH", number, _RECURSION_WANTED, 1, 0, 0, 0) + question
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    deadline = time.monotonic() + seconds
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.connect(server)  # the kernel then drops what comes from elsewhere
        udp.send(message)
        while True:
            udp.settimeout(max(deadline - time.monotonic(), 0.001))
            answer = udp.recv(4096)
            if _is_answer(answer, number, question):
                break
            if time.monotonic() >= deadline:
                raise TimeoutError
    if struct.unpack_from("!H", answer, 2)[0] & _TRUNCATED:
        answer = _ask_tcp(server, family, message, max(deadline - time.monotonic(), 0.5))
        if not _is_answer(answer, number, question):
            raise ValueError("another answer")
    return _texts(answer, question)


def _ask_tcp(server: Server, family: int, message: bytes, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    with socket.socket(family, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(seconds)
        tcp.connect(server)
        tcp.sendall(struct.pack("!H", len(message)) + message)
        received = b""
        while len(received) < 2 or len(received) < 2 + struct.unpack_from("!H", received)[0]:
            tcp.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = tcp.recv(65_537)
            if not piece:
                raise ValueError("cut off")
            received += piece
    return received[2:]


def _is_answer(answer: bytes, number: int, question: bytes) -> bool:
    if len(answer) < 12 + len(question):
        return False
    told, flags, questions = struct.unpack_from("!HHH", answer)
    asked = answer[12 : 12 + len(question)]
    return told == number and flags & _RESPONSE and questions == 1 and asked.lower() == question.lower()


def _texts(answer: bytes, question: bytes) -> tuple[str, ...]:
    flags, _, count = struct.unpack_from("!HHH", answer, 2)
    code = flags & 0x000F
    if code == 3:  # there is no such name
        return ()
    if code != 0:
        raise ValueError("the resolver failed")
    owner, _ = _name(answer, 12)
    at = 12 + len(question)
    found: list[str] = []
    for _ in range(min(count, _RECORDS_MOST)):
        name, at = _name(answer, at)
        if at + 10 > len(answer):
            raise ValueError("cut off")
        kind, group, _, size = struct.unpack_from("!HHIH", answer, at)
        at += 10
        if at + size > len(answer):
            raise ValueError("cut off")
        if name == owner and group == _IN and kind == _CNAME:
            owner, _ = _name(answer, at)
        elif name == owner and group == _IN and kind == _TXT:
            found.append(_text(answer[at : at + size]))
        at += size
    return tuple(found)


def _text(data: bytes) -> str:
    """A TXT record's strings, put together (RFC 1035 §3.3.14)."""
    out, at = b"", 0
    while at < len(data):
        size = data[at]
        out += data[at + 1 : at + 1 + size]
        at += 1 + size
    return out.decode("utf-8", "replace")


def _name(message: bytes, at: int) -> tuple[bytes, int]:
    """A name and where it ends, pointers followed (RFC 1035 §4.1.4), lower case."""
    labels: list[bytes] = []
    end = -1
    for _ in range(128):  # a name has at most 127 labels; more is a pointer going round
        if at >= len(message):
            raise ValueError("cut off")
        size = message[at]
        if size >= 0xC0:
            if at + 1 >= len(message):
                raise ValueError("cut off")
            end = at + 2 if end < 0 else end
            at = (size & 0x3F) << 8 | message[at + 1]
        elif size == 0:
            return b".".join(labels).lower(), at + 1 if end < 0 else end
        else:
            labels.append(message[at + 1 : at + 1 + size])
            at += 1 + size
    raise ValueError("a name that does not end")
