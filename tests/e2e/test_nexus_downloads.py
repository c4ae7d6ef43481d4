"""Downloads of mods: over real sockets, with links that end, cuts, restarts and damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import keyfob
from keyfob.nexus.models import DownloadItem, DownloadState
from keyfob.nexus.service import Nexus, NexusService
from support.nexus_home import nexus_at
from support.nexus_server import NexusServer
from support.nexus_site import pack
from support.running import APP, until

pytestmark = pytest.mark.network
SKYRIM = "skyrimspecialedition"


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made
        assert made.site.offences == []


@pytest.fixture
def nexus(tmp_path: Path, server: NexusServer) -> Iterator[Nexus]:
    with nexus_at(tmp_path, server) as made:
        made.transfers.take()
        yield made


@pytest.fixture
def aldis(nexus: Nexus) -> NexusService:
    return nexus.service("nexusmods/aldis")


def ended(nexus: Nexus, job_id: str, state: DownloadState = "done") -> DownloadItem:
    """The download, once it is in this state."""

    def here() -> DownloadItem:
        return next(item for item in nexus.transfers.items() if item.id == job_id)

    def settled() -> bool:
        return here().state in (state, "stopped", "done", "link")

    until(settled, f"the download to be {state}", 30)
    found = here()
    assert found.state == state, (found.state, found.problem)
    return found


def test_a_premium_members_file_is_downloaded_and_checked(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    aldis.set_folder(SKYRIM, tmp_path / "mods")
    done = ended(nexus, aldis.download(SKYRIM, 10, 103).id)
    # The name has blanks, which the API does not escape in its links.
    assert done.path == tmp_path / "mods" / "Quiet Roads 10 1.9.2 2026-09-21T14-13Z 103.zip"
    assert done.path.read_bytes() == server.site.find(103)[2].content
    assert (done.md5_checked, done.received, done.problem) == (True, 2_000_000, None)
    assert [path.name for path in (tmp_path / "mods").iterdir()] == [done.path.name]
    # It counts as installed.
    state = next(each for each in aldis.mods() if each.mod.mod_id == 10)
    assert (state.installed_file_id, state.installed_version, state.state) == (103, "1.9.2", "current")


def test_the_update_of_a_mod_is_its_newest_file(
    aldis: NexusService, nexus: Nexus, server: NexusServer
) -> None:
    aldis.add_mod(f"{SKYRIM}/10", version="1.8.0")
    state = next(each for each in aldis.check() if each.mod.mod_id == 10)
    assert ended(nexus, aldis.update(state).id).file_id == 103
    assert next(each for each in aldis.known_mods() if each.mod.mod_id == 10).state == "current"


def test_of_several_files_the_user_chooses(aldis: NexusService) -> None:
    with pytest.raises(keyfob.NotFound):
        aldis.download(SKYRIM, 999)
    with pytest.raises(keyfob.SettingWrong) as hidden:
        aldis.download(SKYRIM, 14)
    assert hidden.value.code == "mod_hidden"
    assert [file.file_id for file in aldis.files(SKYRIM, 12)] == [121, 122]


def test_s99_a_free_member_presses_the_button(nexus: Nexus, server: NexusServer, tmp_path: Path) -> None:
    brea = nexus.service("nexusmods/brea")
    waiting = ended(nexus, brea.download(SKYRIM, 13, 130).id, "link")
    assert waiting.page.endswith("/skyrimspecialedition/mods/13?tab=files&file_id=130&nmm=1")
    link = server.site.nxm(2, "SkyrimSpecialEdition", 13, 130)  # old links have capitals
    opened = nexus.open_link(link)
    assert opened.id == waiting.id  # the download that waits for it
    assert ended(nexus, opened.id).md5_checked
    key = link.partition("key=")[2].partition("&")[0]
    assert sum(key in path for path in server.site.paths()) == 1  # used once
    for file in (tmp_path / "state").iterdir():
        if file.is_file():
            assert key not in file.read_text("utf-8")


def test_an_expired_link_says_to_press_the_button_again(nexus: Nexus, server: NexusServer) -> None:
    asked = len(server.site.asked)
    with pytest.raises(keyfob.Transient) as caught:
        nexus.open_link(server.site.nxm(2, SKYRIM, 13, 130, life=-5))
    assert caught.value.code == "nxm_link_expired"
    assert caught.value.facts["page"].endswith("file_id=130&nmm=1")
    assert len(server.site.asked) == asked
    # The server's clock is ahead of ours.
    server.site.clock = lambda: time.time() + 7200
    link = server.site.nxm(2, SKYRIM, 13, 130, life=-3600)
    item = ended(nexus, nexus.open_link(link).id, "link")
    assert item.code == "nxm_link_expired"


def test_s99_a_link_of_another_member_is_not_sent(nexus: Nexus, server: NexusServer) -> None:
    with pytest.raises(keyfob.SettingWrong) as caught:
        nexus.open_link(server.site.nxm(77, SKYRIM, 13, 130))
    assert caught.value.code == "nxm_link_of_another"
    assert server.site.asked == []
    # With two accounts, the one whose link it is downloads.
    nexus.service("nexusmods/aldis")
    nexus.open_link(server.site.nxm(2, SKYRIM, 13, 130))
    until(lambda: any("download_link" in path for path in server.site.paths()))
    asked = next(each for each in server.site.asked if "download_link" in each.path)
    assert asked.headers["apikey"] == "key-of-brea"


def test_a_link_of_the_cdn_that_ended_is_replaced_and_the_rest_fetched(
    aldis: NexusService, nexus: Nexus, server: NexusServer
) -> None:
    server.site.cdn_cut = 400_000
    cut = [0]

    def clock() -> float:
        return time.time() + cut[0]

    server.site.clock = clock
    server.site.cdn_life = 1000
    server.site.cdn_rate = 1_000_000
    item = aldis.download(SKYRIM, 10, 103)
    until(lambda: nexus.transfers.items()[0].received > 100_000)
    cut[0] = 2000  # the link ends while the file comes, and then the connection breaks
    done = ended(nexus, item.id)
    assert done.path is not None
    assert done.path.read_bytes() == server.site.find(103)[2].content
    assert sum("download_link" in path for path in server.site.paths()) == 2
    ranges = [each.headers.get("range") for each in server.site.asked if each.host == "cdn"]
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert all(each.headers.get("if-range") for each in server.site.asked if each.headers.get("range"))


def test_pause_resume_and_cancel(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    aldis.set_folder(SKYRIM, tmp_path / "mods")
    server.site.cdn_rate = 500_000
    seen: list[float | None] = []
    stop = nexus.transfers.observe(lambda: seen.append(nexus.transfers.items()[0].rate))
    item = aldis.download(SKYRIM, 10, 103)
    until(lambda: nexus.transfers.items()[0].received > 100_000)
    running = nexus.transfers.items()[0]
    assert (running.state, running.total) == ("running", 2_000_000)
    nexus.transfers.pause(item.id)
    until(lambda: nexus.transfers.items()[0].state == "paused")
    assert any(seen)
    stop()
    server.site.cdn_rate = None
    nexus.transfers.resume(item.id)
    done = ended(nexus, item.id)
    assert done.path is not None
    assert done.path.read_bytes() == server.site.find(103)[2].content
    assert any(each.headers.get("range") for each in server.site.asked)

    server.site.cdn_rate = 200_000
    again = aldis.download(SKYRIM, 10, 103)
    until(lambda: nexus.transfers.items()[-1].received > 20_000)
    nexus.transfers.cancel(again.id)
    until(lambda: len(nexus.transfers.items()) == 1)
    assert [path.name for path in (tmp_path / "mods").iterdir()] == [done.path.name]
    with pytest.raises(keyfob.NotFound):
        nexus.transfers.pause(again.id)
    nexus.transfers.clear()
    assert nexus.transfers.items() == []
    assert done.path.exists()


def test_two_files_of_one_name_do_not_meet(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    for game in (SKYRIM, "eldenring"):
        aldis.set_folder(game, tmp_path / "mods")
    one, other = server.site.find(130)[2], server.site.find(200)[2]
    one.file_name = other.file_name = "Main.zip"
    one.content, other.content = pack("one", 300_000), pack("other", 300_000)
    server.site.cdn_rate = 300_000
    first, second = aldis.download(SKYRIM, 13, 130), aldis.download("eldenring", 20, 200)
    until(lambda: all(each.received > 0 for each in nexus.transfers.items()))
    server.site.cdn_rate = None
    contents = {ended(nexus, each.id).path: each.file_id for each in (first, second)}
    assert {path.name for path in contents if path} == {"Main.zip", "Main (2).zip"}
    assert all(
        path.read_bytes() == server.site.find(file_id)[2].content
        for path, file_id in contents.items()
        if path
    )


def test_two_run_at_once_and_the_third_waits(aldis: NexusService, nexus: Nexus, server: NexusServer) -> None:
    server.site.cdn_rate = 300_000
    for number in range(3):
        mod = server.site.mod(SKYRIM, 13)
        mod.files.append(
            replace(
                mod.files[0],
                file_id=900 + number,
                file_name=f"{number}.zip",
                content=pack(str(number), 300_000),
            )
        )
        aldis.download(SKYRIM, 13, 900 + number)
    until(lambda: all(each.received > 0 for each in nexus.transfers.items()[:2]))
    assert [each.state for each in nexus.transfers.items()] == ["running", "running", "waiting"]
    server.site.cdn_rate = None
    until(lambda: [each.state for each in nexus.transfers.items()] == ["done"] * 3)


def test_a_file_that_the_site_does_not_list_is_refused_until_the_user_keeps_it(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    aldis.set_folder(SKYRIM, tmp_path / "mods")
    server.site.cdn_spoilt = True
    item = ended(nexus, aldis.download(SKYRIM, 13, 130).id, "stopped")
    assert (item.code, item.can_keep, item.path) == ("file_unlisted", True, None)
    assert [path.suffix for path in (tmp_path / "mods").iterdir()] == [".download"]
    server.site.cdn_spoilt = False
    nexus.transfers.resume(item.id)  # from the beginning
    done = ended(nexus, item.id)
    assert done.path is not None
    assert done.path.read_bytes() == server.site.find(130)[2].content

    server.site.cdn_spoilt = True
    item = ended(nexus, aldis.download(SKYRIM, 12, 121).id, "stopped")
    nexus.transfers.keep(item.id)
    kept = ended(nexus, item.id)
    assert (kept.md5_checked, kept.can_keep) == (False, False)
    assert kept.path is not None
    assert kept.path.exists()


def test_s98_another_file_or_another_size_is_refused(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    aldis.set_folder(SKYRIM, tmp_path / "mods")
    wanted, other = server.site.find(121)[2], server.site.find(122)[2]
    other.content = pack("other", len(wanted.content))
    server.site.cdn_instead = other.content  # as long as the right one, and listed as another file
    item = ended(nexus, aldis.download(SKYRIM, 12, 121).id, "stopped")
    assert (item.code, item.can_keep) == ("download_wrong", False)
    assert list((tmp_path / "mods").iterdir()) == []
    server.site.cdn_instead = b"another size"
    nexus.transfers.resume(item.id)
    until(lambda: nexus.transfers.items()[0].at > item.at and nexus.transfers.items()[0].state == "stopped")
    assert nexus.transfers.items()[0].code == "download_wrong"
    server.site.cdn_instead = None
    nexus.transfers.resume(item.id)
    done = ended(nexus, item.id)
    assert done.path is not None
    assert done.path.read_bytes() == wanted.content


def test_s98_what_the_api_names_becomes_a_safe_name(
    aldis: NexusService, nexus: Nexus, server: NexusServer, tmp_path: Path
) -> None:
    aldis.set_folder(SKYRIM, tmp_path / "mods")
    file = server.site.find(130)[2]
    file.file_name = "..\\..\\evil.zip"
    done = ended(nexus, aldis.download(SKYRIM, 13, 130).id)
    assert done.path is not None
    assert done.path.parent == tmp_path / "mods"
    assert done.path.name == "_.._evil.zip"


def test_s98_a_link_to_another_host_is_not_opened(
    aldis: NexusService, nexus: Nexus, server: NexusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        server.site,
        "cdn_links",
        lambda *_: [{"name": "x", "short_name": "x", "URI": "https://evil.example/a.zip"}],
    )
    item = ended(nexus, aldis.download(SKYRIM, 13, 130).id, "stopped")
    assert item.code == "download_elsewhere"
    monkeypatch.setattr(
        server.site,
        "cdn_links",
        lambda *_: [{"name": "x", "short_name": "x", "URI": "http://cf-files.nexusmods.com/a"}],
    )
    nexus.transfers.resume(item.id)
    until(lambda: nexus.transfers.items()[0].at > item.at and nexus.transfers.items()[0].state == "stopped")
    assert nexus.transfers.items()[0].code == "download_elsewhere"


# --- restarts -----------------------------------------------------------------------------------------------

CHILD = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from keyfob.client import tokens
from keyfob.nexus.service import Nexus

class Aldis:
    def accounts(self):
        from urllib.parse import urlsplit
        return [{{"id": "nexusmods/aldis", "provider": "nexusmods", "label": "aldis", "subject": "1",
                 "plan": "premium", "hosts": [urlsplit({base!r}).netloc]}}]
    def sign(self, account, method, url, nonce, rejected):
        headers = {{"apikey": "key-of-aldis"}}
        return {{"token": "key-of-aldis", "url": url, "headers": headers, "expires_at": None}}
tokens.ask(Aldis())
home = Path({home!r})
nexus = Nexus(home / "state", home / "data", {{"KEYFOB_HOME": str(home)}}, pause=0)
nexus.transfers.take()
nexus.service("nexusmods/aldis").download({game!r}, 10, 103)
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def child(home: Path, server: NexusServer) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the downloads of `home`, and has begun one."""
    code = CHILD.format(
        path=[str(APP), str(APP.parent / "tests")], base=server.base, home=str(home), game=SKYRIM
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path, server: NexusServer) -> None:
    """The rest is fetched by the next process, and the bytes are right."""
    server.site.cdn_rate = 400_000
    with nexus_at(tmp_path, server) as nexus, child(tmp_path, server) as process:
        assert nexus.transfers.take() is False  # the other process is the owner
        until(lambda: nexus.transfers.items() and nexus.transfers.items()[0].received > 200_000)
        assert nexus.transfers.items()[0].rate
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        left = nexus.transfers.items()[0]  # from the disk
        assert left.state == "waiting"
        assert 200_000 < left.received < 2_000_000
        server.site.cdn_rate = None
        assert nexus.transfers.take()
        done = ended(nexus, left.id)
        assert done.path is not None
        assert done.path.read_bytes() == server.site.find(103)[2].content
    first, *_, last = [each for each in server.site.asked if each.host == "cdn"]
    assert first.headers.get("range") is None
    asked = int(last.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 200_000 < asked < 2_000_000


def test_another_process_is_asked_while_it_runs_them(tmp_path: Path, server: NexusServer) -> None:
    server.site.cdn_rate = 400_000
    with nexus_at(tmp_path, server) as nexus, child(tmp_path, server):
        (item,) = nexus.transfers.items()
        nexus.transfers.pause(item.id)
        until(lambda: nexus.transfers.items()[0].state == "paused")
        server.site.cdn_rate = None
        opened = nexus.open_link(server.site.nxm(1, SKYRIM, 13, 130))
        done = ended(nexus, opened.id)
        assert not nexus.transfers.own
        assert done.md5_checked
        with pytest.raises(keyfob.NotFound) as caught:
            nexus.transfers.pause("ffffffff")
        assert caught.value.code == "download_not_found"
        nexus.transfers.cancel(item.id)
        nexus.transfers.clear()
        assert nexus.transfers.items() == []


def test_a_folder_that_cannot_be_used_is_said(aldis: NexusService, nexus: Nexus, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    aldis.set_folder(SKYRIM, tmp_path / "file")
    item = ended(nexus, aldis.download(SKYRIM, 13, 130).id, "stopped")
    assert item.code == "file_unwritable"
