"""S-118: who may use a grant to `local`, by the system's tables of sockets and the request's headers."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyfob.core.errors import Usage
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.grants import LOCAL, Grant, checked_who, is_operator
from keyfob.gateway.proxy import local_callers
from keyfob.gateway.proxy.local_callers import TABLES, End, could_be_local, is_own_user, uid_of

pytestmark = pytest.mark.network
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc/net/tcp is Linux's")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LOOPBACK = b"\x7f\x00\x00\x01"
PEER, OWN = End("127.0.0.1", 0x9C40), End("127.0.0.1", 0x07EA)


def row(local: str, remote: str, uid: int, state: str = "01") -> str:
    queues = "00000000:00000000 00:00000000 00000000"
    return f"   0: {local} {remote} {state} {queues} {uid:5} 0 12345 1 0 20 4 30 10 -1\n"


def v4(port: int) -> str:
    return f"{int.from_bytes(LOOPBACK, sys.byteorder):08X}:{port:04X}"


def mapped(port: int) -> str:
    words = (b"\0" * 4, b"\0" * 4, b"\0\0\xff\xff", LOOPBACK)
    return "".join(f"{int.from_bytes(each, sys.byteorder):08X}" for each in words) + f":{port:04X}"


def test_the_peers_end_counts_and_not_ours() -> None:
    ours = row(v4(OWN.port), v4(PEER.port), 1000)
    theirs = row(v4(PEER.port), v4(OWN.port), 1001)
    assert uid_of(PEER, OWN, [HEAD + ours + theirs]) == 1001
    assert uid_of(PEER, OWN, [HEAD + ours]) is None
    assert uid_of(PEER, OWN, [HEAD]) is None
    assert uid_of(PEER, OWN, []) is None


def test_a_socket_that_has_ended_names_nobody() -> None:
    """In TIME_WAIT the table says 0, which would be root."""
    assert uid_of(PEER, OWN, [HEAD + row(v4(PEER.port), v4(OWN.port), 0, "06")]) is None
    assert uid_of(PEER, OWN, [HEAD + row(v4(PEER.port), v4(OWN.port + 1), 1000)]) is None


def test_an_ipv6_socket_with_an_ipv4_address() -> None:
    assert uid_of(PEER, OWN, [HEAD, HEAD + row(mapped(PEER.port), mapped(OWN.port), 1001)]) == 1001
    mapped_peer = End("::ffff:127.0.0.1", PEER.port)
    assert uid_of(mapped_peer, OWN, [HEAD, HEAD + row(mapped(PEER.port), mapped(OWN.port), 1001)]) == 1001
    both = [
        HEAD + row(v4(PEER.port), v4(OWN.port), 1000),
        HEAD + row(mapped(PEER.port), mapped(OWN.port), 1001),
    ]
    assert uid_of(PEER, OWN, both) is None, "two answers are none"


def test_what_is_not_on_this_computer_cannot_be_read() -> None:
    for address in ("192.168.1.2", "", "nonsense"):
        with pytest.raises(ValueError, match=r"."):
            uid_of(End(address, 1), OWN, [HEAD])


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]) as client:
            accepted, _ = listener.accept()
            with accepted:
                yield client, accepted


def ends(accepted: socket.socket) -> tuple[End, End]:
    return End(*accepted.getpeername()[:2]), End(*accepted.getsockname()[:2])


@linux
def test_the_systems_own_table(pair: tuple[socket.socket, socket.socket]) -> None:
    peer, own = ends(pair[1])
    assert uid_of(peer, own, [table.read_text() for table in TABLES]) == os.geteuid()
    assert is_own_user(peer, own)


@linux
def test_another_user_is_not_this_one(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, own = ends(pair[1])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not is_own_user(peer, own)


@linux
def test_a_user_whom_the_system_cannot_name_is_nobody(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a user namespace every unknown user has the same number."""
    peer, own = ends(pair[1])
    (tmp_path / "overflow").write_text(f"{os.geteuid()}\n")
    monkeypatch.setattr(local_callers, "OVERFLOW", tmp_path / "overflow")
    assert not is_own_user(peer, own)


def test_where_the_system_does_not_say_nobody_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local_callers, "TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))
    assert not is_own_user(PEER, OWN)
    monkeypatch.delattr(os, "geteuid", raising=False)
    assert not is_own_user(PEER, OWN)


@pytest.mark.parametrize(
    "name",
    [
        "Sec-Fetch-Site", "Sec-Fetch-Mode", "sec-ch-ua", "Origin", "Referer", "Cookie", "X-Forwarded-For",
        "Forwarded", "Via", "X-Real-IP", "Authorization", "x-api-key", "api-key", "x-goog-api-key",
        "Access-Control-Request-Method", "Upgrade-Insecure-Requests",
    ],
)  # fmt: skip
def test_s52_browsers_servers_and_keys(name: str) -> None:
    assert not could_be_local(["Host", "Accept", name], "curl/8.1")
    assert could_be_local(["Host", "Accept"], "curl/8.1")


def test_s52_a_browsers_name() -> None:
    assert not could_be_local(["Host"], "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0")


def test_a_local_caller_has_grants_to_local_and_no_others() -> None:
    def grant(who: str) -> Grant:
        return Grant("1", "github/you", who, "name", created_at=datetime.now(UTC))

    assert grant("local").is_for(LOCAL)
    for who in ("anyone", "key:local", "user:local", "key:", "user:None"):
        assert not grant(who).is_for(LOCAL), who
    for caller in (AuthResult(True, user_id="local"), AuthResult(True, key_id="local"), AuthResult(False)):
        assert not grant("local").is_for(caller)
    assert not is_operator(LOCAL), "one key for everybody has no name either"
    assert checked_who("local") == "local"
    with pytest.raises(Usage):
        checked_who("local:me")
