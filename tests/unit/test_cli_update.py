"""`keyfob update`: what each kind of copy says, its exits, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyfob.updates.installation import Installation
from keyfob.updates.source import Source
from support.bundles import CRASHES, new_bundle, packed, start
from support.cli_run import opens, run
from support.hostile import RawServer, answer
from support.running import Ran
from support.tuf_repository import Published, served

pytestmark = pytest.mark.network


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with served(tmp_path / "publisher") as made:
        yield made


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEYFOB_HOME", str(tmp_path / "home"))
    return new_bundle(tmp_path / "keyfob", "1.0")


def call(*argv: str) -> Ran:
    return run(["update", *argv], opens(None))


def this_is(monkeypatch: pytest.MonkeyPatch, installation: Installation, source: Source) -> None:
    monkeypatch.setattr("keyfob.updates.service.this_installation", lambda: installation)
    monkeypatch.setattr("keyfob.updates.service.read_source", lambda: source)


@pytest.fixture
def bundle(published: Published, root: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    this_is(monkeypatch, Installation("bundle", "1.0", root=root), published.source)
    return published


def test_the_newest_version_says_so(bundle: Published, tmp_path: Path) -> None:
    ran = call("check")
    assert (ran.code, ran.out, ran.err) == (0, "Keyfob 1.0 is the newest version.\n", "")
    assert call("install").out == "Keyfob 1.0 is the newest version.\n"


def test_a_newer_one_is_said_with_its_notes_and_installed(
    bundle: Published, root: Path, tmp_path: Path
) -> None:
    bundle.add("1.1", packed(tmp_path, "1.1"), notes="# What is new\n\n- faster\x1b[31m")
    ran = call("check")
    assert ran.code == 0
    assert ran.out == (
        "Keyfob 1.1 is available. This is version 1.0.\n\n  # What is new\n\n  - faster\\x1b[31m\n\n"
        "To install it, run: keyfob update install\n"
    )
    ran = call("install")
    assert (ran.code, ran.out) == (0, "Keyfob 1.1 is installed.\nIt is used from the next start on.\n")
    assert ran.err == "Unpacking and checking it …\nStarting it once …\n"
    assert start(root, "--version").stdout == "keyfob 1.1\n"
    assert call("check").out == "Keyfob 1.1 is installed and used from the next start on.\n"


def test_json(bundle: Published, tmp_path: Path) -> None:
    bundle.add("1.1", packed(tmp_path, "1.1"), notes="- faster")
    said = json.loads(call("check", "--json").out)
    assert said.pop("checked_at").endswith("Z")
    expected: dict[str, Any] = {
        "state": "newer", "installed": "1.0", "newest": "1.1", "notes": "- faster", "command": None,
        "next_start": None,
    }  # fmt: skip
    assert said == expected
    ran = call("install", "--json")
    assert ran.err == ""
    said = json.loads(ran.out)
    assert (said["changed"], said["next_start"], said["newest"]) == (True, "1.1", None)
    assert said["agent"] == "none"
    assert json.loads(call("install", "--json").out)["changed"] is False


def test_pre_releases_by_choice(bundle: Published, tmp_path: Path) -> None:
    bundle.add("1.1rc1", packed(tmp_path, "1.1rc1"))
    assert "newest version" in call("check").out
    assert "1.1rc1 is available" in call("check", "--pre").out
    assert "1.1rc1 is installed" in call("install", "--pre").out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sudo apt install keyfob", "To update it, run: sudo apt install keyfob\n"),
    ],
)
def test_a_package_is_left_to_its_manager(
    root: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    this_is(monkeypatch, Installation("deb", "1.0", command), Source())
    ran = call("check")
    assert (ran.code, ran.out) == (0, f"This is Keyfob 1.0. {words}")
    ran = call("install")
    assert (ran.code, ran.out) == (8, "")
    assert ran.err == (
        f"keyfob: This copy of Keyfob does not update itself. Use your package manager: run `{command}`.\n"
    )


def test_a_package_with_a_feed_says_what_is_newer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"tag_name": "v1.1", "body": "\n".join(f"- {number}" for number in range(100))}
    with RawServer(answer(200, json.dumps([entry]).encode())) as server:
        this_is(
            monkeypatch, Installation("rpm", "1.0", "sudo dnf upgrade keyfob"), Source(server.url("/feed"))
        )
        ran = call("check")
    assert "Keyfob 1.1 is available" in ran.out
    assert "  - 39\n  …\n" in ran.out
    assert ran.out.endswith("To install it, run: sudo dnf upgrade keyfob\n")


def test_a_build_without_a_source(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this_is(monkeypatch, Installation("bundle", "1.0", root=root), Source())
    for verb in ("check", "install"):
        ran = call(verb)
        assert (ran.code, ran.out) == (8, "")
        assert ran.err == (
            "keyfob: This build has no update source. Get a newer version from where you got Keyfob.\n"
        )


def test_a_version_that_does_not_start_here(bundle: Published, root: Path, tmp_path: Path) -> None:
    bundle.add("1.1", packed(tmp_path, "1.1", "#!/bin/sh\nexit 1\n"))
    ran = call("install")
    assert ran.code == 1
    assert "Version 1.1 does not start on this computer. The running version is unchanged." in ran.err
    bundle.add("1.2", packed(tmp_path, "1.2", CRASHES))
    assert call("install").code == 0
    assert start(root, "agent").stdout.startswith("agent of 1.0")


def test_errors_have_their_exits(bundle: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle.before = lambda talk: bool(answer(503, b"")(talk)) or True
    ran = call("check", "--json")
    assert (ran.code, ran.out) == (5, "")
    assert json.loads(ran.err)["code"] == "provider_unavailable"
    bundle.before = lambda _: False
    path = bundle.metadata / "timestamp.json"
    path.write_text(path.read_text("utf-8").replace('"version": 1', '"version": 9'), "utf-8")
    ran = call("install")
    assert ran.code == 9
    assert "The update information from 127.0.0.1 cannot be trusted. Nothing was changed." in ran.err
