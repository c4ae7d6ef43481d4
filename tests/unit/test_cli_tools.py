"""`keyfob tools`: its output, its exits and its JSON, with a real program and a server like GitHub."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.network.transport import HttpTransport
from keyfob.engine import Engine, build
from keyfob.updates.companion_files import CompanionFiles
from support.cli_run import opens, run
from support.fake_ports import NOW, fake_ports
from support.release_server import ReleaseServer, install, program, tar_of

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts"),
]
FILE = """
id = "NAME"
title = "My NAME"
description = "Does what I need"
program = "NAME"

[version]
pattern = 'NAME (?P<version>\\S+)'

[releases]
github = "me/NAME"

[install]
how = "program"
hosts = ["HOST"]
"""
DOWNLOADS = "".join(
    f'\n[[downloads]]\nsystem = "{system}"\nmachine = "{machine}"\nname = "NAME.tar.gz"\nprogram = "NAME"\n'
    for system in ("linux", "macos")
    for machine in ("x86_64", "arm64")
)


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer() as made:
        yield made


@pytest.fixture
def engine(tmp_path: Path, server: ReleaseServer) -> Engine:
    """Two tools that Keyfob knows; `one` is installed."""
    files = tmp_path / "files"
    files.mkdir()
    for name in ("one", "two"):
        text = (FILE + DOWNLOADS).replace("NAME", name).replace("HOST", server.host)
        (files / f"{name}.toml").write_text(text)
        server.publish(f"me/{name}", "v1.4.0", {f"{name}.tar.gz": tar_of(name, program(f"{name} 1.4.0"))})
    install(tmp_path / ".local" / "bin", "one", "one 1.3.2")
    ports = fake_ports(
        tmp_path,
        transport=HttpTransport(lambda: NOW, deadline=10),
        companion_files=CompanionFiles(files, tmp_path / "home" / "config" / "companions"),
        github=server.base,
    )
    return build(ports)


def test_the_tools_are_listed_checked_and_updated(engine: Engine, server: ReleaseServer) -> None:
    listed = run(["tools", "list"], opens(engine))
    assert listed.out == (
        "Tool  Installed  Newest\n"
        "one   1.3.2      -       not checked yet\n"
        "two   -          -       not installed\n"
    )
    assert server.asked == []
    checked = run(["tools", "check"], opens(engine))
    assert "one   1.3.2      1.4.0   update to 1.4.0: keyfob tools update one\n" in checked.out
    assert not any("two" in each for each in server.asked)
    updated = run(["tools", "update", "one"], opens(engine))
    assert (updated.code, updated.out) == (0, "My one 1.4.0 is installed. It was 1.3.2.\n")
    assert run(["tools", "update", "one"], opens(engine)).out == "My one 1.4.0 is up to date.\n"


def test_json_has_every_tool(engine: Engine) -> None:
    found = json.loads(run(["tools", "check", "one", "--json"], opens(engine)).out)["tools"]
    path = str(engine.companions.one("one").installed.path)  # type: ignore[union-attr]
    (one,) = found
    assert one.pop("page").endswith("/me/one/releases/tag/v1.4.0")
    assert one == {
        "name": "one",
        "title": "My one",
        "providers": [],
        "wire": None,
        "state": "update",
        "installed": "1.3.2",
        "path": path,
        "managed_by": None,
        "newest": "1.4.0",
        "checked_at": "2026-11-20T15:00:12Z",
        "installable": True,
        "command": None,
        "error": None,
    }
    assert len(json.loads(run(["tools", "list", "--json"], opens(engine)).out)["tools"]) == 2
    assert json.loads(run(["tools", "update", "one", "--json"], opens(engine)).out)["installed"] == "1.4.0"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["update", "two"],
            7,
            "My two is not installed. To install it, run `keyfob tools update two --install`.",
        ),
        (["update", "three"], 7, "Keyfob knows no tool called three. To list the tools, run"),
        (["check", "three"], 7, "Keyfob knows no tool called three"),
        (["validate", "/nowhere.toml"], 2, "There is no file /nowhere.toml"),
        (["update"], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_has_its_exit(engine: Engine, words: list[str], code: int, said: str) -> None:
    ran = run(["tools", *words], opens(engine))
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_source_that_fails_is_named_and_the_others_are_checked(
    engine: Engine, server: ReleaseServer, tmp_path: Path
) -> None:
    install(tmp_path / ".local" / "bin", "two", "two 1.3.2")
    server.failing["/repos/me/one"] = 503
    ran = run(["tools", "check"], opens(engine))
    assert ran.code == 0
    assert "two   1.3.2      1.4.0   update to 1.4.0" in ran.out
    assert ran.err.startswith("one: ")


def test_a_managed_tool_names_its_manager_and_the_command(engine: Engine, tmp_path: Path) -> None:
    target = tmp_path / ".local" / "bin" / "one"
    target.unlink()
    target.symlink_to(install(tmp_path / "Cellar" / "one" / "1.3.2" / "bin", "one", "one 1.3.2"))
    checked = run(["tools", "check"], opens(engine))
    assert "update to 1.4.0, managed by Homebrew: brew upgrade one\n" in checked.out
    ran = run(["tools", "update", "one"], opens(engine))
    assert ran.code == 8
    assert (
        "My one is managed by Homebrew. Update it in the way that you installed it: run `brew upgrade one`."
        in ran.err
    )


def test_a_tool_without_a_checksum_needs_a_word(engine: Engine, server: ReleaseServer) -> None:
    server.publish("me/one", "v1.5.0", {"one.tar.gz": tar_of("one", program("one 1.5.0"))}, digests=False)
    ran = run(["tools", "update", "one"], opens(engine))
    assert ran.code == 2
    assert "No checksum of My one 1.5.0 is published" in ran.err
    assert run(["tools", "update", "one", "--unverified"], opens(engine)).code == 0


def test_a_file_of_a_tool_is_checked(engine: Engine, tmp_path: Path) -> None:
    good = tmp_path / "three.toml"
    good.write_text(
        FILE.replace("NAME", "three").replace("HOST", "example.org").replace("program", "notice", 0)
    )
    ran = run(["tools", "validate", str(good)], opens(engine))
    assert ran.code == 8  # how = "program" without downloads
    assert "three.toml: downloads: is missing" in ran.err
    good.write_text(good.read_text().replace('how = "program"', 'how = "notice"'))
    assert run(["tools", "validate", str(good)], opens(engine)).out == "three.toml is valid.\n"
    bad = json.loads(
        run(["tools", "validate", str(tmp_path / "files" / "x.toml"), "--json"], opens(engine)).err
    )
    assert bad["code"] == "usage"


def test_a_faulty_file_of_the_users_own_is_named(engine: Engine, tmp_path: Path) -> None:
    own = tmp_path / "home" / "config" / "companions"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text('id = "mine"\ntitle = "Mine"\n')
    ran = run(["tools", "list"], opens(engine))
    assert "mine.toml: program is missing" in ran.err
    assert ran.code == 0
