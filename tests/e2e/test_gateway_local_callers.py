"""S-118: grants to `local` over real sockets. A program of the same user needs no key; nobody else may."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.gateway import gateway_of
from support.session import DesktopSession
from support.workshop import Bench, bench_at

pytestmark = [
    pytest.mark.servers,
    pytest.mark.network,
    pytest.mark.keychain,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not say who calls"),
]
SOMEBODY = 65533
# Writes a request to a port, and prints the answer's first line.
ASKS = "exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{request}' >&3; read -r line <&3; printf '%s' \"$line\""


@pytest.fixture(scope="module")
def shared(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str]]:
    with bench_at(tmp_path_factory.mktemp("local"), session.env) as bench:
        bench.connect()
        made = bench.keyfob("grants", "create", "workshop", "--for", "local", "--method", "read", "--json")
        assert made.code == 0, made.err
        assert (made.json["for"], "key" in made.json) == ("local", False)
        with gateway_of(bench) as address:
            yield bench, address


@pytest.fixture
def bench(shared: tuple[Bench, str]) -> Bench:
    shared[0].shop.seen.clear()
    return shared[0]


@pytest.fixture
def url(shared: tuple[Bench, str]) -> str:
    return f"{shared[1]}/workshop/alice/api/user"


def asked(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, url, headers=named, trust_env=False)


def test_a_program_of_the_same_user_needs_no_key(bench: Bench, url: str) -> None:
    answer = asked(url)
    assert answer.status_code == 200
    assert bench.shop.tokens_seen("/api/user") == [bench.token()]
    assert bench.token() not in answer.text
    # What the grant does not allow is refused as for somebody unknown: a tool then sends its key.
    other = asked(url, "POST")
    assert (other.status_code, "Basic" in other.headers["WWW-Authenticate"]) == (401, True)
    assert asked(url.replace("alice", "bob")).status_code == 401
    assert asked(url, Authorization="Bearer nonsense").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Mode": "navigate"}, {"Origin": "http://127.0.0.1:2026"},
        {"Referer": "https://evil.example/"}, {"Cookie": "a=b"}, {"User_Agent": "Mozilla/5.0 (X11)"},
        {"X_Forwarded_For": "203.0.113.7"}, {"Via": "1.1 nginx"}, {"Forwarded": "for=203.0.113.7"},
    ],
)  # fmt: skip
def test_s52_a_browser_or_another_server_gets_nothing(
    bench: Bench, url: str, headers: dict[str, str]
) -> None:
    assert asked(url, **headers).status_code in (401, 403)
    assert bench.shop.seen == []


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
def test_s52_another_name_for_this_computer(bench: Bench, url: str, name: str) -> None:
    """DNS rebinding: the connection comes from this user's browser, under the page's own name."""
    assert asked(url, Host=name).status_code in (400, 421)
    assert bench.shop.seen == []


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's id")
@pytest.mark.parametrize(("user", "says"), [(SOMEBODY, "401"), (None, "200")])
def test_another_user_of_this_computer(bench: Bench, url: str, user: int | None, says: str) -> None:
    port = int(url.split("/")[2].rpartition(":")[2])
    head = ("GET /workshop/alice/api/user HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", "", "")
    request = r"\r\n".join(head)
    who: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    said = subprocess.run(
        ["/bin/bash", "-c", ASKS.format(port=port, request=request)],
        capture_output=True, text=True, timeout=30, check=True, cwd="/", env={}, **who,
    )  # fmt: skip
    assert said.stdout.split()[1] == says
    assert len(bench.shop.seen) == (says == "200")


def test_not_if_other_computers_can_reach_the_gateway(bench: Bench) -> None:
    process = bench.processes.start(["keyfob", "serve", "--host", "0.0.0.0", "--port", "0"], bench.env)
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    try:
        assert asked(f"http://127.0.0.1:{port}/workshop/alice/api/user").status_code == 401
    finally:
        process.terminate()
        process.wait(60)
    assert bench.shop.seen == []


def test_an_ended_grant_ends_it(bench: Bench, url: str) -> None:
    made = bench.keyfob("grants", "create", "workshop", "--for", "local", "--method", "POST", "--json").json
    time.sleep(1)
    assert asked(url, "POST").status_code != 401
    assert bench.keyfob("grants", "revoke", made["grant_id"]).code == 0
    time.sleep(1)
    assert asked(url, "POST").status_code == 401


def test_a_socket_that_is_handed_on_is_still_the_users(url: str) -> None:
    """The table says whose socket it is, not which program writes."""
    port = int(url.split("/")[2].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            b"GET /workshop/alice/api/user HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % port
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
