"""The change to a new version: what is left when it succeeds, fails, is cancelled, or is killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import Fault, KeyfobError, SettingWrong, SignInEnded
from keyfob.updates.bundle import Bundle
from keyfob.updates.change import Stage, Watcher, change_to
from keyfob.updates.download import Progress
from keyfob.updates.trusted import Archive
from support.bundles import new_bundle, packed, start
from support.hostile import RawServer, Talk, answer

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a bundle updates itself on Linux alone"),
]
KILLED = Path(__file__).resolve().parents[2] / "support" / "killed_change.py"


class Server(RawServer):
    """Gives one archive."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        super().__init__(self.give)

    def give(self, talk: Talk) -> None:
        answer(200, self.data, {"Content-Type": "application/gzip", "ETag": '"a"'})(talk)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return new_bundle(tmp_path / "keyfob", "1.0")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(packed(tmp_path, "2.0")) as made:
        yield made


def archive(server: Server, version: str = "2.0") -> Archive:
    data = server.data
    name = f"keyfob-{version}-linux-x86_64.tar.gz"
    return Archive(version, name, server.url(f"/{name}"), len(data), hashlib.sha256(data).hexdigest(), "")


def change(root: Path, server: Server, **more: Any) -> None:
    arguments = {
        "hosts": (f"127.0.0.1:{server.port}",), "watcher": Watcher(), "cancelled": threading.Event(),
    } | more  # fmt: skip
    folder = root.parent / "downloads"
    change_to(more.pop("archive", None) or archive(server), Bundle(root), folder, **arguments)


def names(root: Path) -> list[str]:
    return sorted(each.name for each in (root / "versions").iterdir())


def test_the_new_version_is_used_and_the_old_one_kept(root: Path, server: Server) -> None:
    stages: list[Stage] = []
    seen: list[Progress] = []
    change(root, server, watcher=Watcher(stages.append, seen.append))
    assert stages == ["downloading", "unpacking", "trying", "done"]
    assert seen[-1].received == seen[-1].total
    assert names(root) == ["1.0", "2.0"]
    assert Bundle(root).on_trial() == ("2.0", "1.0")
    assert list((root.parent / "downloads").iterdir()) == []
    assert start(root, "agent").stdout.startswith("agent of 2.0")
    assert Bundle(root).on_trial() is None


def test_only_one_older_version_is_kept(root: Path, server: Server, tmp_path: Path) -> None:
    change(root, server)
    Bundle(root).started_well("2.0")
    with Server(packed(tmp_path, "3.0")) as third:
        change_to(
            archive(third, "3.0"), Bundle(root), tmp_path / "downloads", hosts=(f"127.0.0.1:{third.port}",),
            watcher=Watcher(), cancelled=threading.Event(),
        )  # fmt: skip
    assert names(root) == ["2.0", "3.0"]


@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("#!/bin/sh\necho broken >&2; exit 3\n", "broken"),
        ("#!/bin/sh\necho keyfob 9.9\n", "it says keyfob 9.9"),
        ("#!/nowhere\n", "No such file or directory"),
    ],
)
def test_a_version_that_does_not_start_here_is_not_used(
    root: Path, tmp_path: Path, program: str, detail: str
) -> None:
    with Server(packed(tmp_path, "2.0", program)) as server, pytest.raises(Fault) as refused:
        change(root, server)
    assert refused.value.code == "update_broken"
    assert detail in refused.value.detail
    assert names(root) == ["1.0"]
    assert start(root, "--version").stdout == "keyfob 1.0\n"


def test_s101_an_archive_that_was_changed_is_never_unpacked(root: Path, server: Server) -> None:
    asked = archive(server)
    server.data = server.data[:-1] + bytes([server.data[-1] ^ 1])
    with pytest.raises(KeyfobError) as refused:
        change_to(
            asked, Bundle(root), root.parent / "downloads", hosts=(f"127.0.0.1:{server.port}",),
            watcher=Watcher(), cancelled=threading.Event(),
        )  # fmt: skip
    assert refused.value.code == "download_wrong"
    assert names(root) == ["1.0"]
    assert list((root.parent / "downloads").iterdir()) == []


@pytest.mark.parametrize("stage", ["downloading", "unpacking", "trying"])
def test_cancelling_at_each_stage_changes_nothing(root: Path, server: Server, stage: Stage) -> None:
    cancelled = threading.Event()

    def look(now: Stage) -> None:
        if now == stage:
            cancelled.set()

    with pytest.raises(SignInEnded):
        change(root, server, watcher=Watcher(look), cancelled=cancelled)
    assert names(root) == ["1.0"]
    assert Bundle(root).on_trial() is None
    change(root, server)
    assert Bundle(root).current() == "2.0"


def test_a_full_disk_leaves_the_running_version_whole(tmp_path: Path, server: Server) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = new_bundle(tmp_path / "made", "1.0")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True, timeout=30)
    try:
        root = Path(shutil.copytree(made, disk / "keyfob", symlinks=True))
        (disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(disk).free - 4096))
        with pytest.raises(SettingWrong) as refused:
            change_to(
                archive(server), Bundle(root), tmp_path / "downloads", hosts=(f"127.0.0.1:{server.port}",),
                watcher=Watcher(), cancelled=threading.Event(),
            )  # fmt: skip
        assert refused.value.code == "disk_full"
        assert names(root) == ["1.0"]
        assert start(root, "--version").stdout == "keyfob 1.0\n"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=30)


def test_a_folder_of_another_user_is_said(
    root: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Bundle, "staging", refuse)
    with pytest.raises(SettingWrong) as refused:
        change(root, server)
    assert refused.value.code == "file_unwritable"


def test_s105_killed_at_any_step_it_starts_and_can_be_updated(root: Path, server: Server) -> None:
    """`kill -9` before each change to the disk, from the first to the last."""
    asked = archive(server)
    folder = root.parent / "downloads"
    words = [
        str(root), str(folder), asked.url, asked.version, str(asked.size), asked.sha256,
        f"127.0.0.1:{server.port}",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(KILLED.parents[2] / "app")}
    kept = Path(shutil.copytree(root, root.with_name("kept"), symlinks=True))
    step, seen = 0, set()
    while True:
        done = subprocess.run(
            [sys.executable, str(KILLED), str(step), *words], env=environment, timeout=60, check=False,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        said = start(root, "agent").stdout
        assert said.startswith(("agent of 1.0", "agent of 2.0")), f"step {step}"
        seen.add(said.split()[2])
        assert start(root, "--version").stdout in ("keyfob 1.0\n", "keyfob 2.0\n")
        if done.returncode == 0:
            break
        if step % 5 == 0:  # what was left is no obstacle
            if Bundle(root).current() == "1.0":
                change(root, server)
            assert start(root, "agent").stdout.startswith("agent of 2.0"), f"step {step}"
            assert not [each for each in names(root) if each.startswith(".")]
        shutil.rmtree(root)
        shutil.copytree(kept, root, symlinks=True)
        shutil.rmtree(folder, ignore_errors=True)
        step += 1
    assert step > 25
    assert seen == {"1.0", "2.0"}
