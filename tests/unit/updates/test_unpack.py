"""What an archive may put where: nothing outside of its folder, however it is made."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest

from keyfob.core.errors import Fault, SignInEnded
from keyfob.updates.unpack import unpack
from support.bundles import archive_of, member, packed

TOP = "keyfob-1.0"
IN = f"{TOP}/versions/1.0"


def test_a_version_is_taken_out_with_safe_modes(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        unpack(packed(tmp_path, "1.0"), "1.0", tmp_path / "new")
    finally:
        os.umask(before)
    new = tmp_path / "new"
    assert {str(each.relative_to(new)) for each in new.rglob("*")} == {
        "keyfob", "start-script", "installation.json", "_internal", "_internal/library.so",
        "_internal/library.so.1",
    }  # fmt: skip
    modes = {
        each.name: stat.S_IMODE(each.lstat().st_mode) for each in new.rglob("*") if not each.is_symlink()
    }
    assert modes == {
        "keyfob": 0o755, "start-script": 0o755, "installation.json": 0o644, "_internal": 0o755,
        "library.so": 0o755,
    }  # fmt: skip
    assert (new / "_internal" / "library.so.1").readlink() == Path("library.so")


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/evil", b"x"),
        member(f"{IN}/../../../evil", b"x"),
        member("../evil", b"x"),
        member(f"{IN}/a\\..\\evil", b"x"),
        member(f"{IN}/out", kind=tarfile.SYMTYPE, to="/etc"),
        member(f"{IN}/out", kind=tarfile.SYMTYPE, to="../outside"),
        member(f"{IN}/out", kind=tarfile.SYMTYPE, to="a/../../outside"),
        member(f"{IN}/out", kind=tarfile.LNKTYPE, to="/etc/passwd"),
        member(f"{IN}/out", kind=tarfile.LNKTYPE, to=f"{IN}/keyfob"),
        member(f"{IN}/pipe", kind=tarfile.FIFOTYPE),
        member(f"{IN}/null", kind=tarfile.CHRTYPE),
        member(f"{IN}/keyfob", b"twice", mode=0o755),
    ],
    ids=lambda each: f"{each[0].name} {each[0].linkname}",
)
def test_s104_a_hostile_member_writes_nothing_outside(
    tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes]
) -> None:
    good = member(f"{IN}/keyfob", b"#!/bin/sh\n", mode=0o755)
    path = archive_of(tmp_path / "a.tar.gz", [good, bad])
    box = tmp_path / "box"
    box.mkdir()
    with pytest.raises((Fault, FileExistsError)) as refused:
        unpack(path, "1.0", box / "new")
    if isinstance(refused.value, Fault):
        assert refused.value.code == "update_broken"
    assert [each.name for each in box.iterdir()] == ["new"]
    assert not (tmp_path / "evil").exists()


def test_s104_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    path = archive_of(
        tmp_path / "a.tar.gz",
        [
            member(f"{IN}/real", kind=tarfile.DIRTYPE, mode=0o755),
            member(f"{IN}/link", kind=tarfile.SYMTYPE, to="real"),
            member(f"{IN}/link/file", b"x"),
        ],
    )
    with pytest.raises(FileExistsError):
        unpack(path, "1.0", tmp_path / "new")
    assert list((tmp_path / "new" / "real").iterdir()) == []


def test_another_version_than_announced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"no version 2\.0"):
        unpack(packed(tmp_path, "1.0"), "2.0", tmp_path / "new")


@pytest.mark.parametrize("how", ["cut", "noise", "changed"])
def test_a_damaged_archive_is_refused(tmp_path: Path, how: str) -> None:
    path = packed(tmp_path, "1.0")
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:-200],
            "noise": b"not an archive",
            "changed": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
        }[how]
    )
    with pytest.raises(Fault) as refused:
        unpack(path, "1.0", tmp_path / "new")
    assert refused.value.code == "update_broken"


def test_an_archive_that_unfolds_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.updates.unpack.SIZE_MOST", 2_000)
    with pytest.raises(Fault, match="too large"):
        unpack(packed(tmp_path, "1.0"), "1.0", tmp_path / "new")


def test_it_can_be_cancelled_between_files(tmp_path: Path) -> None:
    def cancel() -> None:
        raise SignInEnded("The download was cancelled", code="cancelled")

    with pytest.raises(SignInEnded):
        unpack(packed(tmp_path, "1.0"), "1.0", tmp_path / "new", cancel)
