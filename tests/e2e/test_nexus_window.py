"""The window runs the downloads: a link that the browser hands to `keyfob nexus open` goes to it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app_run import Stage
from support.nexus_server import NexusServer
from support.notification_daemon import NotificationDaemon
from support.running import free_port, until
from support.session import DesktopSession

pytestmark = [pytest.mark.network, pytest.mark.keychain, pytest.mark.screen, pytest.mark.timeout(300)]
SKYRIM = "skyrimspecialedition"


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made
        assert made.site.offences == []


@pytest.fixture
def stage(tmp_path: Path, server: NexusServer) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            made.settings(first_start_done=True, callback_port=free_port())
            presets = made.home / "config" / "providers"
            presets.mkdir(mode=0o700)
            (presets / "nexusmods.toml").write_text(server.preset, "utf-8")
            key = server.site.members[2].key  # a free member
            assert made.run("connect", "nexusmods", "--api-key-stdin", stdin=f"{key}\n").code == 0
            yield made


def test_a_link_of_the_site_goes_to_the_window(stage: Stage, server: NexusServer) -> None:
    server.site.cdn_rate = 500_000
    with stage.window() as window:
        window.row("nexusmods/brea", "connected")
        # The window is the owner, so the command ends as soon as the window has the link.
        opened = stage.run("nexus", "open", server.site.nxm(2, SKYRIM, 10, 103), "--no-wait", "--json")
        (item,) = opened.json["downloads"]
        assert item["state"] in ("waiting", "running")
        window.find(has="Quiet Roads", seconds=30)
        window.shot("nexus-running")

        def state() -> str:
            return str(stage.run("nexus", "downloads", "--json").json["downloads"][0]["state"])

        until(lambda: state() == "done", "the file", 60)
        window.shot("nexus-done")
    (done,) = stage.run("nexus", "downloads", "--json").json["downloads"]
    assert Path(done["path"]).read_bytes() == server.site.find(103)[2].content
    assert done["md5_checked"]


def test_without_a_window_a_notification_says_how_it_ends(stage: Stage, server: NexusServer) -> None:
    """As the browser does: by the registered program, whose output nobody sees."""
    assert stage.run("nexus", "links", "on").code == 0
    script = stage.home / "data" / "nxm-open"
    bus = stage.session.env["DBUS_SESSION_BUS_ADDRESS"]

    def click_on(link: str) -> int:
        return subprocess.run(
            [str(script), link], env=stage.env, capture_output=True, timeout=90, check=False
        ).returncode

    with NotificationDaemon(bus) as daemon:
        assert click_on(server.site.nxm(2, SKYRIM, 13, 130)) == 0
        texts = [values[4] for name, values in daemon.calls if name == "Notify"]
        assert texts[0] == "Downloading Clear Maps 2.4.1"
        assert texts[1].startswith("Downloaded Clear Maps-13-2-4-1-1.zip to ")
        assert click_on(server.site.nxm(2, SKYRIM, 13, 130, life=-5)) == 5
        last = [values[4] for name, values in daemon.calls if name == "Notify"][-1]
        assert last.startswith(
            "The download link has expired. Click Mod Manager Download again on https://www."
        )
        assert "&amp;file_id=130" in last  # as this service wants it
    assert (
        click_on(server.site.nxm(2, SKYRIM, 12, 121)) == 0
    )  # without a service it does its work all the same
