"""A program gets access in the window, on a real screen, and calls a real API through the app's gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.api_server import ApiServer
from support.app_run import Stage, Window
from support.running import until
from support.session import DesktopSession

pytestmark = [
    pytest.mark.screen,
    pytest.mark.network,
    pytest.mark.keychain,
    pytest.mark.servers,
    pytest.mark.timeout(300),
]

TOKEN = "a-token-that-no-program-sees-4711"
PRESET = """\
id = "bench"
title = "Bench"
methods = ["api_key"]
[api]
base = "{base}"
hosts = ["{host}"]
[api_key]
[api_key.api]
base = "{base}"
[api_key.identity]
source = "request"
url = "{base}/echo"
[api_key.identity.map]
subject = "method"
"""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(lambda token: token == TOKEN) as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, api: ApiServer) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            made.settings(first_start_done=True, gateway_port=port)
            presets = made.home / "config" / "providers"
            presets.mkdir(mode=0o700)
            host = f"127.0.0.1:{api.port}"
            (presets / "bench.toml").write_text(PRESET.format(base=api.base, host=host))
            yield made


def call(address: str, key: str, path: str = "/echo", method: str = "GET") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.request(method, address + path, headers=headers, trust_env=False, timeout=30)


def given(window: Window) -> tuple[str, str]:
    """Give `report` access in the dialog; address and key as they are shown."""
    window.press("Give a program access…")
    window.type("Program", "report", window="Give a program access")
    window.type("Only under this path", "echo", window="Give a program access")
    window.press("Create key", window="Give a program access")
    address = window.find(starts="http://127.0.0.1:", has="/bench/", seconds=30)["name"]
    key = window.find(starts="sk-")["name"]
    return address, key


def test_a_program_calls_through_the_apps_gateway_until_its_access_ends(stage: Stage, api: ApiServer) -> None:
    connected = stage.run("connect", "bench", "--method", "api_key", "--api-key-stdin", stdin=f"{TOKEN}\n")
    assert connected.code == 0, connected.err
    with stage.window() as window:
        window.press("Programs", seconds=30)
        window.find(has="The gateway is off")
        address, key = given(window)
        window.find(has="Waiting for its first request", seconds=30)
        window.shot("programs-key")

        answer = call(address, key)
        assert answer.json() == {"method": "GET", "length": 0, "query": ""}
        _, target, headers = api.seen[-1]
        assert (target, headers["Authorization"]) == ("/api/echo", f"Bearer {TOKEN}")
        window.heard("It works: first request at")
        assert call(address, key, "/upload").status_code == 403, "not under this path"
        assert call(address, key, method="POST").status_code == 403, "reading only"
        window.press("Done")

        window.find(name="report")
        window.find(has="1 request", seconds=20)
        window.find(has="2 requests refused today", seconds=20)
        window.shot("programs")
        (row,) = stage.run("grants", "list", "--json").json["grants"]
        assert (row["name"], row["paths"], row["allowed_24h"]) == ("report", ["/echo/**"], 1)

        window.select(starts="bench/")
        window.find(has="Requests left")  # as the API said with its answer
        window.shot("account-rate-limit")
        window.press("Programs")

        sent = len(api.seen)
        window.press("End report")
        window.press("End access")
        window.heard("report can no longer act as")
        until(lambda: call(address, key).status_code == 403, "the access to end", seconds=5)
        assert len(api.seen) == sent, "nothing was sent to the provider"

    with pytest.raises(httpx.ConnectError):
        call(address, key)  # the gateway has ended with the app
    with stage.window() as window:
        window.press("Programs", seconds=30)
        window.find(has="The gateway is on", seconds=30)  # and it starts with it again
        assert call(address, key).status_code == 403
        window.find(name="Allow… report")


def test_the_window_leaves_a_server_of_the_same_grants_alone(stage: Stage) -> None:
    serving = stage.start("serve")
    assert serving.stdout is not None
    line = serving.stdout.readline()
    assert line.startswith("Listening on http://127.0.0.1:")
    port = line.strip().rpartition(":")[2]
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    connected = stage.run("connect", "bench", "--method", "api_key", "--api-key-stdin", stdin=f"{TOKEN}\n")
    assert connected.code == 0, connected.err
    made = stage.run("grants", "create", "bench", "--name", "report", "--json").json
    assert made["url"].startswith(f"http://127.0.0.1:{port}/"), "the setting's port"
    with stage.window() as window:
        window.press("Programs", seconds=30)
        window.find(has=f"keyfob serve runs on port {port}", seconds=30)
        window.find(name="report")
        assert call(made["url"], made["key"]).status_code == 200
        window.find(has="1 request", seconds=30)  # a server writes them every ten seconds
