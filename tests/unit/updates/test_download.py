"""Downloads over real sockets, from servers that cut, lie, move, change and stall."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.updates.download import DownloadRefused, Progress, download
from support.hostile import Behaviour, RawServer, Talk, answer, big_chunked, raw, redirect, silence

pytestmark = pytest.mark.network

DATA = bytes(range(256)) * 2_000  # 512,000 bytes
DIGEST = hashlib.sha256(DATA).hexdigest()
BINARY = {"Content-Type": "application/octet-stream"}


class Files:
    """A file server. `cut` sends that many bytes of each answer and hangs up, as often as `cuts` says."""

    def __init__(self, data: bytes = DATA, tag: str = '"one"') -> None:
        self.data, self.tag = data, tag
        self.ranges, self.cut, self.cuts = True, 200_000, 0
        self.length = True

    def __call__(self, talk: Talk) -> None:
        asked = talk.request.headers
        start = 0
        if self.ranges and "range" in asked and asked.get("if-range", self.tag) == self.tag:
            start = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.data) > 0:
            answer(416, b"", {"Content-Range": f"bytes */{len(self.data)}"})(talk)
            return
        body = self.data[start:]
        head = f"Content-Type: application/gzip\r\nETag: {self.tag}\r\n" if self.tag else ""
        if self.length:
            head += f"Content-Length: {len(body)}\r\n"
        if start:
            head += f"Content-Range: bytes {start}-{len(self.data) - 1}/{len(self.data)}\r\n"
        talk.send(f"HTTP/1.1 {206 if start else 200} Fine\r\n{head}\r\n".encode())
        if self.cuts > 0:
            self.cuts -= 1
            talk.send(body[: self.cut])
            return
        talk.send(body)


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def server(files: Files) -> Iterator[RawServer]:
    with RawServer(files) as made:
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "tool.tar.gz"


def fetch(server: RawServer, target: Path, **more: object) -> Path:
    allowed = (f"127.0.0.1:{server.port}",)
    return download(server.url("/tool"), target, **({"allowed_hosts": allowed} | more))  # type: ignore[arg-type]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut ends the download."""
    monkeypatch.setattr("keyfob.updates.download.ATTEMPTS", 1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt follows at once."""
    monkeypatch.setattr("keyfob.updates.download.PAUSE_MOST", 0.01)


def names(target: Path) -> set[str]:
    return {each.name for each in target.parent.iterdir()}


def test_a_file_arrives_with_its_progress(server: RawServer, target: Path) -> None:
    seen: list[Progress] = []
    target.write_text("the old one")
    got = fetch(server, target, sha256=DIGEST.upper(), expected_size=len(DATA), progress=seen.append)
    assert got == target
    assert target.read_bytes() == DATA
    assert names(target) == {"tool.tar.gz"}, "no part is left"
    assert seen[0] == Progress(0, len(DATA), 0.0, None)
    assert seen[-1] == Progress(len(DATA), len(DATA), 0.0, 0.0)


def test_a_rate_and_the_time_left_are_told(files: Files, target: Path) -> None:
    def slowly(talk: Talk) -> None:
        talk.send(f"HTTP/1.1 200 Fine\r\nContent-Length: {len(DATA)}\r\n\r\n".encode())
        for start in range(0, len(DATA), 100_000):
            talk.send(DATA[start : start + 100_000])
            talk.pause(0.15)

    seen: list[Progress] = []
    with RawServer(slowly) as server:
        fetch(server, target, progress=seen.append)
    middle = [each for each in seen if each.seconds_left is not None and each.rate > 0]
    assert middle
    for each in middle:
        assert 100_000 < each.rate < 3_000_000
        assert each.seconds_left == pytest.approx((len(DATA) - each.received) / each.rate)
    assert [each.received for each in seen] == sorted(each.received for each in seen)


def test_a_stall_shows_in_the_progress(target: Path) -> None:
    """What came last is shown although nothing follows, and the rate falls."""
    cancelled = threading.Event()
    seen: list[Progress] = []

    def stall(talk: Talk) -> None:
        talk.send(f"HTTP/1.1 200 Fine\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:300_000])
        talk.pause(60)

    def look(now: Progress) -> None:
        seen.append(now)
        if len([each for each in seen if each.received == 300_000]) >= 3:
            cancelled.set()

    with RawServer(stall) as server, pytest.raises(SignInEnded):
        fetch(server, target, progress=look, cancelled=cancelled)
    rates = [each.rate for each in seen if each.received == 300_000]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1] > 0


def test_a_cut_connection_is_continued(server: RawServer, files: Files, target: Path) -> None:
    files.cuts = 2
    fetch(server, target, sha256=DIGEST)
    assert target.read_bytes() == DATA
    assert [each.headers.get("range") for each in server.requests] == [
        None, "bytes=200000-", "bytes=400000-",
    ]  # fmt: skip
    assert {each.headers.get("if-range") for each in server.requests[1:]} == {'"one"'}


@pytest.mark.usefixtures("hasty")
def test_what_an_earlier_run_left_is_continued(server: RawServer, files: Files, target: Path) -> None:
    files.cuts = 100
    files.cut = 1_000
    with pytest.raises(Transient) as cut:
        fetch(server, target)
    assert cut.value.code == "provider_unavailable"
    assert not target.exists()
    had = target.with_name("tool.tar.gz.part").stat().st_size
    assert had >= 1_000
    files.cuts = 0
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert server.requests[-1].headers["range"] == f"bytes={had}-"


def test_a_server_that_ignores_ranges_starts_again(server: RawServer, files: Files, target: Path) -> None:
    files.cuts, files.ranges = 1, False
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.usefixtures("hasty")
def test_a_changed_file_starts_from_the_beginning(server: RawServer, files: Files, target: Path) -> None:
    files.cuts = 100
    files.cut = 1_000
    with pytest.raises(Transient):
        fetch(server, target)
    files.cuts, files.tag, files.data = 0, '"two"', DATA[::-1]
    fetch(server, target)
    assert target.read_bytes() == DATA[::-1]


@pytest.mark.usefixtures("impatient")
def test_without_a_validator_nothing_is_pieced_together(
    server: RawServer, files: Files, target: Path
) -> None:
    files.cuts, files.tag = 100, ""
    with pytest.raises(Transient):
        fetch(server, target)
    assert 1 < len(server.requests) < 10, "a server that always cuts is given up"
    files.cuts, files.data = 0, DATA[::-1]
    fetch(server, target)
    assert target.read_bytes() == DATA[::-1]
    assert all("range" not in each.headers for each in server.requests)


def test_a_weak_etag_is_no_validator(server: RawServer, files: Files, target: Path) -> None:
    files.cuts, files.tag = 1, 'W/"one"'
    fetch(server, target)
    assert len(server.requests) == 2
    assert not {"range", "if-range"} & set(server.requests[-1].headers)


def test_with_a_checksum_no_validator_is_needed(server: RawServer, files: Files, target: Path) -> None:
    files.cuts, files.tag = 1, ""
    fetch(server, target, sha256=DIGEST)
    assert server.requests[-1].headers["range"] == "bytes=200000-"
    assert target.read_bytes() == DATA


@pytest.mark.usefixtures("hasty")
def test_a_part_that_was_damaged_is_fetched_again(server: RawServer, files: Files, target: Path) -> None:
    files.cuts, files.cut = 100, 1_000
    with pytest.raises(Transient):
        fetch(server, target, sha256=DIGEST)
    files.cuts = 0
    part = target.with_name("tool.tar.gz.part")
    part.write_bytes(b"x" * part.stat().st_size)
    fetch(server, target, sha256=DIGEST)
    assert target.read_bytes() == DATA


def test_a_complete_part_is_taken_as_it_is(server: RawServer, target: Path) -> None:
    target.with_name("tool.tar.gz.part").write_bytes(DATA)
    note = {"sha256": DIGEST, "size": None, "validator": '"one"'}
    target.with_name("tool.tar.gz.part.json").write_text(json.dumps(note))
    fetch(server, target, sha256=DIGEST)
    assert target.read_bytes() == DATA
    assert len(server.requests) == 1


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"sha256": 1, "size": null, "validator": null}'])
def test_a_note_that_cannot_be_read_drops_the_part(server: RawServer, target: Path, note: str) -> None:
    target.with_name("tool.tar.gz.part").write_bytes(b"of something else")
    target.with_name("tool.tar.gz.part.json").write_text(note)
    fetch(server, target)
    assert target.read_bytes() == DATA


@pytest.mark.usefixtures("hasty")
def test_a_part_of_another_download_is_not_continued(server: RawServer, files: Files, target: Path) -> None:
    files.cuts = 100
    files.cut = 1_000
    with pytest.raises(Transient):
        fetch(server, target, sha256="0" * 64)
    files.cuts = 0
    fetch(server, target, sha256=DIGEST)
    assert "range" not in server.requests[-1].headers


@pytest.mark.parametrize(
    ("wanted", "how"),
    [
        ({"sha256": "0" * 64}, "its checksum differs"),
        ({"expected_size": 12}, "its size differs"),
        ({"expected_size": len(DATA) + 1}, "its size differs"),
    ],
)
def test_another_file_than_announced_is_refused(
    server: RawServer, target: Path, wanted: dict[str, object], how: str
) -> None:
    target.write_text("the old one")
    with pytest.raises(PeerFault, match=how) as refused:
        fetch(server, target, **wanted)
    assert refused.value.code == "download_wrong"
    assert target.read_text() == "the old one"
    assert names(target) == {"tool.tar.gz"}


def test_a_file_without_a_length_is_taken_to_its_end(files: Files, server: RawServer, target: Path) -> None:
    files.length = False
    seen: list[Progress] = []
    fetch(server, target, progress=seen.append)
    assert target.read_bytes() == DATA
    assert seen[0].total is None
    assert all(each.seconds_left is None for each in seen[:-1])


def test_one_without_a_length_that_is_too_long_is_refused(target: Path) -> None:
    with RawServer(big_chunked(1_000_000)) as server, pytest.raises(PeerFault, match="it is larger"):
        fetch(server, target, expected_size=100_000)
    assert names(target) == set()


def test_a_captive_portal_is_told_apart(target: Path) -> None:
    page = answer(200, b"<!doctype html><title>Welcome to Hotel Wi-Fi</title>", {"Content-Type": "text/html"})
    with RawServer(page) as server, pytest.raises(Transient, match="web page") as refused:
        fetch(server, target)
    assert refused.value.code == "captive_portal"
    assert len(server.requests) == 1
    assert names(target) == set()


@pytest.mark.usefixtures("hasty")
def test_a_portal_in_the_middle_costs_nothing_that_was_received(
    server: RawServer, files: Files, target: Path
) -> None:
    files.cuts, files.cut = 100, 1_000
    with pytest.raises(Transient):
        fetch(server, target)
    page = answer(200, b"<html>Sign in", {"Content-Type": "text/html; charset=utf-8"})
    with RawServer(page) as portal, pytest.raises(Transient):
        fetch(portal, target)
    assert target.with_name("tool.tar.gz.part").stat().st_size >= 1_000


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer(404, b"no", BINARY), "request_refused"),
        (answer(403, b"no", BINARY), "request_refused"),
        (answer(403, b"no", {"x-ratelimit-remaining": "0"}), "rate_limited"),
        (answer(429, b"no", {"Retry-After": "30"}), "rate_limited"),
        (answer(503, b"no", BINARY), "provider_unavailable"),
        (answer(511, b"no", BINARY), "captive_portal"),
        (raw(b"HTTP/1.1 206 Part\r\nContent-Range: bytes 9-10/11\r\nContent-Length: 2\r\n\r\nab"), None),
        (raw(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"), None),
        (redirect(302, "/tool"), "provider_unavailable"),
    ],
)
def test_other_answers_say_what_they_are(behaviour: Behaviour, code: str | None, target: Path) -> None:
    with RawServer(behaviour) as server, pytest.raises(Transient) as refused:
        fetch(server, target)
    assert refused.value.code == (code or "provider_unavailable")
    assert names(target) == set()
    assert len(server.requests) in (1, 6), "asked once, or along its redirects"


def test_a_refusal_has_its_status(target: Path) -> None:
    with RawServer(answer(410, b"")) as server, pytest.raises(DownloadRefused) as refused:
        fetch(server, target)
    assert refused.value.status == 410


def test_a_wait_is_passed_on(target: Path) -> None:
    with RawServer(answer(429, b"", {"Retry-After": "30"})) as server, pytest.raises(Transient) as refused:
        fetch(server, target)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after.total_seconds() == 30


def test_a_redirect_to_an_allowed_host_loses_the_credentials(server: RawServer, target: Path) -> None:
    """S-106: credentials go to the origin that was named, and to no other."""
    headers = {"Authorization": "Bearer example", "apikey": "example", "Cookie": "a=b"}
    with RawServer(redirect(302, server.url("/there is it?a=b"))) as first:
        hosts = (f"127.0.0.1:{first.port}", f"127.0.0.1:{server.port}")
        fetch(first, target, headers=headers, allowed_hosts=hosts, sha256=DIGEST)
        (asked,) = first.requests
    assert asked.headers["authorization"] == "Bearer example"
    (asked,) = server.requests
    assert asked.target == "/there%20is%20it?a=b"
    assert not {"authorization", "apikey", "cookie"} & set(asked.headers)


def test_credentials_do_not_come_back_with_a_redirect_home(target: Path) -> None:
    away_at: list[str] = []

    def at_home(talk: Talk) -> None:
        first = talk.request.target == "/tool"
        (redirect(302, away_at[0]) if first else answer(200, DATA, BINARY))(talk)

    with RawServer(at_home) as home:
        with RawServer(redirect(302, home.url("/x"))) as away:
            away_at.append(away.url("/y"))
            hosts = (f"127.0.0.1:{home.port}", f"127.0.0.1:{away.port}")
            fetch(home, target, headers={"Authorization": "Bearer example"}, allowed_hosts=hosts)
        assert "authorization" in home.requests[0].headers
        assert "authorization" not in home.requests[1].headers


def test_a_redirect_within_the_origin_keeps_them(target: Path) -> None:
    def moved(talk: Talk) -> None:
        (redirect(307, "/new") if talk.request.target == "/tool" else answer(200, DATA, BINARY))(talk)

    with RawServer(moved) as server:
        fetch(server, target, headers={"Authorization": "Bearer example"})
        assert [each.headers.get("authorization") for each in server.requests] == ["Bearer example"] * 2


@pytest.mark.parametrize(
    "to", ["https://elsewhere.example/x", "http://elsewhere.example/", "file:///etc/passwd"]
)
def test_a_redirect_elsewhere_is_refused(to: str, target: Path) -> None:
    with RawServer(redirect(302, to)) as server, pytest.raises(PeerFault) as refused:
        fetch(server, target)
    assert refused.value.code == "download_elsewhere"
    assert names(target) == set()


def test_a_host_that_is_not_allowed_is_not_asked(server: RawServer, target: Path) -> None:
    with pytest.raises(PeerFault, match="is not an address") as refused:
        fetch(server, target, allowed_hosts=("example.org",))
    assert refused.value.code == "download_elsewhere"
    assert not server.requests


def test_an_unreachable_server_is_said_at_once(target: Path) -> None:
    with RawServer(answer()) as server:
        pass
    began = time.monotonic()
    with pytest.raises(Transient) as refused:
        fetch(server, target)
    assert refused.value.code == "network_unreachable"
    assert time.monotonic() - began < 2


def test_cancelling_does_not_wait_for_the_server(target: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    began = time.monotonic()
    with RawServer(silence) as server, pytest.raises(SignInEnded) as ended:
        fetch(server, target, cancelled=cancelled)
    assert ended.value.code == "cancelled"
    assert time.monotonic() - began < 3
    assert names(target) == set()


def test_cancelling_in_the_middle_keeps_the_part(server: RawServer, files: Files, target: Path) -> None:
    def stall(talk: Talk) -> None:
        head = f"HTTP/1.1 200 Fine\r\nETag: {files.tag}\r\nContent-Length: {len(DATA)}\r\n\r\n"
        talk.send(head.encode() + DATA[:300_000])
        talk.pause(60)

    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    with RawServer(stall) as slow, pytest.raises(SignInEnded):
        fetch(slow, target, cancelled=cancelled)
    assert names(target) == {"tool.tar.gz.part", "tool.tar.gz.part.json"}
    fetch(server, target)
    assert target.read_bytes() == DATA
    assert server.requests[0].headers["range"] == "bytes=300000-"


def test_two_at_once_do_not_write_into_one_file(server: RawServer, target: Path) -> None:
    pytest.importorskip("fcntl")
    cancelled = threading.Event()
    with RawServer(silence) as slow:

        def wait() -> None:
            with pytest.raises(SignInEnded):
                fetch(slow, target, cancelled=cancelled)

        first = threading.Thread(target=wait)
        first.start()
        while not slow.requests:
            time.sleep(0.01)
        with pytest.raises(Transient) as refused:
            fetch(server, target)
        cancelled.set()
        first.join(10)
    assert refused.value.code == "download_running"
    fetch(server, target)
    assert target.read_bytes() == DATA


def test_memory_does_not_grow_with_the_size(target: Path) -> None:
    size = 64_000_000
    with RawServer(big_chunked(size)) as server:
        tracemalloc.start()
        try:
            fetch(server, target)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert target.stat().st_size > size - 65_536
    assert peak < 8_000_000


def test_a_link_in_the_place_of_the_part_is_not_followed(server: RawServer, target: Path) -> None:
    other = target.with_name("other")
    other.write_text("precious")
    target.with_name("tool.tar.gz.part").symlink_to(other)
    with pytest.raises(SettingWrong) as refused:
        fetch(server, target)
    assert refused.value.code == "file_unwritable"
    assert other.read_text() == "precious"


def test_a_folder_that_is_missing_is_said(server: RawServer, tmp_path: Path) -> None:
    with pytest.raises(SettingWrong, match="cannot be saved") as refused:
        fetch(server, tmp_path / "no" / "tool")
    assert refused.value.code == "file_unwritable"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root may mount a disk, on Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True, timeout=30)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=30)


@pytest.mark.parametrize("length", [True, False])
def test_a_full_disk(files: Files, server: RawServer, small_disk: Path, length: bool) -> None:
    files.length = length
    target = small_disk / "tool"
    with pytest.raises(SettingWrong) as refused:
        fetch(server, target)
    assert refused.value.code == "disk_full"
    assert not target.exists()
    if length:
        assert "512 kB are needed" in refused.value.message
        assert names(target) == set(), "nothing was begun"
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True, timeout=30)
    fetch(server, target)
    assert target.read_bytes() == DATA


def test_no_address_is_in_an_error(target: Path) -> None:
    """The query of a signed address is a secret."""
    for behaviour in (answer(403, b"no"), redirect(302, "https://elsewhere.example/?sig=hush"), raw(b"?")):
        with RawServer(behaviour) as server:
            with pytest.raises(KeyfobError) as refused:
                download(server.url("/x?sig=hush"), target, allowed_hosts=(f"127.0.0.1:{server.port}",))
            assert "hush" not in repr(refused.value) + str(refused.value.__dict__)
