"""The files of companion tools: those that come with Keyfob are right, and each fault of another is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.resources import resources
from keyfob.providers.catalogue import standard as presets
from keyfob.tools.registry import SETUPS
from keyfob.updates.companion_files import CompanionFiles, read, standard
from keyfob.updates.companion_probe import first_match

WHOLE = """
id = "mytool"
title = "My tool"
description = "Does what I need"
program = "mytool"

[version]
pattern = 'mytool (?P<version>\\S+)'

[releases]
github = "me/mytool"

[install]
how = "program"

[[downloads]]
system = "linux"
machine = "x86_64"
name = "mytool-{version}.tar.gz"
program = "mytool"
"""


def test_the_tools_of_keyfob_have_no_faults_and_name_what_exists(tmp_path: Path) -> None:
    files = standard(tmp_path)
    assert files.faults() == []
    tools = files.all()
    assert {"me3", "gh", "glab", "codex", "claude", "kubectl", "aws", "docker", "node", "rclone"} <= {
        tool.id for tool in tools
    }
    known = presets(tmp_path).ids()
    for tool in tools:
        assert set(tool.providers) <= set(known), tool.id
        assert tool.wire is None or tool.wire in SETUPS, tool.id


def test_every_file_says_where_its_facts_are_from() -> None:
    for path in (resources() / "companions").glob("*.toml"):
        first = path.read_text("utf-8").split("\nid = ")[0]
        assert first.startswith("# Version: "), path.name
        assert "\n# " in first, path.name


@pytest.mark.parametrize(
    ("tool_id", "said", "version"),
    [
        ("gh", "gh version 2.23.0 (2023-02-27 Debian 2.23.0+dfsg1-1)\nhttps://github.com/cli/cli", "2.23.0"),
        ("glab", "glab version 1.36.0 (2024-01-10)", "1.36.0"),
        ("glab", "glab version 1.65.0", "1.65.0"),
        ("codex", "codex-cli 0.145.0", "0.145.0"),
        ("codex", "codex-cli 0.155.0-alpha.9", "0.155.0-alpha.9"),
        ("claude", "2.1.119 (Claude Code)", "2.1.119"),
        ("me3", "me3 0.11.0", "0.11.0"),
        ("docker", "Docker version 28.2.2, build e6534b4", "28.2.2"),
        ("node", "v20.20.2", "20.20.2"),
        ("rclone", "rclone v1.55.0\n- os/version: ubuntu 18.04 (64 bit)\n- go/version: go1.16", "1.55.0"),
        ("aws", "aws-cli/2.36.19 Python/3.14.6 Linux/7.0 exe/x86_64.ubuntu.26", "2.36.19"),
        ("aws", "aws-cli/1.45.11 Python/3.11.7 Linux/6.18 botocore/1.43.11", None),
        ("kubectl", '{\n  "clientVersion": {\n    "gitVersion": "v1.32.4-dispatcher",\n', "1.32.4"),
    ],
)
def test_what_a_tool_prints_gives_its_version(tool_id: str, said: str, version: str | None) -> None:
    tool = standard(Path("/nowhere")).get(tool_id)
    assert first_match(tool.version.pattern, said) == version


@pytest.mark.parametrize(
    ("tool_id", "tag", "version"),
    [
        ("gh", "v2.60.1", "2.60.1"),
        ("codex", "rust-v0.145.0", "0.145.0"),
        ("codex", "rust-v0.155.0-alpha.9", None),
        ("me3", "v0.11.0", "0.11.0"),
        ("me3", "0.5.0", None),
        ("me3", "prerelease", None),
        ("docker", "docker-v29.1.0", "29.1.0"),
        ("docker", "api/v1.52.0", None),
        ("kubectl", "v1.33.0", "1.33.0"),
        ("aws", "2.36.19", "2.36.19"),
        ("aws", "1.45.11", None),
    ],
)
def test_only_tags_of_releases_fit(tool_id: str, tag: str, version: str | None) -> None:
    tool = standard(Path("/nowhere")).get(tool_id)
    assert first_match(tool.releases.tag, tag) == version


def test_a_file_that_is_right_is_read() -> None:
    tool, faults = read(WHOLE.encode())
    assert faults == ()
    assert tool is not None
    assert tool.download_for("linux", "x86_64") is not None
    assert tool.download_for("windows", "arm64") is None


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    text = WHOLE.replace('title = "My tool"', 'titel = "My tool"').replace(
        'how = "program"', 'how = "by hand"'
    )
    tool, faults = read(text.encode())
    assert tool is None
    assert {fault.key for fault in faults} == {"titel", "title", "install.how"}
    assert faults[0].sentence() == "titel is not a key of a companion tool; did you mean title?"


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("(?P<version>\\S+)", "(\\S+)", "version.pattern", "has no group called version"),
        ("(?P<version>\\S+)", "(?P<version>(a+)+)", "version.pattern", "is not accepted"),
        ('github = "me/mytool"', "", "releases", "needs one source"),
        ('github = "me/mytool"', 'url = "http://example.org/x"', "releases.url", "is not an address"),
        (
            'github = "me/mytool"',
            'url = "https://example.org/x"',
            "downloads.0.name",
            "needs a release on GitHub",
        ),
        ("mytool-{version}.tar.gz", "mytool-{sha}.tar.gz", "downloads.0.name", "has {sha}"),
        ('program = "mytool"\n', 'program = "../mytool"\n', "program", 'is "../mytool"'),
        ('gz"\nprogram = "mytool"', 'gz"\nprogram = "../../bin/sh"', "downloads.0.program", "leads out"),
        ('how = "program"', 'how = "folder"\nhosts = ["*"]', "install.hosts.0", 'is "*"'),
    ],
)
def test_a_fault_names_its_key(old: str, new: str, key: str, problem: str) -> None:
    tool, faults = read(WHOLE.replace(old, new, 1).encode())
    assert tool is None
    assert any(fault.key == key and problem in fault.sentence() for fault in faults), faults


@pytest.mark.parametrize("data", [b"\xff", b"id = ", b"x" * 300_000, b"a = " + b"[" * 5000])
def test_what_is_not_a_file_of_a_tool_is_a_fault_and_nothing_worse(data: bytes) -> None:
    tool, faults = read(data)
    assert tool is None
    assert faults


def test_a_users_file_replaces_one_of_keyfob_and_a_faulty_one_hides_no_other(tmp_path: Path) -> None:
    own, user = resources() / "companions", tmp_path / "companions"
    user.mkdir()
    (user / "gh.toml").write_text(WHOLE.replace('"mytool"', '"gh"', 1))
    (user / "bad.toml").write_text("id = 1")
    files = CompanionFiles(own, user)
    assert files.get("gh").title == "My tool"
    assert "rclone" in {tool.id for tool in files.all()}
    assert {fault.file for fault in files.faults()} == {"bad.toml"}
    with pytest.raises(SettingWrong, match=r"bad\.toml: id is 1"):
        files.get("bad")
    with pytest.raises(NotFound):
        files.get("nosuch")
