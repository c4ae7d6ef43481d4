"""Looking for a newer version and changing to it, for each kind of copy, and what is said when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import Fault, PeerFault, SettingWrong, Transient
from keyfob.process.home import Home, open_home
from keyfob.updates.bundle import Bundle
from keyfob.updates.installation import Installation, frozen, this_installation
from keyfob.updates.service import Updates
from keyfob.updates.source import Source, read_source
from support.bundles import new_bundle, packed, start
from support.hostile import RawServer, answer
from support.tuf_repository import Published, served

pytestmark = pytest.mark.network
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with served(tmp_path / "publisher") as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return new_bundle(tmp_path / "keyfob", "1.0")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def bundle_updates(published: Published, root: Path, version: str = "1.0", **more: Any) -> Updates:
    return Updates(
        Installation("bundle", version, root=root), published.source, root.parent / "state",
        remedies=REMEDIES, **more,
    )  # fmt: skip


def feed(version: str, **more: Any) -> RawServer:
    entry = {"tag_name": f"v{version}", "body": "- faster"} | more
    return RawServer(answer(200, json.dumps([entry]).encode()))


def test_a_bundle_sees_and_installs_a_newer_version(published: Published, root: Path, tmp_path: Path) -> None:
    updates = bundle_updates(published, root, clock=Clock())
    assert updates.status().state == "unknown"
    published.add("1.0", packed(tmp_path, "1.0"))
    status = updates.check()
    assert (status.state, status.newest, status.checked_at) == ("current", None, NOW)
    published.add("1.1", packed(tmp_path, "1.1"), notes="- faster")
    status = updates.check()
    assert (status.state, status.newest, status.notes, status.problem) == ("newer", "1.1", "- faster", "")
    assert bundle_updates(published, root).status().newest == "1.1", "kept for the next process"
    assert updates.install() == "1.1"
    status = updates.status()
    assert (status.newest, status.next_start) == (None, "1.1")
    assert updates.install() is None, "it is not installed twice"
    assert start(root, "agent").stdout.startswith("agent of 1.1")
    after = bundle_updates(published, root, "1.1")
    assert (after.status().state, after.status().next_start) == ("current", None)
    assert after.install() is None


def test_s102_an_older_version_is_never_installed(published: Published, root: Path, tmp_path: Path) -> None:
    name = published.add("2.0", packed(tmp_path, "2.0"))
    updates = bundle_updates(published, root)
    assert updates.install() == "2.0"
    published.repository.withdraw(name)
    published.add("1.5", packed(tmp_path, "1.5"))
    assert updates.install() is None
    assert bundle_updates(published, root, "2.0").check().newest is None


def test_a_version_that_did_not_start_is_said_until_it_was_seen(
    published: Published, root: Path, tmp_path: Path
) -> None:
    from support.bundles import CRASHES

    published.add("1.1", packed(tmp_path, "1.1", CRASHES))
    updates = bundle_updates(published, root)
    updates.install()
    start(root, "agent")
    status = bundle_updates(published, root).status()
    assert status.problem == "Version 1.1 did not start, so Keyfob uses version 1.0 again"
    assert status.remedy == "The running version is unchanged. Report it to the publisher."
    updates.seen()
    assert bundle_updates(published, root).status().problem == ""


def test_it_looks_once_a_day_if_wanted(published: Published, root: Path) -> None:
    clock = Clock()
    updates = bundle_updates(published, root, clock=clock)
    assert updates.due(True)
    assert not updates.due(False)
    updates.check()
    assert not updates.due(True)
    clock.now += timedelta(hours=23)
    assert not updates.due(True)
    clock.now += timedelta(hours=1)
    assert updates.due(True)
    clock.now -= timedelta(days=30)
    assert updates.due(True), "a clock that was ahead does not put it off for ever"


def test_a_failed_look_counts_for_the_day_and_says_why(published: Published, root: Path) -> None:
    updates = bundle_updates(published, root)
    published.before = lambda talk: bool(answer(503, b"")(talk)) or True
    status = updates.check()
    assert status.problem == "127.0.0.1 is not available right now"
    assert status.remedy == "Wait a few minutes and try again."
    assert not updates.due(True)
    published.before = lambda _: False
    assert updates.check().problem == ""


def test_a_frozen_repository_is_named(published: Published, root: Path) -> None:
    published.at(datetime.now(UTC) - timedelta(days=20)).sign(("timestamp",))
    updates = bundle_updates(published, root)
    assert "has expired" in updates.check().problem
    with pytest.raises(PeerFault) as refused:
        updates.install()
    assert refused.value.code == "update_expired"
    assert Bundle(root).current() == "1.0"


def test_two_changes_at_once(published: Published, root: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    published.add("1.1", packed(tmp_path, "1.1"))
    updates = bundle_updates(published, root)
    updates.check()
    with FileLock(root.parent / "state" / "change.lock"), pytest.raises(Transient) as refused:
        updates.install()
    assert refused.value.code == "update_running"


def test_who_runs_a_pre_release_gets_the_next(published: Published, root: Path) -> None:
    published.add("1.1rc2", b"x")
    assert bundle_updates(published, root).check().newest is None
    assert bundle_updates(published, root).check(pre=True).newest == "1.1rc2"
    assert bundle_updates(published, root, "1.1rc1").check().newest == "1.1rc2"


# --- copies that something else updates ---------------------------------------------------------------------


def test_a_package_says_the_command_and_asks_only_when_told_to(tmp_path: Path) -> None:
    package = Installation("deb", "1.0", "sudo apt upgrade keyfob")
    with feed("1.1") as server:
        updates = Updates(package, Source(feed=server.url("/feed")), tmp_path, remedies=REMEDIES)
        assert not updates.due(True), "its package manager looks"
        status = updates.status()
        assert (status.state, status.newest, status.command) == ("managed", None, "sudo apt upgrade keyfob")
        assert not server.requests
        status = updates.check()
        assert (status.state, status.newest, status.notes) == ("managed", "1.1", "- faster")
        with pytest.raises(SettingWrong) as refused:
            updates.install()
    assert refused.value.code == "update_managed"
    assert refused.value.remedy_in(REMEDIES) == "Use your package manager: run `sudo apt upgrade keyfob`."


def test_a_bundle_with_a_feed_alone_says_what_is_newer(root: Path) -> None:
    with feed("1.1") as server:
        source = Source(feed=server.url("/feed"))
        updates = Updates(Installation("bundle", "1.0", root=root), source, root.parent, remedies=REMEDIES)
        assert (updates.check().state, updates.status().newest) == ("managed", "1.1")
        with pytest.raises(SettingWrong) as refused:
            updates.install()
    assert refused.value.code == "update_source_missing"


def test_a_build_without_a_source_says_so_and_asks_nothing(root: Path) -> None:
    updates = Updates(Installation("bundle", "1.0", root=root), Source(), root.parent, remedies=REMEDIES)
    assert not updates.due(True)
    assert updates.status().state == "no_source"
    status = updates.check()
    assert status.problem == "This build has no update source"
    assert status.remedy == "Get a newer version from where you got Keyfob."
    with pytest.raises(SettingWrong):
        updates.install()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home({"KEYFOB_HOME": str(tmp_path / "home")})


def test_this_checkout(home: Home) -> None:
    assert this_installation() == Installation("checkout", this_installation().version, "git pull")
    updates = Updates.of_this_copy(home, remedies=REMEDIES)
    assert (updates.status().state, updates.look().command) == ("managed", "git pull")


def test_a_faulty_source_is_a_problem_and_no_crash(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> Source:
        raise Fault("The file updates.toml of this build cannot be read")

    monkeypatch.setattr("keyfob.updates.service.read_source", faulty)
    updates = Updates.of_this_copy(home, remedies=REMEDIES)
    assert "updates.toml" in updates.status().problem
    assert "updates.toml" in updates.check().problem
    with pytest.raises(Fault):
        updates.install()


# --- how this copy was installed, and its source ------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "command"),
    [
        ('{"kind": "deb", "update_command": "sudo apt upgrade"}', "deb", "sudo apt upgrade"),
        ('{"kind": "rpm", "update_command": null}', "rpm", None),
        ('{"kind": "of tomorrow"}', "package", None),
        ("[]", "package", None),
        ("no json", "package", None),
        (None, "package", None),
        ('{"kind": "bundle", "update_command": "rm"}', "bundle", None),
    ],
)
def test_a_frozen_copy_knows_its_packer(
    tmp_path: Path, said: str | None, kind: str, command: str | None
) -> None:
    if said is not None:
        (tmp_path / "installation.json").write_text(said)
    found = frozen(tmp_path, {})
    assert (found.kind, found.update_command, found.root) == (kind, command, None)


def test_a_bundle_knows_its_root(root: Path) -> None:
    assert frozen(root / "versions" / "1.0", {}).root == root
    (root / "current").unlink()
    assert frozen(root / "versions" / "1.0", {}).root is None, "not laid out as one"


def test_an_appimage_says_so(tmp_path: Path) -> None:
    assert frozen(tmp_path, {"APPIMAGE": "/x/Keyfob.AppImage"}).kind == "appimage"


def test_the_project_comes_without_a_source() -> None:
    assert read_source() == Source()


def test_a_publishers_source(tmp_path: Path) -> None:
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "root.json").write_bytes(b"{}")
    (tmp_path / "updates.toml").write_text(
        'feed = "https://example.org/feed"\nmetadata = "https://example.org/m"\n'
        'targets = "https://example.org/t"\nhosts = ["cdn.example.org"]\n'
    )
    source = read_source(tmp_path)
    assert source == Source(
        "https://example.org/feed",
        "https://example.org/m",
        "https://example.org/t",
        ("cdn.example.org",),
        b"{}",
    )
    assert source.signed
    assert source.target_hosts == ("example.org", "cdn.example.org")


@pytest.mark.parametrize(
    "text",
    [
        "feed = 1",
        'feed = "http://example.org"',
        "nonsense",
        'metadata = "https://example.org"',
        'hosts = "x"',
    ],
)
def test_a_half_source_is_a_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / "updates.toml").write_text(text)
    with pytest.raises(Fault):
        read_source(tmp_path)
