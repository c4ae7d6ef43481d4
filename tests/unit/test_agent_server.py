"""The agent on its socket: who may come in, that nobody waits for
another's renewal, and that nothing is cut at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keyfob.agent import endpoints, limits
from keyfob.agent.endpoints import TcpEndpoint, UnixEndpoint, bind_socket
from keyfob.agent.host import AgentHost
from keyfob.agent.limits import Limits
from keyfob.core.errors import SettingWrong, Transient
from keyfob.core.words import KEEPER_ROLE
from keyfob.process.agent_hello import is_agent
from support.agent_rig import AgentRig, Client, Reply, get, post, short_folder, unix
from support.running import until


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture
def rig(tmp_path: Path) -> AgentRig:
    made = AgentRig(tmp_path)
    made.connect()
    return made


# --- answering ----------------------------------------------------------------------------------------------


def test_one_connection_serves_many_requests(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        for _ in range(3):
            assert client.ask("GET", "/v1/token/example").json["token"] == "access-1"
        client.send("GET", "/v1/token/example")
        client.send("GET", "/v1/accounts")
        client.send("GET", "/v1/token/example", Connection="close")
        assert [client.reply().status for _ in range(3)] == [200, 200, 200]
        assert client.closed()


def test_a_token_is_answered_from_memory_until_anybody_writes(rig: AgentRig, folder: Path) -> None:
    asked: list[str] = []
    token = rig.accounts.token
    rig.accounts.token = lambda ref, **more: asked.append(ref) or token(ref, **more)  # type: ignore[method-assign,func-returns-value]
    path = folder / "agent.sock"
    with rig.serving(unix(folder)):
        assert [get(path, "/v1/token/example").json["token"] for _ in range(5)] == ["access-1"] * 5
        assert len(asked) == 1
        rig.store.write("somebody", "wrote")
        get(path, "/v1/token/example")
        assert len(asked) == 2
        rig.clock.forward(minutes=59, seconds=1)  # less than the usual minute is left
        assert get(path, "/v1/token/example").json["token"] == "access-2"
        rig.accounts.disconnect("example", local=True)
        assert get(path, "/v1/token/example").json["code"] == "disconnected"


def test_a_cached_token_is_unaffected_while_another_accounts_renewal_waits(
    rig: AgentRig, folder: Path
) -> None:
    rig.connect("key-2", "bob")
    going, go = threading.Event(), threading.Event()
    rig.server.before = lambda: (going.set(), go.wait(10))  # type: ignore[func-returns-value]
    path = folder / "agent.sock"
    answers: list[Reply] = []
    with rig.serving(unix(folder)):
        get(path, "/v1/token/example/alice")
        slow = [
            threading.Thread(target=lambda: answers.append(get(path, "/v1/token/example/bob?min_life=3601")))
            for _ in range(100)
        ]
        for thread in slow:
            thread.start()
        assert going.wait(5)
        started = time.monotonic()
        for _ in range(20):
            assert get(path, "/v1/token/example/alice").json["token"] == "access-1"
        assert time.monotonic() - started < 2
        go.set()
        for thread in slow:
            thread.join(10)
    assert {answer.json["token"] for answer in answers} == {"access-3"}
    assert rig.server.log == ["refresh"]


def test_sixty_four_clients_with_a_connection_each(rig: AgentRig, folder: Path) -> None:
    faults: list[object] = []

    def work() -> None:
        try:
            with Client(folder / "agent.sock") as client:
                for _ in range(50):
                    if client.ask("GET", "/v1/token/example").json["token"] != "access-1":
                        faults.append("another token")
        except (OSError, EOFError, ValueError) as error:
            faults.append(error)

    with rig.serving(unix(folder)):
        threads = [threading.Thread(target=work) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert faults == []


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"GET /" + b"x" * 20_000, 431),
        (b"POST /v1/sign-ins HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
)
def test_what_is_no_request_is_answered_and_hung_up_on(
    rig: AgentRig, folder: Path, data: bytes, status: int
) -> None:
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        client.raw(data)
        assert client.reply().status == status
        assert client.closed()


def test_who_does_not_finish_a_request_is_hung_up_on(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder), limits=Limits(request=0.1)), Client(folder / "agent.sock") as client:
        client.raw(b"GET /v1/acc")
        assert client.closed()
        assert get(folder / "agent.sock", "/v1/accounts").status == 200


def test_s81_who_says_nothing_is_hung_up_on(rig: AgentRig, folder: Path) -> None:
    """S-81: a client has a time for its first byte, and one between two requests."""
    with (
        rig.serving(unix(folder), limits=Limits(first_byte=0.1, idle=0.2)),
        Client(folder / "agent.sock") as client,
    ):
        assert client.closed()
        with Client(folder / "agent.sock") as talking:
            for _ in range(4):
                assert talking.ask("GET", "/v1/token/example").status == 200
                time.sleep(0.1)
            assert talking.closed()


def test_s81_a_request_that_comes_byte_by_byte_has_one_deadline(rig: AgentRig, folder: Path) -> None:
    """S-81: bytes that keep coming do not make the time for a whole request longer."""
    with rig.serving(unix(folder), limits=Limits(request=0.3)), Client(folder / "agent.sock") as client:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in b"GET /v1/accounts HTTP/1.1\r\nHost: keyfob\r\nX: " + b"x" * 100:
                client.raw(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - started < 2
        assert client.closed()


def test_s81_who_does_not_read_is_hung_up_on(rig: AgentRig, folder: Path) -> None:
    """S-81: a client that never reads its answers is let go, and so is one that never reads its events."""
    request = b"GET /v1/accounts HTTP/1.1\r\nHost: keyfob\r\n\r\n"
    record = rig.record()
    with (
        rig.serving(unix(folder), limits=Limits(read=0.2)) as serving,
        Client(folder / "agent.sock") as client,
    ):
        client.send("GET", "/v1/events")
        client.until(b": keyfob\n\n")
        for _ in range(3):
            with Client(folder / "agent.sock", timeout=5) as other, contextlib.suppress(OSError):
                for _ in range(20_000):
                    other.raw(request)
                raise AssertionError("sent without an end")
        for number in range(20_000):
            rig.events.publish(record, "kind", f"{number} " + "x" * 100)
            if not serving.streams:
                break
        until(lambda: not serving.connections)


def test_s81_an_event_stream_has_no_time_limit(rig: AgentRig, folder: Path) -> None:
    short = Limits(first_byte=0.1, request=0.1, idle=0.1, read=0.1)
    with rig.serving(unix(folder), limits=short), Client(folder / "agent.sock") as client:
        client.send("GET", "/v1/events")
        client.until(b": keyfob\n\n")
        time.sleep(0.5)
        rig.events.publish(rig.record(), "late", "still here")
        assert client.event()["event"] == "late"


def test_s81_when_every_place_is_at_work_one_more_is_told_to_come_back(rig: AgentRig, folder: Path) -> None:
    """S-81: a connection that waits for the agent is not closed for another one; an idle one is."""
    four = Limits(limits.Capacity(connections=4, workers=4))
    going, go = threading.Semaphore(0), threading.Event()
    rig.server.before = lambda: (going.release(), go.wait(10))  # type: ignore[func-returns-value]
    path = folder / "agent.sock"
    with rig.serving(unix(folder), limits=four) as serving, contextlib.ExitStack() as stack:
        idle = stack.enter_context(Client(path))
        until(lambda: len(serving.connections) == 1)
        busy = [stack.enter_context(Client(path)) for _ in range(4)]
        for client in busy:
            client.send("GET", "/v1/token/example?min_life=3601")
        assert going.acquire(timeout=5)
        assert idle.closed()
        until(lambda: len(serving.connections) == 4)
        for _ in range(3):
            with Client(path) as refused:
                reply = refused.reply()
                assert (reply.status, reply.json["code"]) == (503, "busy")
                assert reply.headers["retry-after"] == "1"
                assert refused.closed()
        go.set()
        assert {client.reply().json["token"] for client in busy} == {"access-2"}
        assert get(path, "/v1/accounts").status == 200


@pytest.mark.parametrize("descriptors", [0, 64, 256, 1024, 4096, 1 << 20])
def test_s81_what_clients_may_use_leaves_the_reserve(descriptors: int) -> None:
    """S-81: connections and their work never take the descriptors that renewals and the keychain need."""
    room = limits.capacity_of(descriptors)
    workers = room.workers + room.forwarded_workers
    assert room.connections >= 16
    assert workers >= 8
    if descriptors >= 256:
        used = room.connections + workers * limits.DESCRIPTORS_A_WORKER
        assert used <= descriptors - limits.RESERVE // 2
    if descriptors >= 4096:
        assert (room.connections, room.workers) == (512, 64)


# --- absurd values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("after", ["99999999999999999999", "9" * 5000, "-1", "1.5", "nan", "%D9%A1"])
def test_s81_an_absurd_event_number_is_answered(
    rig: AgentRig, folder: Path, after: str, header: bool
) -> None:
    """S-81: `after` and `Last-Event-ID` that are no event's number get 400 at once."""
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        if header:
            reply = client.ask("GET", "/v1/events", Last_Event_ID=after)
        else:
            reply = client.ask("GET", f"/v1/events?after={after}")
    assert (reply.status, reply.json["code"]) == (400, "usage")


def test_the_largest_event_number_is_waited_on(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        client.send("GET", f"/v1/events?after={2**63 - 1}")
        client.until(b": keyfob\n\n")


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/token/example/alice", '{"rejected": "\\ud800"}'),
        ("/v1/token/example/alice", '{"rejected": ["x"]}'),
        ("/v1/token/example/alice", '{"rejected": "x", "more": [{"deep": "\\udfff"}]}'),
        ("/v1/token/example/alice", '{"rejected": "x", "\\ud800": 1}'),
        ("/v1/token/example/alice", '{"rejected": "x", "a": NaN}'),
        ("/v1/token/example/alice", '{"rejected": "x", "a": -Infinity}'),
        ("/v1/token/example/alice", '{"rejected": "x", "a": ' + "9" * 5000 + "}"),
        ("/v1/sign/example/alice", '{"method": "GET", "url": "https://example.org/\\ud800"}'),
        ("/v1/sign/example/alice", '{"method": "GET", "url": "/", "rejected": "\\ud800"}'),
        ("/v1/sign-ins", '{"provider": "\\ud800"}'),
        ("/v1/sign-ins", '{"provider": "example", "inputs": {"a": "\\ud800"}}'),
        ("/v1/sign-ins/x/callback", '{"url": "\\ud800"}'),
    ],
)
def test_s81_text_that_is_no_text_is_refused(rig: AgentRig, folder: Path, target: str, body: str) -> None:
    """S-81: a lone surrogate, and numbers that JSON does not have, get 400 wherever they are."""
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        reply = client.ask("POST", target, body.encode())
    assert (reply.status, reply.json["code"]) == (400, "usage"), reply.body


@pytest.mark.parametrize(
    "min_life", ["nan", "inf", "-inf", "1e308", "-1", "1e400", "9" * 400, "0x1", "1_0", "%D9%A1", "%00"]
)
def test_s81_an_absurd_least_life_is_refused(rig: AgentRig, folder: Path, min_life: str) -> None:
    """S-81: `min_life` is a number of seconds or gets 400."""
    with rig.serving(unix(folder)):
        reply = get(folder / "agent.sock", f"/v1/token/example?min_life={min_life}")
    assert (reply.status, reply.json["code"]) == (400, "usage")


# --- who may come in ----------------------------------------------------------------------------------------


def test_the_socket_is_the_owners_alone(rig: AgentRig, folder: Path) -> None:
    inner = folder / "run"
    with rig.serving(UnixEndpoint(inner / "agent.sock")):
        assert stat.S_IMODE(inner.stat().st_mode) == 0o700
        assert stat.S_IMODE((inner / "agent.sock").stat().st_mode) == 0o600
    assert not (inner / "agent.sock").exists()


def test_s_62_another_users_process_is_refused(
    rig: AgentRig, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S-62: on the Unix socket another user's process is refused."""
    monkeypatch.setattr(endpoints, "credentials_of", lambda sock: (4711, os.getuid() + 1))
    with rig.serving(unix(folder)), pytest.raises((EOFError, ConnectionError)):
        get(folder / "agent.sock", "/v1/token/example")
    assert "another user" in caplog.text


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Origin": "https://evil.example"}),
        ("GET", {"Origin": "null"}),
        ("POST", {"Origin": "http://127.0.0.1"}),
        ("GET", {"Sec-Fetch-Site": "cross-site"}),
        ("GET", {"Sec-Fetch-Site": "same-origin"}),
        ("OPTIONS", {"Access-Control-Request-Method": "GET"}),
        ("OPTIONS", {}),
    ],
)
@pytest.mark.parametrize("target", ["/v1/token/example", "/v1/accounts", "/v1/events"])
def test_s_62_web_pages_get_nothing(
    rig: AgentRig, folder: Path, method: str, headers: dict[str, str], target: str
) -> None:
    """S-62: any Origin, a preflight → 403, no CORS."""
    with rig.serving(unix(folder)):
        get(folder / "agent.sock", "/v1/token/example")  # in memory from here on
        with Client(folder / "agent.sock") as client:
            reply = client.ask(method, target, **{name.replace("-", "_"): v for name, v in headers.items()})
    assert reply.status == 403
    assert b"access-1" not in reply.body
    assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_program_that_forwards_is_known_by_its_file(tmp_path: Path) -> None:
    assert not endpoints.carries(os.getpid())
    assert not endpoints.carries(None)
    sleep = shutil.which("sleep")
    assert sleep is not None
    (tmp_path / "dbclient").symlink_to(tmp_path / "dropbearmulti")
    for file, called in (("sshd-session", "sshd-session"), ("dropbearmulti", "dbclient")):
        shutil.copy(sleep, tmp_path / file)
        with subprocess.Popen([tmp_path / called, "60"]) as process:
            until(partial(endpoints.carries, process.pid))
            process.kill()
        assert not endpoints.carries(process.pid)


def test_what_comes_from_a_program_that_forwards_counts_as_another_machines(
    rig: AgentRig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "carries", lambda pid: True)
    with rig.serving(unix(folder)):
        assert get(folder / "agent.sock", "/v1/token/example").status == 200
        assert get(folder / "agent.sock", "/v1/events").status == 403
        assert post(folder / "agent.sock", "/v1/sign-ins", {"provider": "example"}).status == 403


def test_a_socket_for_forwarding_serves_less(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder), UnixEndpoint(folder / "shared.sock", forwarding=True)):
        for name, status in (("agent.sock", 201), ("shared.sock", 403)):
            assert post(folder / name, "/v1/sign-ins", {"provider": "example"}).status == status
            assert get(folder / name, "/v1/token/example").json["token"] == "access-1"


# --- the socket's place -------------------------------------------------------------------------------------


def test_a_dead_socket_is_replaced(rig: AgentRig, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "agent.sock"))
    with rig.serving(unix(folder)):
        assert get(folder / "agent.sock", "/v1/accounts").status == 200


def test_a_file_in_the_way_is_left_alone(folder: Path) -> None:
    path = folder / "agent.sock"
    path.write_text("mine")
    with pytest.raises(SettingWrong, match="not a socket of yours"):
        bind_socket(path)
    assert path.read_text() == "mine"


def test_a_live_socket_is_left_alone(folder: Path) -> None:
    path = folder / "agent.sock"
    with bind_socket(path):
        with pytest.raises(SettingWrong, match="already running"):
            bind_socket(path)
        assert path.exists()


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(SettingWrong, match="other users"):
        bind_socket(folder / "agent.sock")


def test_a_path_too_long_says_what_to_do(folder: Path) -> None:
    with pytest.raises(SettingWrong, match="cannot be created"):
        bind_socket(folder / ("x" * 120))


def test_another_keepers_socket_is_not_removed_at_the_end(folder: Path) -> None:
    endpoint = unix(folder)
    with endpoint.open():
        (folder / "agent.sock").unlink()
        with bind_socket(folder / "agent.sock"):
            endpoint.close()
            assert (folder / "agent.sock").exists()


class Launchd:
    """libSystem's launch_activate_socket, as its manual page tells of it."""

    def __init__(self, handles: list[int], error: int = 0) -> None:
        self._handles = (ctypes.c_int * len(handles))(*handles)
        self._error = error
        self.freed = False

    def launch_activate_socket(self, name: bytes, handles: Any, count: Any) -> int:
        assert name == b"Listeners"
        address = ctypes.POINTER(ctypes.c_int)
        ctypes.cast(handles, ctypes.POINTER(address))[0] = ctypes.cast(self._handles, address)
        ctypes.cast(count, ctypes.POINTER(ctypes.c_size_t))[0] = len(self._handles)
        return self._error

    def free(self, handles: object) -> None:
        self.freed = True


def test_launchds_socket_is_taken_over(folder: Path) -> None:
    made = bind_socket(folder / "agent.sock")
    launchd = Launchd([made.detach()])
    with endpoints.from_launchd(launchd) as sock:  # type: ignore[arg-type,union-attr]
        assert sock.getsockname() == str(folder / "agent.sock")
        assert not sock.getblocking()
        assert not sock.get_inheritable()
    assert launchd.freed


def test_without_a_job_of_launchds_there_is_no_socket() -> None:
    assert endpoints.from_launchd(Launchd([], error=2)) is None  # type: ignore[arg-type]
    assert endpoints.from_launchd(object()) is None  # type: ignore[arg-type]


def test_a_socket_meant_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert endpoints.handed_over() is None


# --- loopback TCP, for where there are no Unix sockets ------------------------------------------------------


def over_tcp(file: Path, **changes: str) -> Reply:
    told = json.loads(file.read_text())
    headers = {"Host": f"127.0.0.1:{told['port']}", "Authorization": f"Bearer {told['key']}"} | changes
    with socket.create_connection(("127.0.0.1", told["port"]), 5) as sock:
        lines = [f"{name}: {value}" for name, value in headers.items() if value]
        sock.sendall(("GET /v1/token/example HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        sock.settimeout(5)
        head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
    names = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return Reply(int(head.split()[1]), names, body)


@pytest.mark.network
def test_s_62_the_port_opens_with_the_key_alone(rig: AgentRig, folder: Path) -> None:
    """S-62: foreign Host, any Origin, a preflight on a TCP listener → 403, no CORS."""
    file = folder / "agent.json"
    with rig.serving(TcpEndpoint(file)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert over_tcp(file).json["token"] == "access-1"
        for wrong in (
            {"Host": "evil.example"},
            {"Host": "localhost:1"},
            {"Host": ""},
            {"Authorization": ""},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Basic eA=="},
            {"Origin": "http://127.0.0.1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Access-Control-Request-Method": "GET"},
        ):
            reply = over_tcp(file, **wrong)
            assert reply.status == 403, wrong
            assert b"access-1" not in reply.body
            assert not any(name.startswith("access-control") for name in reply.headers)
    assert not file.exists()


@pytest.mark.network
def test_the_port_of_a_living_keeper_is_known(rig: AgentRig, folder: Path) -> None:
    file = folder / "agent.json"
    first, second = TcpEndpoint(file), TcpEndpoint(file)
    with rig.serving(first):
        assert second.live()
        assert not first.live()
        second.close()
        assert file.exists()
        left = file.read_bytes()
    assert not second.live()
    file.write_bytes(left)
    with socket.create_server(("127.0.0.1", json.loads(left)["port"])):
        assert not second.live()  # another program has a dead keeper's port: that keeps nobody from serving


@pytest.mark.network
def test_the_agent_proves_that_it_knows_the_key(rig: AgentRig, folder: Path) -> None:
    file = folder / "agent.json"
    with rig.serving(TcpEndpoint(file)):
        told = json.loads(file.read_text())
        assert is_agent(told["port"], told["key"])
        assert not is_agent(told["port"], told["key"] + "x")
        for target, status in (
            ("/v1/hello", 200),
            ("/v1/hello?challenge=" + "0" * 32, 200),
            ("/v1/hello?challenge=" + "0" * 33, 400),
            ("/v1/hello?challenge=" + "Z" * 32, 400),
            ("/v1/hello/x", 403),
        ):
            with socket.create_connection(("127.0.0.1", told["port"]), 5) as sock:
                sock.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{told['port']}\r\n\r\n".encode())
                answer = sock.recv(4096)
            assert answer.split()[1] == str(status).encode(), target
            assert told["key"].encode() not in answer
        for wrong in ("Host: evil.example", f"Host: 127.0.0.1:{told['port']}\r\nOrigin: http://127.0.0.1"):
            with socket.create_connection(("127.0.0.1", told["port"]), 5) as sock:
                sock.sendall(f"GET /v1/hello HTTP/1.1\r\n{wrong}\r\n\r\n".encode())
                assert sock.recv(4096).split()[1] == b"403"


def test_a_socket_says_hello_at_once(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder)):
        assert get(folder / "agent.sock", "/v1/hello").json == {"agent": "keyfob"}


# --- one keeper ---------------------------------------------------------------------------------------------


def test_one_keeper_a_person_and_the_next_takes_over(rig: AgentRig, folder: Path) -> None:
    hosts = [AgentHost(lambda: rig.agent(unix(folder)), rig.locks) for _ in range(2)]
    assert [host.take() for host in hosts] == [True, False]
    assert [host.take() for host in hosts] == [True, False]
    hosts[0].leave()
    assert not hosts[0].take()
    assert hosts[1].take()
    assert get(folder / "agent.sock", "/v1/accounts").status == 200
    hosts[1].leave()


def test_where_systemd_listens_the_role_is_left_to_its_agent(rig: AgentRig, folder: Path) -> None:
    with bind_socket(folder / "agent.sock") as handed:
        app = AgentHost(lambda: rig.agent(unix(folder)), rig.locks)
        assert not app.take()
        assert not rig.locks.held(KEEPER_ROLE)
        agent = AgentHost(
            lambda: rig.agent(UnixEndpoint(folder / "agent.sock", endpoints.Handed(handed))), rig.locks
        )
        assert agent.take()
        assert get(folder / "agent.sock", "/v1/accounts").status == 200
        agent.leave()
        assert (folder / "agent.sock").exists()
        app.leave()


def test_without_a_socket_the_role_is_still_kept(
    rig: AgentRig, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "agent.sock").write_text("in the way")
    host = AgentHost(lambda: rig.agent(unix(folder)), rig.locks)
    assert host.take()
    assert host.problem is not None
    assert host.problem.code == "setting_faulty"
    assert rig.locks.held(KEEPER_ROLE)
    host.leave()
    assert not rig.locks.held(KEEPER_ROLE)
    assert "not served" in caplog.text


def test_at_the_end_a_renewal_under_way_is_answered(rig: AgentRig, folder: Path) -> None:
    going, go = threading.Event(), threading.Event()
    rig.server.before = lambda: (going.set(), go.wait(10))  # type: ignore[func-returns-value]
    host = AgentHost(lambda: rig.agent(unix(folder)), rig.locks)
    assert host.take()
    with Client(folder / "agent.sock") as idle, Client(folder / "agent.sock") as client:
        client.send("GET", "/v1/token/example?min_life=3601")
        assert going.wait(5)
        leaving = threading.Thread(target=host.leave)
        leaving.start()
        assert idle.closed()
        until(lambda: not (folder / "agent.sock").exists())
        assert leaving.is_alive()
        go.set()
        assert client.reply().json["token"] == "access-2"
        leaving.join(5)
        assert not leaving.is_alive()
    assert rig.held().access.reveal() == "access-2"


# --- events -------------------------------------------------------------------------------------------------


def test_events_stream_as_they_happen(rig: AgentRig, folder: Path) -> None:
    with rig.serving(unix(folder)), Client(folder / "agent.sock") as client:
        client.send("GET", "/v1/events")
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
        assert client.until(b"\n\n") == b": keyfob"
        post(folder / "agent.sock", "/v1/renew/example")
        assert client.event()["event"] == "renewing"
        event = client.event()
        data = json.loads(event["data"])
        assert (event["event"], data["account"], data["message"]) == ("renewed", "example/alice", "Renewed")
        assert int(event["id"]) == data["seq"]


def test_who_comes_back_hears_what_was_missed_once(rig: AgentRig, folder: Path) -> None:
    record = rig.record()
    for kind in ("first", "second", "third"):
        rig.events.publish(record, kind, kind)
    with rig.serving(unix(folder)):
        for headers, query in (({"Last_Event_ID": "1"}, ""), ({}, "?after=1")):
            with Client(folder / "agent.sock") as client:
                client.send("GET", f"/v1/events{query}", **headers)
                client.until(b": keyfob\n\n")
                assert [client.event()["event"] for _ in range(2)] == ["second", "third"]
        rig.events.publish(record, "fourth", "now")
        with Client(folder / "agent.sock") as client:
            client.send("GET", "/v1/events?after=3")
            client.until(b": keyfob\n\n")
            assert client.event()["event"] == "fourth"
            rig.events.publish(record, "fifth", "now")
            assert client.event()["event"] == "fifth"


def test_another_processes_events_are_heard_in_order(rig: AgentRig, folder: Path) -> None:
    from keyfob.service.events import EventBus

    elsewhere = EventBus(rig.store, rig.clock)  # writes the same history, and tells nobody here
    record = rig.record()
    with rig.serving(unix(folder), limits=Limits(news=0.02)), Client(folder / "agent.sock") as client:
        client.send("GET", "/v1/events")
        client.until(b": keyfob\n\n")
        elsewhere.publish(record, "there", "there")
        assert client.event()["event"] == "there"
        elsewhere.publish(record, "there-again", "there")
        rig.events.publish(record, "here", "here")
        assert [client.event()["event"] for _ in range(2)] == ["there-again", "here"]


def test_nobody_wakes_up_when_nobody_listens(rig: AgentRig, folder: Path) -> None:
    looks: list[int] = []
    version = rig.store.data_version  # type: ignore[attr-defined]
    rig.store.data_version = lambda: looks.append(1) or version()  # type: ignore[attr-defined]
    with rig.serving(unix(folder)):
        get(folder / "agent.sock", "/v1/accounts")
        before = len(looks)
        time.sleep(0.3)
        assert len(looks) == before


# --- consent ------------------------------------------------------------------------------------------------


class Asked:
    def __init__(self) -> None:
        self.times = 0

    def require(self, peer: object, account_id: str, account_key: str) -> None:
        self.times += 1
        if self.times > 2:
            raise Transient("no more")


def test_while_programs_are_asked_about_nothing_is_answered_from_memory(tmp_path: Path, folder: Path) -> None:
    consent = Asked()
    rig = AgentRig(tmp_path, consent=consent)
    rig.connect()
    with rig.serving(unix(folder), consenting=True):
        statuses = [get(folder / "agent.sock", "/v1/token/example").status for _ in range(3)]
    assert (statuses, consent.times) == ([200, 200, 503], 3)
