"""The page of a Nexus Mods account on a real screen: signed in with a key in the window, at our server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app_run import Stage, Window
from support.nexus_server import NexusServer
from support.nexus_site import pack
from support.running import until
from support.session import DesktopSession

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(300),
]

SKYRIM = "skyrimspecialedition"
CONTENT = pack("roads-1.9.2", 6_000_000)


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        made.site.mod(SKYRIM, 10).files[2].content = CONTENT
        made.site.members[1].tracked = []
        yield made
        assert made.site.offences == []


@pytest.fixture
def stage(tmp_path: Path, server: NexusServer) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            folder = made.home / "config" / "providers"
            folder.mkdir(parents=True, mode=0o700)
            (folder / "nexusmods.toml").write_text(server.preset, "utf-8")
            made.settings(first_start_done=True)
            yield made


def sign_in(window: Window) -> None:
    """With the member's personal key."""
    window.press("Connect Account", window="Keyfob")
    window.type("Search providers", "Nexus", window="Connect Account")
    window.select(name="Nexus Mods", window="Connect Account")
    window.press("Continue", window="Connect Account")
    window.type("API key", "key-of-aldis", window="Connect Account")
    window.press("Continue", window="Connect Account")
    window.find(name="Connected as Aldis", window="Connect Account", seconds=60)
    window.press("Done", window="Connect Account")
    window.gone(role="dialog", name="Connect Account")


def received(folder: Path) -> int:
    """The bytes of the download that goes on."""
    return sum(each.stat().st_size for each in folder.glob("*.part"))


def test_an_update_is_seen_downloaded_and_resumed_after_a_restart(
    stage: Stage, server: NexusServer, tmp_path: Path
) -> None:
    target = tmp_path / "mods"
    with stage.window() as window:
        sign_in(window)
        window.row("nexusmods/aldis", "connected")
        window.find(name="No games yet", window="Keyfob", seconds=60)
        window.shot("nexus-empty")
    assert stage.run("nexus", "downloads", "folder", SKYRIM, str(target)).code == 0
    added = stage.run("nexus", "mods", "add", f"{SKYRIM}/10", "--installed", "1.8.0")
    assert added.code == 0, added.err

    server.site.cdn_rate = 500_000
    with stage.window() as window:
        window.find(name="Membership: Premium", window="Keyfob", seconds=60)
        window.find(name="Quiet Roads, by halvard · endorsed, version 1.8.0 to 1.9.2", seconds=60)
        window.find(name="Mods, 1", role="page tab")
        window.press("Update all", window="Keyfob")
        window.heard("Downloading Quiet Roads 1.9.2", seconds=60)
        window.find(has="of 6 MB", role="list item", seconds=60)
        window.shot("nexus-downloading")
        until(lambda: received(target) > 1_000_000, "a part of the file", seconds=60)
    assert not list(target.glob("*.zip"))
    had = received(target)
    assert 0 < had < len(CONTENT)

    server.site.cdn_rate = None
    with stage.window() as window:
        window.find(has="Quiet Roads, by halvard · endorsed, version 1.9.2, Up to date", seconds=60)
        window.shot("nexus-current")
    (file,) = target.glob("*.zip")
    assert file.read_bytes() == CONTENT
    ranges = [each.headers["range"] for each in server.site.asked if "range" in each.headers]
    assert ranges[-1] == f"bytes={had}-"
