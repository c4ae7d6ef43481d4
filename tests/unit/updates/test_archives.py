"""S-108: archives of companion tools that write elsewhere, never end or are damaged."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from keyfob.core.errors import PeerFault
from keyfob.updates import archives
from keyfob.updates.archives import is_archive, unpack_all, unpack_file
from support.release_server import noise, tar_of, zip_of


def tar_with(path: Path, *members: tuple[str, bytes, bytes, str]) -> Path:
    """Members: name, type, content, and what a link leads to."""
    with tarfile.open(path, "w:gz") as made:
        for name, kind, data, to in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, len(data), to, 0o777 | 0o4000
            made.addfile(info, io.BytesIO(data))
    return path


def zip_with(path: Path, name: str, data: bytes = b"x", mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        made.writestr(info, data)
    return path


def around(folder: Path) -> set[str]:
    """Everything below it, apart from the archive."""
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.suffix not in (".gz", ".zip")}


@pytest.mark.parametrize(
    "member",
    [
        ("../outside", tarfile.REGTYPE, b"x", ""),
        ("/etc/outside", tarfile.REGTYPE, b"x", ""),
        ("a/../../outside", tarfile.REGTYPE, b"x", ""),
        ("link", tarfile.SYMTYPE, b"", "../../outside"),
        ("link", tarfile.SYMTYPE, b"", "/etc/passwd"),
        ("link", tarfile.LNKTYPE, b"", "../outside"),
        ("device", tarfile.CHRTYPE, b"", ""),
        ("pipe", tarfile.FIFOTYPE, b"", ""),
    ],
)
def test_s108_a_tar_that_leads_elsewhere_is_refused(
    tmp_path: Path, member: tuple[str, bytes, bytes, str]
) -> None:
    path = tar_with(tmp_path / "a.tar.gz", member)
    with pytest.raises(PeerFault) as raised:
        unpack_all(path, tmp_path / "in" / "tool")
    assert raised.value.code == "archive_unusable"
    assert around(tmp_path) <= {"in", "in/tool", "in/tool/a"}
    assert not (tmp_path / "outside").exists()


def test_s108_a_file_is_not_written_through_a_link_of_the_archive(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    members = (
        ("door", tarfile.SYMTYPE, b"", str(elsewhere)),
        ("door/planted", tarfile.REGTYPE, b"x", ""),
    )
    with pytest.raises(PeerFault):
        unpack_all(tar_with(tmp_path / "a.tar.gz", *members), tmp_path / "tool")
    assert list(elsewhere.iterdir()) == []


def test_s108_rights_beyond_the_owners_are_not_taken_over(tmp_path: Path) -> None:
    unpack_all(tar_with(tmp_path / "a.tar.gz", ("tool", tarfile.REGTYPE, b"x", "")), tmp_path / "folder")
    assert (tmp_path / "folder" / "tool").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "C:\\outside", "..\\outside"])
def test_s108_a_zip_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PeerFault, match="leads out of the folder"):
        unpack_all(zip_with(tmp_path / "a.zip", name), tmp_path / "in" / "tool")
    assert around(tmp_path) == {"in", "in/tool"}


def test_s108_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", "tool", b"/etc/passwd", 0o120777)
    with pytest.raises(PeerFault):
        unpack_all(path, tmp_path / "all")
    with pytest.raises(PeerFault, match="is not a file in it"):
        unpack_file(path, "tool", tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_s108_the_program_may_not_be_a_link(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "a.tar.gz", ("tool", tarfile.SYMTYPE, b"", "/bin/sh"))
    with pytest.raises(PeerFault, match="is not a file in it"):
        unpack_file(path, "tool", tmp_path / "one")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_s108_an_archive_that_grows_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[str, bytes], bytes]
) -> None:
    monkeypatch.setattr(archives, "BYTES_MOST", 1000)
    path = tmp_path / ("a.zip" if make is zip_of else "a.tar.gz")
    path.write_bytes(make("tool", bytes(5000)))
    for unpack in (
        lambda: unpack_all(path, tmp_path / "all"),
        lambda: unpack_file(path, "tool", tmp_path / "t"),
    ):
        with pytest.raises(PeerFault):
            unpack()


def test_s108_an_archive_with_too_many_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MEMBERS_MOST", 3)
    members = tuple((f"f{n}", tarfile.REGTYPE, b"x", "") for n in range(5))
    with pytest.raises(PeerFault, match="too large"):
        unpack_all(tar_with(tmp_path / "a.tar.gz", *members), tmp_path / "all")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.zip"])
@pytest.mark.parametrize("data", [b"", b"no archive", tar_of("tool", noise(9000))[:2000]])
def test_a_damaged_archive_is_an_error_of_the_file(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(PeerFault, match="cannot be used"):
        unpack_all(path, tmp_path / "all")
    with pytest.raises(PeerFault):
        unpack_file(path, "tool", tmp_path / "one")


def test_what_is_right_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(tar_of("bin/tool", b"one", LICENSE=b"two"))
    unpack_all(path, tmp_path / "all")
    assert (tmp_path / "all" / "bin" / "tool").read_bytes() == b"one"
    unpack_file(path, "bin/tool", tmp_path / "single")
    assert (tmp_path / "single").read_bytes() == b"one"
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of("bin/tool", b"three"))
    unpack_all(path, tmp_path / "zipped")
    assert (tmp_path / "zipped" / "bin" / "tool").read_bytes() == b"three"
    assert (tmp_path / "zipped" / "bin" / "tool").stat().st_mode & 0o100


def test_an_archive_is_known_by_its_name() -> None:
    assert all(is_archive(name) for name in ("a.tar.gz", "A.TGZ", "a.zip", "a.tar.xz"))
    assert not any(is_archive(name) for name in ("kubectl", "a.gz", "tool.exe"))
