"""TXT lookups over the system's resolvers, against a small server on loopback."""

from __future__ import annotations

import io
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from dns.resolver import Resolver
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.adapters.network import dns
from keyfob.adapters.network.dns import txt_lookup

pytestmark = pytest.mark.network

NAME = "_atproto.alice.example.com"
Reply = Callable[[bytes], Iterable[bytes]]


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(data: bytes, *, owner: bytes = b"\xc0\x0c", kind: int = 16, group: int = 1) -> bytes:
    return owner + struct.pack("!HHIH", kind, group, 300, len(data)) + data


def text(*parts: str) -> bytes:
    return b"".join(bytes([len(part.encode())]) + part.encode() for part in parts)


def reply(query: bytes, *records: bytes, flags: int = 0x8180, count: int | None = None) -> bytes:
    number = struct.unpack_from("!H", query)[0]
    told = len(records) if count is None else count
    return struct.pack("!HHHHHH", number, flags, 1, told, 0, 0) + query[12:] + b"".join(records)


def pair() -> tuple[socket.socket, socket.socket]:
    """A datagram and a listening stream socket on one port: a port that
    is free for one may be taken for the other.
    """
    for _ in range(50):
        tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        tcp.listen()
        return udp, tcp
    raise AssertionError("no port is free for both")


@contextmanager
def server(answer: Reply, over_tcp: Reply | None = None) -> Iterator[tuple[str, int]]:
    """A resolver on loopback; `answer` gives the datagrams for a query, `over_tcp` the pieces of a stream."""
    udp, tcp = pair()
    with udp, tcp:
        for listening in (udp, tcp):
            listening.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    query, peer = udp.recvfrom(4096)
                    for datagram in answer(query):
                        udp.sendto(datagram, peer)
                except TimeoutError:
                    pass
                try:
                    stream, _ = tcp.accept()
                except TimeoutError:
                    continue
                with stream:
                    stream.settimeout(2)
                    size = struct.unpack("!H", stream.recv(2))[0]
                    for piece in (over_tcp or (lambda _: []))(stream.recv(size)):
                        stream.sendall(piece)
                        time.sleep(0.01)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield udp.getsockname()
        finally:
            over.set()
            thread.join()


def soon(servers: Sequence[dns.Server], *, deadline: float = 1.0) -> tuple[str, ...]:
    """The records of NAME, with short waits."""
    return txt_lookup(servers, deadline=deadline, try_seconds=0.4)(NAME)


def looked_up(answer: Reply, over_tcp: Reply | None = None, *, deadline: float = 1.0) -> tuple[str, ...]:
    with server(answer, over_tcp) as address:
        return soon([address], deadline=deadline)


def test_a_record() -> None:
    seen = []

    def answer(query: bytes) -> list[bytes]:
        seen.append(query)
        return [reply(query, record(text("did=did:plc:abc")))]

    assert looked_up(answer) == ("did=did:plc:abc",)
    _, flags, questions, *rest = struct.unpack_from("!HHHHHH", seen[0])
    assert (flags, questions, rest) == (0x0100, 1, [0, 0, 0])
    assert seen[0][12:] == encoded(NAME) + struct.pack("!HH", 16, 1)


def test_several_records_of_several_strings() -> None:
    records = [record(text("did=did:plc:", "abc")), record(text("v=spf1 -all")), record(text(""))]
    assert looked_up(lambda q: [reply(q, *records)]) == ("did=did:plc:abc", "v=spf1 -all", "")


def test_an_alias_is_followed() -> None:
    alias = encoded("txt.example.net")
    records = [record(alias, kind=5), record(text("did=x"), owner=alias)]
    assert looked_up(lambda q: [reply(q, *records)]) == ("did=x",)


def test_records_of_other_names_kinds_and_groups_are_passed_over() -> None:
    records = [
        record(text("other name"), owner=encoded("evil.example")),
        record(text("other kind"), kind=99),
        record(text("other group"), group=3),
        record(text("right"), owner=encoded(NAME.upper())),
    ]
    assert looked_up(lambda q: [reply(q, *records)]) == ("right",)


def test_no_such_name_and_no_such_record() -> None:
    assert looked_up(lambda q: [reply(q, flags=0x8183)]) == ()
    assert looked_up(lambda q: [reply(q)]) == ()


def test_an_answer_to_another_question_is_not_believed() -> None:
    def answer(query: bytes) -> list[bytes]:
        forged = record(text("did=evil"))
        other_number = bytes([query[0] ^ 1]) + reply(query, forged)[1:]
        other_question = reply(query[:12] + query[12:].replace(b"alice", b"mally"), forged)
        return [
            b"", b"short", other_number, other_question, reply(query, forged, flags=0x0100),
            reply(query, record(text("did=right"))),
        ]  # fmt: skip

    assert looked_up(answer) == ("did=right",)


@pytest.mark.parametrize(
    "broken",
    [
        lambda q: reply(q, flags=0x8182),  # the resolver failed
        lambda q: reply(q, count=1),  # cut off before the record
        lambda q: reply(q, record(text("did=x"))[:8]),
        lambda q: reply(q, record(text("did=x"))[:-2]),
        lambda q: reply(q, b"\xc0"),
        lambda q: reply(q, record(text("x"), owner=struct.pack("!H", 0xC000 | len(q)))),  # points at itself
    ],
)  # fmt: skip
def test_nonsense_is_nothing_and_the_next_server_is_asked(broken: Callable[[bytes], bytes]) -> None:
    assert looked_up(lambda q: [broken(q)]) == ()
    with server(lambda q: [broken(q)]) as bad, server(lambda q: [reply(q, record(text("good")))]) as good:
        assert soon([bad, good]) == ("good",)


@given(st.binary(max_size=200), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_whatever_comes_ends_in_records_or_in_nothing(tail: bytes, count: int) -> None:
    assert len(looked_up(lambda query: [reply(query, tail, count=count)], deadline=0.05)) <= count


def test_silence_ends_in_time_and_the_next_server_is_asked() -> None:
    with server(lambda q: []) as silent, server(lambda q: [reply(q, record(text("good")))]) as good:
        begun = time.monotonic()
        assert soon([silent, good]) == ("good",)
        assert time.monotonic() - begun < 2


def test_a_flood_of_wrong_answers_ends_in_time() -> None:
    def flood(query: bytes) -> Iterator[bytes]:
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            yield b"wrong"

    begun = time.monotonic()
    with server(flood) as address:
        assert soon([address]) == ()
        assert time.monotonic() - begun < 2


def test_all_in_all_it_is_bounded() -> None:
    with server(lambda q: []) as silent:
        begun = time.monotonic()
        assert soon([silent] * 20, deadline=0.6) == ()
        assert time.monotonic() - begun < 2


def test_a_long_answer_comes_over_tcp() -> None:
    long = [record(text(f"{n:03}" + "x" * 247)) for n in range(20)] + [record(text("did=right"))]

    def stream(query: bytes) -> list[bytes]:
        whole = reply(query, *long)
        framed = struct.pack("!H", len(whole)) + whole
        return [framed[:1], framed[1:700], framed[700:]]

    found = looked_up(lambda q: [reply(q, flags=0x8380)], stream)
    assert len(found) == 21
    assert found[-1] == "did=right"


def test_a_stream_that_is_cut_off_or_another_s_is_nothing() -> None:
    truncated = lambda q: [reply(q, flags=0x8380)]  # noqa: E731
    assert looked_up(truncated, lambda q: [b"\x10\x00half"]) == ()
    other = reply(b"\0" * 12 + encoded("evil.example") + b"\0\x10\0\1", record(text("did=evil")))
    assert looked_up(truncated, lambda q: [struct.pack("!H", len(other)) + other]) == ()


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".example", ".".join(["abcdefg"] * 40), "ü.example"])
def test_names_that_are_none_are_not_asked_for(name: str) -> None:
    with server(lambda q: pytest.fail("asked")) as address:
        assert txt_lookup([address])(name) == ()


def test_nobody_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    assert txt_lookup([address, ("::1", 1)])(NAME) == ()


def test_the_system_s_resolvers_are_asked_unless_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(lambda q: [reply(q, record(text("system")))]) as (address, port):
        read = Resolver.read_resolv_conf

        def conf(self: Resolver, _: object) -> None:
            read(self, io.StringIO(f"nameserver {address}\n"))
            self.port = port

        monkeypatch.setattr(Resolver, "read_resolv_conf", conf)
        assert txt_lookup()(NAME) == ("system",)


def test_a_system_without_resolvers_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Resolver.read_resolv_conf
    monkeypatch.setattr(Resolver, "read_resolv_conf", lambda self, _: read(self, io.StringIO("# none\n")))
    assert txt_lookup()(NAME) == ()


def test_it_is_loaded_for_a_lookup_only() -> None:
    code = "import sys, keyfob.engine; sys.exit('dns.resolver' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
