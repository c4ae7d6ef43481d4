"""S-74: callers who are slow, many or wrong keep nobody else from the gateway. Over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiohttp
import httpx
import pytest

from support.gateway_rig import Rig, rig_at, serving
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
SOON = 2.0  # seconds: a machine that is busy with other tests answers in this time too


@pytest.fixture(scope="module")
def rig(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig_at(tmp_path_factory.mktemp("pressure"), session) as made:
        token = made.bench.token()
        made.api.takes = lambda given: given == token  # the API itself must not be what is slow
        yield made


@contextmanager
def connections(port: int, number: int, text: bytes) -> Iterator[list[socket.socket]]:
    """So many, each of which has sent this."""
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            one.sendall(text)
            made.append(one)
        yield made


def head(rig: Rig, key: str, path: str, method: str = "GET", more: str = "") -> bytes:
    return (
        f"{method} /workshop/alice{path} HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\n"
        f"Authorization: Bearer {key}\r\n{more}\r\n"
    ).encode()


def is_served(rig: Rig, key: str) -> None:
    """Others get their answers, and soon."""
    for _ in range(5):
        started = time.monotonic()
        assert rig.get(key, "/echo").status_code == 200
        assert time.monotonic() - started < SOON


def whole(one: socket.socket) -> bytes:
    """An answer of /echo, which is a JSON object."""
    found = b""
    while not found.endswith(b"}"):
        part = one.recv(65536)
        assert part, found
        found += part
    return found


def is_closed(one: socket.socket, within: float) -> bool:
    one.settimeout(within)
    try:
        return one.recv(1000) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def resident(rig: Rig) -> int:
    """Bytes of memory."""
    for line in Path(f"/proc/{rig.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_s74_heads_that_never_end(rig: Rig) -> None:
    key = rig.grant()["key"]
    with serving(rig.bench, rig.api, "--head-within", "3") as other:
        part = f"GET /workshop/alice/echo HTTP/1.1\r\nHost: 127.0.0.1:{other.port}\r\nX-Slow: ".encode()
        with connections(other.port, 300, part) as slow, connections(other.port, 20, b"") as silent:
            is_served(other, key)
            for _ in range(6):  # a byte now and then does not help
                for one in slow:
                    with suppress(OSError):  # it has been ended already
                        one.send(b"a")
                time.sleep(0.7)
            assert all(is_closed(one, 0.5) for one in [*slow, *silent])
            is_served(other, key)


def test_s74_a_second_head_on_a_kept_connection(rig: Rig) -> None:
    key = rig.grant()["key"]
    with (
        serving(rig.bench, rig.api, "--head-within", "1") as other,
        connections(other.port, 1, head(other, key, "/echo")) as (one,),
    ):
        assert b" 200 " in whole(one)
        time.sleep(1.5)
        one.sendall(head(other, key, "/echo"))
        assert b" 200 " in whole(one), "a kept connection may be idle longer than a head may take"
        one.sendall(b"GET /")
        assert is_closed(one, 5)


def test_s74_a_slow_answer_is_not_ended(rig: Rig) -> None:
    """The limit is for heads alone."""
    key = rig.grant()["key"]
    with serving(rig.bench, rig.api, "--head-within", "1") as other:
        assert other.get(key, "/events?count=3&gap=1").text.count("data:") == 3


def test_s74_a_thousand_half_open_streams(rig: Rig) -> None:
    key = rig.grant()["key"]

    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http:

            async def one() -> aiohttp.ClientResponse:
                answer = await http.get(
                    f"{rig.url}/workshop/alice/events?count=1000&gap=60",
                    headers={"Authorization": f"Bearer {key}"},
                )
                assert await answer.content.readline() == b"data: 0\n"
                return answer

            answers = []
            for _ in range(20):
                answers += await asyncio.gather(*(one() for _ in range(50)))
            assert len(answers) == 1000
            await asyncio.to_thread(is_served, rig, key)
            rig.api.left.clear()
            for answer in answers:
                answer.close()

    asyncio.run(run())
    assert rig.api.left.wait(10), "the provider's side of a stream ends with the caller's"
    is_served(rig, key)


def test_s74_callers_who_do_not_read(rig: Rig) -> None:
    """What waits for them is bounded, not the 50 MB of each."""
    key = rig.grant()["key"]
    before = resident(rig)
    with connections(rig.port, 40, head(rig, key, f"/download?size={50 << 20}")):
        time.sleep(2)
        is_served(rig, key)
        assert resident(rig) - before < 100 << 20, "less than 2.5 MB for each"


def test_s74_callers_who_send_slowly(rig: Rig) -> None:
    key = rig.grant()["key"]
    upload = head(rig, key, "/upload", "PUT", f"Content-Length: {1 << 30}\r\n")
    chunked = head(rig, key, "/upload", "PUT", "Transfer-Encoding: chunked\r\n")
    small = head(rig, key, "/upload", "PUT", "Content-Length: 100\r\n")
    with (
        connections(rig.port, 50, upload) as first,
        connections(rig.port, 50, chunked) as second,
        connections(rig.port, 50, small) as third,
    ):
        for _ in range(3):
            for one, text in ((first, b"x"), (second, b"1\r\nx\r\n"), (third, b"x")):
                for each in one:
                    each.sendall(text)
            is_served(rig, key)


def test_s74_an_address_with_too_many_connections(rig: Rig) -> None:
    key = rig.grant()["key"]
    with serving(rig.bench, rig.api, "--connections", "20") as other:
        with connections(other.port, 20, head(other, key, "/events?count=1000&gap=60")) as held:
            for one in held:
                assert b" 200 " in one.recv(65536)
            with socket.create_connection(("127.0.0.1", other.port), timeout=10) as more:
                assert is_closed(more, 5)
            elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
            with httpx.Client(transport=elsewhere, trust_env=False, timeout=10) as http:
                answer = http.get(
                    f"{other.url}/workshop/alice/echo", headers={"Authorization": f"Bearer {key}"}
                )
            assert answer.status_code == 200
        time.sleep(0.5)
        is_served(other, key)


def test_s74_a_flood_of_wrong_keys(rig: Rig) -> None:
    key = rig.grant()["key"]
    rig.api.seen.clear()
    until, refused = time.monotonic() + 4, []

    def flood(number: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as http:
            while time.monotonic() < until:
                wrong = f"sk-{number:012d}-{len(refused):032x}"
                answer = http.get(
                    f"{rig.url}/workshop/alice/echo", headers={"Authorization": f"Bearer {wrong}"}
                )
                refused.append(answer.status_code)

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        is_served(rig, key)
    finally:
        for thread in threads:
            thread.join()
    assert set(refused) == {401}
    assert len(rig.api.seen) == 5, "no wrong key reached the API"
