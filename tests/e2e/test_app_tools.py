"""Tools and updates on a real screen: a tool that the user has added is found, and updated with progress."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app_run import Stage
from support.release_server import ReleaseServer, install, noise, program, tar_of
from support.session import DesktopSession

pytestmark = [pytest.mark.screen, pytest.mark.network, pytest.mark.timeout(300)]

FILE = """
id = "fetcher"
title = "Fetcher"
description = "Does what I need"
program = "fetcher"

[version]
pattern = 'fetcher (?P<version>[0-9.]+)'

[releases]
url = "BASE/newest"
page = "https://example.org/{tag}"

[install]
how = "program"
"""
DOWNLOADS = "".join(
    f'\n[[downloads]]\nsystem = "linux"\nmachine = "{machine}"\nurl = "BASE/fetcher-{{version}}.tar.gz"\n'
    'program = "bin/fetcher"\nchecksums = "BASE/SHA256SUMS"\n'
    for machine in ("x86_64", "arm64")
)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer() as made:
        archive = tar_of("bin/fetcher", program("fetcher 1.4.0"), LICENSE=noise(100_000))
        digest = hashlib.sha256(archive).hexdigest()
        made.files |= {
            "/newest": b"v1.4.0\n",
            "/fetcher-1.4.0.tar.gz": archive,
            "/SHA256SUMS": f"{digest}  fetcher-1.4.0.tar.gz\n".encode(),
        }
        yield made


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            made.settings(first_start_done=True)
            yield made


def test_a_tool_of_the_users_own_is_updated(stage: Stage, server: ReleaseServer) -> None:
    home = Path(stage.session.env["HOME"])
    tool = install(home / ".local" / "bin", "fetcher", "fetcher 1.3.2")
    folder = stage.home / "config" / "companions"
    folder.mkdir()
    (folder / "fetcher.toml").write_text((FILE + DOWNLOADS).replace("BASE", server.base))
    server.gate = threading.Event()
    with stage.window() as window:
        window.find(has="Connect your first account", seconds=30)
        window.press("Settings")
        window.press("Check now", window="Settings")
        window.press("Update to v1.4.0: Fetcher", seconds=60)
        window.heard("Downloading Fetcher")
        bar = window.find(has="Fetcher, 1.3.2 → 1.4.0")
        assert bar["role"] == "progress bar"
        window.shot("tools-progress")
        server.gate.set()
        window.heard("100 %. Fetcher 1.4.0 is installed", seconds=30)
        window.gone(name="Cancel: Fetcher")
        window.shot("tools-current")
        said = subprocess.run([tool], capture_output=True, text=True, check=True, timeout=10).stdout
        assert said == "fetcher 1.4.0\n"
    listed = stage.run("tools", "list")
    assert "fetcher  1.4.0" in listed.out
