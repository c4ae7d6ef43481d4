"""The newest version from a TUF repository over a real server: signed, withheld and forged metadata."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.updates.trusted import TrustedUpdates
from support.hostile import RawServer, Talk, answer, silence
from support.tuf_repository import Published, served

pytestmark = pytest.mark.network


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with served(tmp_path / "publisher") as made:
        yield made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def client(published: Published, cache: Path, **more: Any) -> TrustedUpdates:
    return TrustedUpdates(published.source, cache, **({"system": "linux", "machine": "x86_64"} | more))


def test_the_newest_version_for_this_system(published: Published, cache: Path) -> None:
    assert client(published, cache).newest() is None
    published.add("1.9.0", b"nine")
    published.add("1.10.0", b"ten", notes="# New\n\n- faster\x1b[31m")
    published.add("2.0.0rc1", b"soon")
    published.add("3.0.0", b"other", machine="aarch64")
    found = client(published, cache).newest()
    assert found is not None
    assert (found.version, found.size) == ("1.10.0", 3)
    assert found.name == "keyfob-1.10.0-linux-x86_64.tar.gz"
    assert found.url == f"{published.source.targets}/{found.sha256}.{found.name}"
    assert found.notes == "# New\n\n- faster\\x1b[31m"
    assert (published.repository.targets / f"{found.sha256}.{found.name}").read_bytes() == b"ten"
    pre = client(published, cache).newest(pre=True)
    assert pre is not None
    assert pre.version == "2.0.0rc1"


def test_nothing_is_asked_but_metadata(published: Published, cache: Path) -> None:
    published.add("1.1.0", b"x")
    client(published, cache).newest()
    assert published.paths == [
        "/metadata/2.root.json", "/metadata/timestamp.json", "/metadata/2.snapshot.json",
        "/metadata/2.targets.json",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_s101_what_was_changed_after_signing_is_not_trusted(
    published: Published, cache: Path, role: str
) -> None:
    published.add("1.1.0", b"x")
    path = max(published.metadata.glob(f"*{role}.json"))
    path.write_text(path.read_text("utf-8").replace("2026", "2046").replace("2027", "2047"), "utf-8")
    with pytest.raises(PeerFault, match="cannot be trusted") as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_untrusted"


def test_s101_another_publishers_signature_is_not_trusted(
    published: Published, cache: Path, tmp_path: Path
) -> None:
    """Somebody who took the server over has every file but no key."""
    with served(tmp_path / "thief") as thief:
        thief.add("9.9.9", b"evil")
        for path in thief.metadata.glob("*.json"):
            if "root" not in path.name:
                shutil.copy(path, published.metadata / path.name)
    with pytest.raises(PeerFault) as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_untrusted"


def test_s101_a_root_that_the_old_one_did_not_sign_is_not_trusted(
    published: Published, cache: Path, tmp_path: Path
) -> None:
    with served(tmp_path / "thief") as thief:
        thief.at(datetime.now(UTC)).sign(("root",))
        shutil.copy(thief.metadata / "2.root.json", published.metadata / "2.root.json")
    with pytest.raises(PeerFault) as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_untrusted"


def test_s102_older_metadata_than_was_seen_is_refused(published: Published, cache: Path) -> None:
    """Rollback: the server is taken over and gives yesterday's files, all of them signed."""
    published.add("1.1.0", b"vulnerable")
    before = {path: path.read_bytes() for path in published.metadata.iterdir()}
    published.add("1.2.0", b"mended")
    found = client(published, cache).newest()
    assert found is not None
    assert found.version == "1.2.0"
    for path, data in before.items():
        path.write_bytes(data)
    with pytest.raises(PeerFault) as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_untrusted"


def test_s103_metadata_that_nobody_signs_any_more_shows(published: Published, cache: Path) -> None:
    """Freeze: the server is cut off from its publisher, and keeps saying that all is current."""
    published.at(datetime.now(UTC) - timedelta(days=15)).sign(("timestamp",))
    with pytest.raises(PeerFault, match="has expired") as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_expired"
    published.repository.sign(("timestamp",))
    assert client(published, cache).newest() is None


def test_a_lost_key_is_replaced_by_a_new_root(published: Published, cache: Path) -> None:
    published.add("1.1.0", b"x")
    assert client(published, cache).newest() is not None
    stolen = published.keys.of("targets")[0]
    published.repository.replace_key("targets", stolen.public_key.keyid)
    published.add("1.2.0", b"y")
    found = client(published, cache).newest()
    assert found is not None
    assert found.version == "1.2.0"
    # What the lost key signs from now on is worth nothing.
    path = max(published.metadata.glob("*.targets.json"))
    data = json.loads(path.read_text("utf-8"))
    fresh = cache.with_name("fresh")
    data["signatures"] = [{"keyid": stolen.public_key.keyid, "sig": stolen.sign(b"x").signature}]
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(PeerFault) as refused:
        client(published, fresh).newest()
    assert refused.value.code == "update_untrusted"


def test_a_key_of_the_root_is_replaced_with_the_others(published: Published, cache: Path) -> None:
    lost = published.keys.folders[0] / "root-1.pem"
    keyid = published.keys.of("root")[0].public_key.keyid
    lost.unlink()  # two of three are enough
    published.repository.replace_key("root", keyid)
    published.add("1.1.0", b"x")
    assert client(published, cache).newest() is not None
    assert "/metadata/2.root.json" in published.paths


def test_without_enough_keys_nothing_is_signed(published: Published) -> None:
    for number in (1, 2):
        (published.keys.folders[0] / f"root-{number}.pem").unlink()
    before = sorted(published.metadata.iterdir())
    with pytest.raises(PermissionError, match="too few keys for root: 1 of 2"):
        published.repository.sign(("root",))
    assert sorted(published.metadata.iterdir()) == before


def test_offline(published: Published, cache: Path) -> None:
    made = client(published, cache)
    assert published.server is not None
    published.server.__exit__(None, None, None)
    with pytest.raises(Transient) as refused:
        made.newest()
    assert refused.value.code == "network_unreachable"


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer(200, b"<!doctype html><p>Welcome", {"Content-Type": "text/html"}), "captive_portal"),
        (answer(503, b""), "provider_unavailable"),
        (answer(404, b""), "provider_unavailable"),
        (answer(200, b"{}" * 500_000), "provider_unavailable"),
    ],
)
def test_other_answers_than_metadata(published: Published, cache: Path, behaviour: Any, code: str) -> None:
    def before(talk: Talk) -> bool:
        behaviour(talk)
        return True

    published.before = before
    with pytest.raises(Transient) as refused:
        client(published, cache).newest()
    assert refused.value.code == code


def test_a_redirect_of_metadata_to_another_host_is_refused(published: Published, cache: Path) -> None:
    def before(talk: Talk) -> bool:
        answer(302, b"", {"Location": "https://elsewhere.example/1.root.json"})(talk)
        return True

    published.before = before
    with pytest.raises(KeyfobError) as refused:
        client(published, cache).newest()
    assert refused.value.code == "download_elsewhere"


def test_a_damaged_cache_adds_no_trust(published: Published, cache: Path) -> None:
    published.add("1.1.0", b"x")
    client(published, cache).newest()
    for path in (cache / "metadata").glob("*.json"):
        path.write_bytes(b"damaged")
    found = client(published, cache).newest()
    assert found is not None


def test_targets_that_are_not_archives_of_the_app_are_left_out(published: Published, cache: Path) -> None:
    published.add("1.1.0", b"x")
    targets = published.repository.latest("targets")
    (name,) = targets.targets
    for other, custom in {
        "../keyfob-2.0.0.tar.gz": {"version": "2.0.0"},
        "keyfob-3.0.0.exe": {"version": "3.0.0"},
        "keyfob-4.tar.gz": {"version": "nightly"},
        "keyfob-5.tar.gz": {"version": 5},
        "keyfob-6.tar.gz": {"version": "6.0", "os": "windows"},
    }.items():
        copied = type(targets.targets[name]).from_dict(targets.targets[name].to_dict(), other)
        copied.unrecognized_fields["custom"] = {"os": "linux", "arch": "x86_64"} | custom
        targets.targets[other] = copied
    published.repository.publish(targets)
    found = client(published, cache).newest()
    assert found is not None
    assert found.version == "1.1.0"


def test_two_processes_do_not_share_the_cache(published: Published, cache: Path) -> None:
    cache.mkdir()
    with FileLock(cache / "lock"), pytest.raises(Transient) as refused:
        client(published, cache).newest()
    assert refused.value.code == "update_running"


def test_cancelling_does_not_wait_for_the_server(published: Published, cache: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with RawServer(silence) as slow:
        published.server, kept = slow, published.server
        with pytest.raises(SignInEnded):
            client(published, cache).newest(cancelled=cancelled)
        published.server = kept


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full and mounts are Linux's")
def test_a_full_disk(published: Published, cache: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    cache.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(cache)], check=True, timeout=30)
    try:
        with pytest.raises(SettingWrong) as refused:
            client(published, cache).newest()
    finally:
        subprocess.run(["umount", "--lazy", str(cache)], check=True, timeout=30)
    assert refused.value.code == "disk_full"


def test_private_keys_are_for_their_owner_alone(published: Published) -> None:
    for path in published.keys.folders[0].iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"PRIVATE KEY" in path.read_bytes()
    public = b"".join(path.read_bytes() for path in published.metadata.iterdir())
    assert b"PRIVATE" not in public
