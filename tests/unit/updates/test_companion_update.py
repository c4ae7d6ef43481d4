"""Checking and updating companion tools: real programs, over real sockets, from a server like GitHub."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.store.file_locks import FileLocks
from keyfob.core.errors import NotFound, PeerFault, SettingWrong, SignInEnded, Transient, Usage
from keyfob.core.secret import Secret
from keyfob.updates import companion_install
from keyfob.updates.companion_feeds import CompanionFeeds, checksum_in
from keyfob.updates.companion_files import CompanionFiles
from keyfob.updates.companion_install import put_program, recover
from keyfob.updates.companion_probe import Probe
from keyfob.updates.companion_service import Companions, Follow, Step
from keyfob.updates.companion_state import CompanionState
from keyfob.updates.download import Progress
from keyfob.updates.feeds import ReleaseFeeds
from support.release_server import ReleaseServer, install, noise, program, tar_of, zip_of

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts"),
]
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
FILE = """
id = "tool"
title = "Tool"
description = "A tool"
program = "tool"

[version]
pattern = 'tool (?P<version>\\S+)'

[releases]
github = "me/tool"

[install]
how = "HOW"
hosts = ["HOST"]

[[downloads]]
system = "linux"
machine = "x86_64"
name = "tool-{version}.tar.gz"
program = "tool-{version}/bin/tool"
"""


@dataclass
class World:
    """One person's computer with a server like GitHub."""

    companions: Companions
    server: ReleaseServer
    home: Path
    files: Path
    now: list[datetime]

    @property
    def program(self) -> Path:
        return self.home / ".local" / "bin" / "tool"

    def describe(self, text: str = FILE, how: str = "program") -> None:
        self.files.mkdir(exist_ok=True)
        text = text.replace("HOST", self.server.host).replace("HOW", how).replace("BASE", self.server.base)
        (self.files / "tool.toml").write_text(text)

    def publish(self, version: str, says: str = "", **more: bool) -> None:
        data = tar_of(f"tool-{version}/bin/tool", program(says or f"tool {version}"), LICENSE=noise(50_000))
        self.server.publish("me/tool", f"v{version}", {f"tool-{version}.tar.gz": data}, **more)

    def says(self) -> str:
        return (self.program.read_text().split("'")[3]) if self.program.exists() else ""

    def left(self) -> list[str]:
        """What stands beside the program."""
        return sorted(each.name for each in self.program.parent.iterdir() if each != self.program)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, server: ReleaseServer) -> World:
    home, now = tmp_path / "home", [NOW]
    home.mkdir()

    def clock() -> datetime:
        return now[-1]

    transport = HttpTransport(clock, deadline=10)
    feeds = ReleaseFeeds(
        tmp_path / "feeds",
        token=lambda: Secret("ghu_mine"),
        github=server.base,
        transport=transport,
        clock=clock,
    )
    ours = tmp_path / "data" / "tools"
    companions = Companions(
        CompanionFiles(tmp_path / "none", tmp_path / "companions"),
        Probe(home, ours, {"PATH": os.environ["PATH"], "HOME": str(home)}),
        CompanionFeeds(feeds, transport, server.base),
        CompanionState(tmp_path / "state" / "companions.json"),
        (ours, home / ".local" / "bin"),
        FileLocks(tmp_path / "locks"),
        clock,
    )
    companions.system, companions.machine = "linux", "x86_64"
    made = World(companions, server, home, tmp_path / "companions", now)
    made.describe()
    return made


# --- checking -----------------------------------------------------------------------------------------------


def test_nothing_is_asked_for_a_tool_that_is_not_installed(world: World) -> None:
    world.publish("1.4.0")
    (standing,) = world.companions.check()
    assert standing.state == "not_installed"
    assert world.server.asked == []


def test_nothing_is_asked_to_list_the_tools(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    (standing,) = world.companions.all()
    assert (standing.state, standing.newest) == ("unchecked", None)
    assert world.server.asked == []


def test_a_newer_release_is_found_with_the_persons_token_and_remembered(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0", notes="")
    (standing,) = world.companions.check()
    assert standing.newest is not None
    assert (standing.state, standing.newest.version, standing.installable) == ("update", "1.4.0", True)
    assert standing.checked_at == NOW
    assert set(world.server.tokens) == {"Bearer ghu_mine"}
    asked = len(world.server.asked)
    assert world.companions.all() == (standing,)
    assert len(world.server.asked) == asked


@pytest.mark.parametrize(
    ("version", "state"), [("1.4.0", "current"), ("1.5.0", "current"), ("1.3.9", "update")]
)
def test_versions_are_compared(world: World, version: str, state: str) -> None:
    install(world.program.parent, "tool", f"tool {version}")
    world.publish("1.4.0")
    assert world.companions.check(["tool"])[0].state == state


def test_prereleases_and_tags_that_do_not_fit_do_not_count(world: World) -> None:
    world.describe(FILE.replace('github = "me/tool"', 'github = "me/tool"\ntag = "v(?P<version>[0-9.]+)"'))
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    world.publish("1.5.0", prerelease=True)
    world.publish("2.0.0-nightly")
    newest = world.companions.check()[0].newest
    assert newest is not None
    assert newest.version == "1.4.0"


def test_a_failed_check_keeps_what_was_known(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    world.companions.check()
    world.server.failing["/repos/"] = 503
    world.now.append(NOW + timedelta(days=2))
    (standing,) = world.companions.check()
    assert standing.newest is not None
    assert standing.problem is not None
    assert (standing.state, standing.checked_at) == ("update", NOW)
    assert standing.problem.code == "provider_unavailable"
    assert world.companions.all()[0].problem is not None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ('format = "text"', b"v1.4.0\n"),
        ('format = "text"', b"=====\nChanges\n=====\n\n1.4.0\n=====\n* x\n\n1.3.9\n=====\n"),
        ('format = "json"\nfield = "tag_name"', b'{"tag_name": "v1.4.0"}'),
        (
            'format = "json"\nfield = "version"\nonly = "lts"',
            b'[{"version": "v2.1.0", "lts": false}, {"version": "v1.4.0", "lts": "Iron"}]',
        ),
    ],
)
def test_a_text_or_json_file_names_the_newest_release(world: World, kind: str, data: bytes) -> None:
    text = FILE.replace('github = "me/tool"', f'url = "BASE/newest"\n{kind}\npage = "BASE/tag/{{tag}}"')
    world.describe(text.replace('name = "tool', 'url = "BASE/tool'))
    install(world.program.parent, "tool", "tool 1.3.2")
    world.server.files["/newest"] = data
    newest = world.companions.check()[0].newest
    assert newest is not None
    assert newest.version == "1.4.0"
    assert newest.page.startswith(world.server.base + "/tag/")
    assert world.server.tokens == []


@pytest.mark.parametrize("data", [b"", b"nothing here", b"../../etc/passwd\n", b"<html>"])
def test_a_source_that_names_no_release_is_a_problem_of_the_tool(world: World, data: bytes) -> None:
    text = FILE.replace('github = "me/tool"', 'url = "BASE/newest"\ntag = "(?P<version>.+)"')
    world.describe(text.replace('name = "tool', 'url = "BASE/tool'))
    install(world.program.parent, "tool", "tool 1.3.2")
    world.server.files["/newest"] = data
    (standing,) = world.companions.check()
    assert standing.newest is None
    assert standing.problem is not None
    assert standing.problem.code in ("release_unreadable", "captive_portal")


# --- updating -----------------------------------------------------------------------------------------------


def test_the_new_copy_takes_the_place_of_the_old_one(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2").chmod(0o750)
    world.publish("1.4.0")
    steps: list[Step] = []
    progress: list[Progress] = []
    standing = world.companions.update("tool", Follow(progress.append, steps.append))
    assert (standing.state, world.says()) == ("current", "tool 1.4.0")
    assert world.program.stat().st_mode & 0o777 == 0o750
    assert steps == ["downloading", "checking", "installing"]
    assert progress[-1].received == progress[-1].total
    assert world.left() == []
    assert list((world.home.parent / "data" / "tools" / "tool").iterdir()) == []


def test_a_tool_is_installed_only_if_that_is_asked_for(world: World) -> None:
    world.publish("1.4.0")
    with pytest.raises(NotFound, match="Tool is not installed"):
        world.companions.update("tool")
    assert world.server.asked == []
    assert world.companions.update("tool", anew=True).state == "current"
    assert world.says() == "tool 1.4.0"


def test_nothing_is_downloaded_if_the_tool_is_current(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.4.0")
    world.publish("1.4.0")
    assert world.companions.update("tool").state == "current"
    assert not any("/download/" in each for each in world.server.asked)


def test_s108_a_tampered_download_is_not_installed(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    path = "/me/tool/releases/download/v1.4.0/tool-1.4.0.tar.gz"
    data = world.server.files[path]
    world.server.files[path] = data[:-5] + b"XXXXX"
    with pytest.raises(PeerFault) as raised:
        world.companions.update("tool")
    assert raised.value.code == "download_wrong"
    assert (world.says(), world.left()) == ("tool 1.3.2", [])


def test_a_download_without_a_checksum_is_installed_only_if_the_person_says_so(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0", digests=False)
    with pytest.raises(Usage) as raised:
        world.companions.update("tool")
    assert raised.value.code == "tool_unverified"
    assert not any("/download/" in each for each in world.server.asked)
    world.companions.update("tool", unverified=True)
    assert world.says() == "tool 1.4.0"


def test_s108_a_list_of_checksums_is_used_and_must_agree_with_the_release(world: World) -> None:
    world.describe(FILE + 'checksums = "SHA256SUMS"\n')
    install(world.program.parent, "tool", "tool 1.3.2")
    data = tar_of("tool-1.4.0/bin/tool", program("tool 1.4.0"))
    right = f"{hashlib.sha256(data).hexdigest()}  tool-1.4.0.tar.gz\n".encode()
    files = {"tool-1.4.0.tar.gz": data, "SHA256SUMS": b"0" * 64 + b"  tool-1.4.0.tar.gz\n"}
    world.server.publish("me/tool", "v1.4.0", files)
    with pytest.raises(PeerFault, match="two different checksums"):
        world.companions.update("tool")
    world.server.files["/me/tool/releases/download/v1.4.0/SHA256SUMS"] = b"# no such file\n"
    with pytest.raises(PeerFault, match="does not have"):
        world.companions.update("tool")
    world.server.files["/me/tool/releases/download/v1.4.0/SHA256SUMS"] = right
    assert world.companions.update("tool").state == "current"


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("A" * 64, "a" * 64),
        ("a" * 64 + "  tool\n" + "b" * 64 + "  other\n", "a" * 64),
        ("b" * 64 + " *tool", "b" * 64),
        ("b" * 64 + "  other", None),
        ("not a checksum", None),
        ("a" * 63 + "  tool", None),
    ],
)
def test_the_checksum_of_a_file_is_found_in_a_list(text: str, digest: str | None) -> None:
    assert checksum_in(text, "tool") == digest


@pytest.mark.parametrize("says", ["tool 9.9.9", "something else", ""])
def test_s108_a_new_copy_that_does_not_say_its_version_goes_and_the_old_one_comes_back(
    world: World, says: str
) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0", says=says or " ")
    with pytest.raises(PeerFault, match="put the old one back"):
        world.companions.update("tool")
    assert (world.says(), world.left()) == ("tool 1.3.2", [])


def test_a_new_tool_that_does_not_work_is_removed(world: World) -> None:
    world.publish("1.4.0", says="no")
    with pytest.raises(PeerFault, match="removed it"):
        world.companions.update("tool", anew=True)
    assert not world.program.exists()


def test_an_archive_without_the_program_changes_nothing(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    data = tar_of("elsewhere/tool", program("tool 1.4.0"))
    world.server.publish("me/tool", "v1.4.0", {"tool-1.4.0.tar.gz": data})
    with pytest.raises(PeerFault, match="is not in it"):
        world.companions.update("tool")
    assert (world.says(), world.left()) == ("tool 1.3.2", [])


def test_a_cut_is_continued(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    data = tar_of("tool-1.4.0/bin/tool", program("tool 1.4.0"), LICENSE=noise(400_000))
    world.server.publish("me/tool", "v1.4.0", {"tool-1.4.0.tar.gz": data})
    world.server.cuts = 1
    assert world.companions.update("tool").state == "current"


def test_a_download_can_be_cancelled_and_goes_on_later(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    world.server.gate, cancelled = threading.Event(), threading.Event()
    follow = Follow(progress=lambda _: cancelled.set())
    with pytest.raises(SignInEnded) as raised:
        world.companions.update("tool", follow, cancelled)
    assert raised.value.code == "cancelled"
    assert world.says() == "tool 1.3.2"
    world.server.gate.set()
    assert world.companions.update("tool").state == "current"


def test_a_full_disk_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(companion_install.shutil, "copyfile", full)
    with pytest.raises(SettingWrong) as raised:
        world.companions.update("tool")
    assert raised.value.code == "disk_full"
    assert (world.says(), world.left()) == ("tool 1.3.2", [])


def test_two_updates_of_a_tool_do_not_meet(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    world.server.gate, began = threading.Event(), threading.Event()
    follow = Follow(progress=lambda _: began.set())
    first = threading.Thread(target=lambda: world.companions.update("tool", follow))
    first.start()
    assert began.wait(10)
    with pytest.raises(Transient):
        world.companions.update("tool")
    world.server.gate.set()
    first.join()
    assert world.says() == "tool 1.4.0"


def test_a_tool_of_a_manager_is_left_to_it(world: World) -> None:
    path = install(world.home / ".nvm" / "bin", "tool", "tool 1.3.2")
    world.program.parent.mkdir(parents=True)
    world.program.symlink_to(path)
    world.publish("1.4.0")
    standing = world.companions.check()[0]
    assert (standing.state, standing.installable) == ("update", False)
    with pytest.raises(SettingWrong, match="Tool is managed by nvm"):
        world.companions.update("tool")


def test_a_zip_and_a_bare_program_are_installed_too(world: World) -> None:
    install(world.program.parent, "tool", "tool 1.3.2")
    world.describe(FILE.replace(".tar.gz", ".zip"))
    world.server.publish(
        "me/tool", "v1.4.0", {"tool-1.4.0.zip": zip_of("tool-1.4.0/bin/tool", program("tool 1.4.0"))}
    )
    assert world.companions.update("tool").state == "current"
    world.describe(FILE.replace(".tar.gz", "").replace('program = "tool-{version}/bin/tool"\n', ""))
    world.server.publish("me/tool", "v1.5.0", {"tool-1.5.0": program("tool 1.5.0")})
    assert world.companions.update("tool").state == "current"
    assert world.says() == "tool 1.5.0"


# --- a tool in a folder of its own --------------------------------------------------------------------------


def test_a_tool_of_many_files_stays_together_behind_a_link(world: World) -> None:
    world.describe(how="folder")
    install(world.program.parent, "tool", "tool 1.3.2")
    world.publish("1.4.0")
    world.companions.update("tool")
    folder = world.home.parent / "data" / "tools" / "tool"
    assert world.program.resolve() == folder / "1.4.0" / "tool-1.4.0" / "bin" / "tool"
    assert (folder / "1.4.0" / "LICENSE").exists()
    world.publish("1.5.0")
    standing = world.companions.check()[0]
    assert standing.installed is not None
    assert (standing.installed.owner.kind, standing.installable) == ("keyfob", True)
    world.companions.update("tool")
    assert world.says() == "tool 1.5.0"
    assert [each.name for each in folder.iterdir()] == ["1.5.0"]
    world.publish("1.6.0", says="broken")
    with pytest.raises(PeerFault):
        world.companions.update("tool")
    assert world.says() == "tool 1.5.0"


# --- a cut in the middle of the step ------------------------------------------------------------------------


def test_s108_what_a_power_cut_leaves_is_put_right(tmp_path: Path) -> None:
    target, kept = tmp_path / "tool", tmp_path / ".tool.keyfob-old"

    def works(path: Path) -> bool:
        return path.read_text() in ("old", "new")

    kept.write_text("old")
    target.write_text("half")
    (tmp_path / ".tool.keyfob-new").write_text("half")
    recover(target, works)
    assert [each.name for each in tmp_path.iterdir()] == ["tool"]
    assert target.read_text() == "old"
    kept.write_text("old")
    target.write_text("new")
    recover(target, works)
    assert target.read_text() == "new"
    assert not kept.exists()


def test_s108_the_old_copy_is_there_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call is the last one: the program is whole, the old or the new."""
    calls = ("copyfile", "chmod", "link", "replace")
    for last in range(len(calls) + 1):
        folder = tmp_path / str(last)
        target, new = install(folder, "tool", "old"), install(folder / "in", "tool", "new")
        with monkeypatch.context() as patch:
            if last < len(calls):
                _break(patch, calls[last])
                with pytest.raises(SettingWrong):
                    put_program(new, target, lambda _: True)
            else:
                put_program(new, target, lambda _: True)
        assert target.read_bytes() in (program("old"), program("new"))
        assert os.access(target, os.X_OK)


def _break(patch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    if name == "copyfile":
        patch.setattr(shutil, "copyfile", broken)
    elif name == "link":
        patch.setattr(os, "link", broken)
        patch.setattr(shutil, "copy2", broken)
    else:
        patch.setattr(Path, name, broken)
