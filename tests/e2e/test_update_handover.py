"""The keeper's role passes to a new version: two real agents from two version folders, and clients that ask
all the time and notice nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from keyfob.updates.bundle import Bundle
from support.agent_process import PASSPHRASE, Machine, machine, said_by
from support.bundles import START, packed
from support.running import APP, finish, until
from support.tuf_repository import served

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a bundle updates itself on Linux alone"),
]
# Keyfob as this checkout has it, which takes itself for the frozen app of a version.
PROGRAM = """#!/bin/sh
exec {python} -I -c '
import sys
sys.path.insert(0, "{app}")
import keyfob
keyfob.__version__ = "{version}"
sys.frozen, sys.executable = True, "{here}"
{more}
from keyfob.__main__ import main
sys.exit(main())
' "$@"
"""


def program_of(root: Path, version: str, more: str = "") -> str:
    here = root / "versions" / version / "keyfob"
    return PROGRAM.format(python=sys.executable, app=APP, version=version, here=here, more=more)


def add_version(root: Path, version: str, more: str = "") -> None:
    folder = root / "versions" / version
    folder.mkdir(parents=True)
    here = folder / "keyfob"
    here.write_text(program_of(root, version, more))
    here.chmod(0o755)
    (folder / "installation.json").write_text('{"kind": "bundle"}')


class Asking:
    """Clients that ask in a loop, each time on a new connection."""

    def __init__(self, path: Path, clients: int = 3, target: str = "/v1/token/here") -> None:
        self._path = path
        self._target = target
        self._end = threading.Event()
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            try:
                status, _ = request(self._path, "GET", self._target)
                self.answers[status] += 1
                if status != 200:
                    self.failures.append(str(status))
            except OSError as error:
                self.failures.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - began)
            time.sleep(0.002)


def request(path: Path, method: str, target: str) -> tuple[int, bytes]:
    """By a client that takes no second try."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(str(path))
        sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        raise OSError("no answer")
    return int(head.split()[1]), body


def agent_of(home: Machine) -> dict[str, object]:
    found: dict[str, object] = json.loads(request(home.socket, "GET", "/v1/agent")[1])
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    root = tmp_path / "keyfob"
    add_version(root, "1.0")
    add_version(root, "2.0")
    (root / "current").symlink_to("versions/1.0")
    shutil.copy(START, root / "keyfob")
    return Bundle(root)


@contextmanager
def agent(home: Machine, bundle: Bundle, tmp_path: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """The agent of the current version. Its passphrase comes as systemd passes it: it can be read again."""
    folder = tmp_path / "credentials"
    folder.mkdir(exist_ok=True)
    (folder / "keyfob-passphrase").write_text(PASSPHRASE)
    process = home.start(
        "agent", program=[str(bundle.root / "keyfob")], unlocked=False,
        CREDENTIALS_DIRECTORY=str(folder), **env,
    )  # fmt: skip
    said = said_by(process)
    assert "answers your tools" in said, said
    try:
        yield process
    finally:
        # Not by a signal: on trial, the process that was started is the start script.
        if process.poll() is None:
            request(home.socket, "POST", "/v1/agent/stop")
        process.communicate(timeout=60)


def change_over(home: Machine, expected: str) -> None:
    assert request(home.socket, "POST", "/v1/agent/restart")[0] == 200
    until(lambda: agent_of(home)["version"] == expected, "a new version", 60)


def test_clients_that_ask_all_the_time_notice_nothing(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    with agent(home, bundle, tmp_path) as process:
        before = agent_of(home)
        assert before["version"] == "1.0"
        assert not before["started_by_system"]
        inode = home.socket.stat().st_ino
        bundle.switch("2.0")
        with Asking(home.socket) as asking:
            time.sleep(0.5)
            change_over(home, "2.0")
            time.sleep(0.5)
        assert asking.failures == []
        assert asking.answers[200] > 100
        assert asking.slowest < 20
        until(lambda: bundle.on_trial() is None, "the end of the trial")
        assert home.socket.stat().st_ino == inode, "the same socket"
        assert not agent_of(home)["started_by_system"]
        # And once more, without a trial: the process itself goes on as the next version.
        pid = agent_of(home)["pid"]
        add_version(bundle.root, "3.0")
        (bundle.root / "current").unlink()
        (bundle.root / "current").symlink_to("versions/3.0")
        with Asking(home.socket) as asking:
            change_over(home, "3.0")
        assert asking.failures == []
        assert agent_of(home)["pid"] == pid
        assert process.poll() is None
    assert not home.socket.exists(), "the last one removes the socket"


def test_a_renewal_under_way_finishes_first(
    home: Machine, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.demo.web.SLOW_SECONDS", 4.0)
    with agent(home, bundle, tmp_path):
        bundle.switch("2.0")
        renewals = home.server.counters.get("renewals", 0)
        slow(home)
        answers: list[tuple[int, bytes]] = []
        renewing = threading.Thread(
            target=lambda: answers.append(request(home.socket, "POST", "/v1/renew/here"))
        )
        renewing.start()
        until(lambda: json.loads(request(home.socket, "GET", "/v1/accounts/here")[1])["status"] == "renewing")
        with Asking(home.socket) as asking:
            change_over(home, "2.0")
        renewing.join(30)
        slow(home)
        assert asking.failures == []
        assert [status for status, _ in answers] == [200]
        assert home.server.counters["renewals"] == renewals + 1
        account = json.loads(request(home.socket, "GET", "/v1/accounts/here")[1])
        assert account["status"] == "connected"
        # What was received is saved: the new version renews with it.
        assert request(home.socket, "POST", "/v1/renew/here")[0] == 200


def test_a_new_version_that_crashes_costs_no_request(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    shutil.rmtree(bundle.versions / "2.0")
    add_version(bundle.root, "2.0", more="raise SystemExit(1)")
    with agent(home, bundle, tmp_path):
        bundle.switch("2.0")
        with Asking(home.socket) as asking:
            assert request(home.socket, "POST", "/v1/agent/restart")[0] == 200
            until(lambda: bundle.failed() == "2.0", "a step back", 60)
            assert agent_of(home)["version"] == "1.0"
        assert asking.failures == []
        assert bundle.current() == "1.0"


def test_a_second_agent_is_not_needed_afterwards(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    with agent(home, bundle, tmp_path):
        bundle.switch("2.0")
        change_over(home, "2.0")
        second = home.start("agent")
        assert "already running" in said_by(second)
        assert second.wait(30) == 0
        assert agent_of(home)["version"] == "2.0"


def test_an_agent_that_needs_its_passphrase_again_says_so(home: Machine, bundle: Bundle) -> None:
    process = home.start("agent", program=[str(bundle.root / "keyfob")])
    assert "answers your tools" in said_by(process)
    status, body = request(home.socket, "POST", "/v1/agent/restart")
    assert status == 400
    assert "needs the passphrase" in json.loads(body)["message"]
    assert request(home.socket, "GET", "/v1/token/here")[0] == 200, "it goes on"
    assert process.poll() is None


def test_an_agent_of_a_checkout_does_not_restart(home: Machine) -> None:
    home.agent()
    status, body = request(home.socket, "POST", "/v1/agent/restart")
    assert status == 400
    assert "does not update itself" in json.loads(body)["message"]


def test_the_command_installs_and_has_the_agent_change(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    """From the signed repository to the agent's answer, with clients that ask all the time."""
    with served(tmp_path / "publisher") as published:
        (tmp_path / "root.json").write_bytes(published.root)
        source = published.source
        more = f"""
import keyfob.updates.service as service
from keyfob.updates.source import Source
from pathlib import Path
service.read_source = lambda: Source(
    metadata="{source.metadata}", targets="{source.targets}", root=Path("{tmp_path}/root.json").read_bytes()
)
"""
        shutil.rmtree(bundle.versions)
        add_version(bundle.root, "1.0", more)
        archive = packed(tmp_path, "2.0", program_of(bundle.root, "2.0", more))
        published.add("2.0", archive, notes="- faster")
        with agent(home, bundle, tmp_path), Asking(home.socket) as asking:
            ran = finish(home.start("update", "install", program=[str(bundle.root / "keyfob")]))
            assert ran.code == 0, ran.err
            assert ran.out == "Keyfob 2.0 is installed.\nThe agent has changed to it.\n"
            assert agent_of(home)["version"] == "2.0"
            until(lambda: bundle.on_trial() is None, "the end of the trial")
            assert asking.failures == []
            ran = finish(home.start("update", "check", program=[str(bundle.root / "keyfob")]))
            assert ran.out == "Keyfob 2.0 is the newest version.\n"


# What the button of the window's dialog calls, once a file is there.
RESTARTS = """
import os
from keyfob.desktop import controller
built = controller.AppController._built
def then_restart(self, engine):
    from PySide6.QtCore import QTimer
    built(self, engine)
    open("{go}.up", "w").close()
    def look():
        if os.path.exists("{go}"):
            timer.stop()
            assert self.restart()
    timer = QTimer(self)
    timer.timeout.connect(look)
    timer.start(50)
controller.AppController._built = then_restart
"""


def test_the_app_becomes_the_new_version(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    """Its window closes and comes back; what it serves is served all the time."""
    go = tmp_path / "go"
    shutil.rmtree(bundle.versions / "1.0")
    add_version(bundle.root, "1.0", RESTARTS.format(go=go))
    screen = {"QT_QPA_PLATFORM": "offscreen", "DISPLAY": ":99", "KEYFOB_START_HIDDEN": "1"}
    app = home.start(program=[str(bundle.root / "keyfob")], unlocked=False, **screen)
    try:
        until(lambda: home.socket.exists() and agent_of(home)["window"], "the app", 60)
        bundle.switch("2.0")
        with Asking(home.socket, target="/v1/accounts") as asking:
            go.touch()
            until(lambda: agent_of(home)["version"] == "2.0", "the new version", 60)
        assert asking.failures == []
        assert agent_of(home)["window"]
        until(lambda: bundle.on_trial() is None, "the end of the trial")
    finally:
        app.terminate()  # on trial, the start script passes it on
        app.communicate(timeout=60)
    assert not home.socket.exists()


def test_an_agent_beside_the_app_changes_with_it(home: Machine, bundle: Bundle, tmp_path: Path) -> None:
    """Both are on trial at once: each that comes up well lets the other be."""
    go = tmp_path / "go"
    with agent(home, bundle, tmp_path):
        shutil.rmtree(bundle.versions / "1.0")
        add_version(bundle.root, "1.0", RESTARTS.format(go=go))
        screen = {"QT_QPA_PLATFORM": "offscreen", "DISPLAY": ":99", "KEYFOB_START_HIDDEN": "1"}
        app = home.start(program=[str(bundle.root / "keyfob")], unlocked=False, **screen)
        try:
            until(Path(f"{go}.up").exists, "the app", 60)  # or it would start as 2.0
            bundle.switch("2.0")
            with Asking(home.socket) as asking:
                go.touch()
                until(lambda: agent_of(home)["version"] == "2.0", "the new version", 60)
                until(lambda: bundle.on_trial() is None, "the end of the trial")
            assert asking.failures == []
            assert not agent_of(home)["window"], "the agent keeps the role"
            assert bundle.failed() is None
            assert app.poll() is None
        finally:
            app.terminate()
            app.communicate(timeout=60)


def slow(home: Machine) -> None:
    """The switch on the provider's own page."""
    issuer = home.server.issuer
    asked = Request(f"{issuer}/playground/slow", method="POST", headers={"Origin": issuer})
    with suppress(HTTPError):  # it answers with another page
        urlopen(asked, timeout=30).close()


def test_the_environment_of_the_new_version_is_clean() -> None:
    """What the change hands over is taken out again: programs that the agent starts get nothing of it."""
    from keyfob.agent.succession import FILE, inherited_file

    os.environ[FILE] = "1:2"
    try:
        assert inherited_file() == (1, 2)
        assert FILE not in os.environ
        os.environ[FILE] = "nonsense"
        assert inherited_file() is None
    finally:
        os.environ.pop(FILE, None)
