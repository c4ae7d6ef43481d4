"""The window's demo provider when its usual port is another program's: it takes a free one and keeps it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from keyfob.core.errors import SettingWrong
from keyfob.demo.lasting import start_lasting
from keyfob.demo.server import DemoServer
from keyfob.providers.catalogue import standard
from support.running import free_port

pytestmark = pytest.mark.network


class SilentHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "data", tmp_path / "config"


@pytest.fixture
def taken() -> Iterator[int]:
    """The port of another program: a web server that knows nothing of us."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SilentHandler) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield other.server_port
        other.shutdown()
        thread.join()


@contextmanager
def start(folders: tuple[Path, Path], usual: int) -> Iterator[DemoServer]:
    data, config = folders
    data.mkdir(exist_ok=True)
    server = start_lasting(data, config, access_lifetime=60, usual=usual)
    try:
        yield server
    finally:
        server.stop()


def test_the_usual_port_is_taken_when_it_is_free(folders: tuple[Path, Path]) -> None:
    usual = free_port()
    with start(folders, usual) as server:
        assert server.issuer == f"http://127.0.0.1:{usual}"
    assert not (folders[1] / "providers").exists()


def test_another_programs_port_leads_to_a_free_one_that_stays(folders: tuple[Path, Path], taken: int) -> None:
    with start(folders, taken) as server:
        issuer = server.issuer
        assert issuer != f"http://127.0.0.1:{taken}"
        metadata = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
        assert metadata["issuer"] == issuer
        preset = standard(folders[1]).get("demo")
        assert (preset.issuer, preset.api.base) == (issuer, issuer)
    with start(folders, taken) as again:
        assert again.issuer == issuer
    assert standard(folders[1]).faults() == []


def test_the_port_it_kept_may_be_taken_too(folders: tuple[Path, Path], taken: int) -> None:
    with start(folders, taken) as server:
        port = int(server.issuer.rpartition(":")[2])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with start(folders, taken) as third:
            assert third.issuer not in (server.issuer, f"http://127.0.0.1:{taken}")
            assert standard(folders[1]).get("demo").issuer == third.issuer


def test_a_preset_of_the_persons_own_is_never_replaced(folders: tuple[Path, Path], taken: int) -> None:
    own = folders[1] / "providers" / "demo.toml"
    own.parent.mkdir(parents=True)
    own.write_text(f'id = "demo"\nissuer = "http://127.0.0.1:{taken}"\n')
    before = own.read_bytes()
    with pytest.raises(SettingWrong) as told, start(folders, taken):
        pass
    assert told.value.code == "fixed_port_taken"
    assert own.read_bytes() == before
