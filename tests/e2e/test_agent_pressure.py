"""The agent under pressure: clients that stay silent, never finish or never read cost others nothing. Real
processes, real sockets, and few descriptors.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from support.agent_process import Machine, machine, said_by
from support.agent_rig import Client, get
from support.running import until

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc of the agent"),
]
SILENT = 1100
# Loosely: sixty threads with a connection to the store each take a third of it.
GROWTH_MOST = 160 << 20  # bytes of memory


@pytest.fixture(scope="module")
def home() -> Iterator[Machine]:
    with machine(access_lifetime=8) as made:
        made.connect()
        yield made


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    """Descriptors for this side of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def agent(home: Machine, descriptors: int) -> Iterator[Popen[str]]:
    """An agent with so many descriptors, and a socket for forwarding."""
    limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", sys.executable, "-m", "keyfob"]
    process = home.start("agent", "--shared-socket", str(shared(home)), program=limited)
    said = said_by(process)
    assert "answers your tools" in said, said
    try:
        yield process
        assert process.poll() is None
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in err
        home.end()


def shared(home: Machine) -> Path:
    return home.root / "shared.sock"


def descriptors_of(process: Popen[str]) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def memory_of(process: Popen[str]) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def seconds_of(process: Popen[str]) -> float:
    """Processor time."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def silent(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        raise
    return sock


@contextmanager
def pressing(one: Callable[[], socket.socket], most: int = SILENT) -> Iterator[Callable[[], int]]:
    """`most` connections that `one` makes, the oldest replaced by a new
    one all the time. Yields how many were made.
    """
    ended = threading.Event()
    made: list[socket.socket] = []
    count = 0

    def work() -> None:
        nonlocal count
        while not ended.is_set():
            with contextlib.suppress(OSError):
                made.append(one())
                count += 1
            if len(made) > most:
                made.pop(0).close()
                time.sleep(0.005)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: count >= most, 60)
        yield lambda: count
    finally:
        ended.set()
        thread.join(20)
        for sock in made:
            sock.close()


@pytest.mark.parametrize(("endpoint", "descriptors"), [("shared", 1024), ("own", 256)])
def test_s81_silent_connections_stop_neither_tools_nor_renewals(
    home: Machine, descriptors: int, endpoint: str
) -> None:
    """S-81: 1,100 silent connections: others are served, renewals go on, descriptors stay below the limit."""
    with agent(home, descriptors) as process:
        path = shared(home) if endpoint == "shared" else home.socket
        before = memory_of(process)
        renewals = home.server.counters.get("renewals", 0)
        with pressing(lambda: silent(path)):
            tokens = set()
            end = time.monotonic() + 14
            while time.monotonic() < end:
                started = time.monotonic()
                asked = home.run("token", "here", unlocked=False)
                assert (asked.code, asked.err) == (0, "")
                assert time.monotonic() - started < 8
                tokens.add(asked.out)
                assert descriptors_of(process) < descriptors - 64
                time.sleep(1)
        assert len(tokens) >= 2
        assert home.server.counters["renewals"] >= renewals + 2
        assert memory_of(process) < before + GROWTH_MOST


def test_s81_a_socket_for_forwarding_has_a_small_share(home: Machine) -> None:
    """S-81: at most 64 connections come in through a forwarded socket; the oldest silent one goes first."""
    with agent(home, 1024) as process:
        assert get(home.socket, "/v1/accounts").status == 200  # the store is open from here on
        before = descriptors_of(process)
        first = silent(shared(home))
        others = [silent(shared(home)) for _ in range(200)]
        assert first.recv(1) == b""
        assert get(home.socket, "/v1/accounts").status == 200
        assert descriptors_of(process) - before <= 64 + 2
        others[-1].sendall(b"GET /v1/accounts HTTP/1.1\r\nHost: keyfob\r\n\r\n")
        assert others[-1].recv(4096).startswith(b"HTTP/1.1 200")
        for sock in [first, *others]:
            sock.close()


def test_s81_event_streams_have_a_limit_of_their_own(home: Machine) -> None:
    """S-81: event streams have no time limit, but a number; the next one gets 503 and others are served."""
    with agent(home, 1024):
        streams = []
        for _ in range(64):
            streams.append(Client(home.socket))
            streams[-1].send("GET", "/v1/events")
            streams[-1].until(b": keyfob\n\n")
        with Client(home.socket) as one_more:
            refused = one_more.ask("GET", "/v1/events")
            assert (refused.status, refused.json["code"]) == (503, "busy")
            assert refused.headers["retry-after"] == "1"
        assert get(home.socket, "/v1/accounts").status == 200
        assert home.run("rename", "here/alice", "other").code == 0
        assert home.run("rename", "here/other", "alice").code == 0
        for stream in streams:
            while stream.event()["event"] != "renamed":
                pass
        streams.pop().__exit__()
        time.sleep(0.2)
        with Client(home.socket) as one_more:
            one_more.send("GET", "/v1/events")
            one_more.until(b": keyfob\n\n")
        for stream in streams:
            stream.__exit__()


def _served(socket: Path) -> bool:
    try:
        return get(socket, "/v1/accounts").status == 200
    except OSError:
        return False  # its connection was the one that had to go


def test_s81_without_a_descriptor_left_the_agent_waits_and_goes_on(home: Machine) -> None:
    """S-81: when accept fails for lack of descriptors, the agent does not
    spin, and serves again once there are some.
    """
    with agent(home, 1024) as process:
        assert get(home.socket, "/v1/token/here").status == 200
        idle = [silent(home.socket) for _ in range(10)]
        until(lambda: descriptors_of(process) >= 10)
        time.sleep(0.2)
        taken = max(int(each.name) for each in Path(f"/proc/{process.pid}/fd").iterdir()) + 1
        limit = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (taken, limit[1]))
        more = [silent(home.socket) for _ in range(40)]
        before = seconds_of(process)
        time.sleep(2)
        assert seconds_of(process) - before < 1
        # The idle ones go first, which makes room for those that came.
        until(lambda: _served(home.socket))
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
        for sock in [*idle, *more]:
            sock.close()
        assert get(home.socket, "/v1/token/here").status == 200
    log = next(home.home.rglob("keyfob.log")).read_text()
    assert 1 <= log.count("new connections must wait") < 20


def test_s81_a_machine_that_has_tokens_replaced_in_a_loop(home: Machine) -> None:
    """S-81: a program at a forwarded socket that refuses each token it gets causes no renewals of its own."""
    with agent(home, 1024):
        before = home.server.counters.get("renewals", 0)
        started = time.monotonic()
        statuses = []
        with Client(shared(home)) as client:
            while time.monotonic() - started < 5:
                token = client.ask("GET", "/v1/token/here?min_life=999999").json["token"]
                body = json.dumps({"rejected": token}).encode()
                statuses.append(client.ask("POST", "/v1/token/here/alice", body).status)
        assert 503 in statuses
        # Tokens live for 8 s here: one or two renewals were due, and the
        # first token may have been older than 30 s.
        assert home.server.counters.get("renewals", 0) - before <= 3


def test_s81_thousands_of_requests_that_nobody_reads_answers_of(home: Machine) -> None:
    """S-81: clients that send on and on and read nothing are let go, and the agent's memory stays bounded."""
    request = b"GET /v1/accounts HTTP/1.1\r\nHost: keyfob\r\n\r\n"

    def flood() -> socket.socket:
        sock = silent(home.socket)
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            for _ in range(50):
                sock.send(request * 500)
        return sock

    with agent(home, 1024) as process:
        get(home.socket, "/v1/token/here")
        before = memory_of(process)
        with pressing(flood, most=100):
            for _ in range(10):
                asked = home.run("token", "here", unlocked=False)
                assert (asked.code, asked.err) == (0, "")
                time.sleep(0.5)
        assert memory_of(process) < before + GROWTH_MOST


def test_s81_two_thousand_cached_requests_at_once(home: Machine) -> None:
    """S-81: 2,000 pipelined requests are answered in order by a loop, not by recursion."""
    with agent(home, 1024), Client(home.socket) as client:
        assert client.ask("GET", "/v1/token/here").status == 200
        request = b"GET /v1/token/here HTTP/1.1\r\nHost: keyfob\r\nContent-Length: 0\r\n\r\n"
        sender = threading.Thread(target=client.raw, args=(request * 2000,))
        sender.start()
        assert {client.reply().status for _ in range(2000)} == {200}
        sender.join()
        assert client.ask("GET", "/v1/accounts").status == 200
