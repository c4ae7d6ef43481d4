"""What a package for Python holds, and what a plain install says of the part that it lacks."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from keyfob.core.errors import SettingWrong
from keyfob.demo.server import DemoServer
from support.cli_run import opens, run

ROOT = Path(__file__).resolve().parents[2]


def test_the_source_package_can_be_built_read_and_tested() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = told["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    wanted = (
        "app",
        "resources",
        "packaging",
        "docs",
        "tests",
        "build",
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "LICENSE",
    )
    assert {f"/{name}" for name in (*wanted, "pyproject.toml", "uv.lock")} == set(included)
    assert [name for name in included if not (ROOT / name[1:]).exists()] == []


def test_without_the_demos_parts_the_command_that_installs_them_is_told_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.serving", None)

    with pytest.raises(SettingWrong):
        DemoServer(tmp_path, port=0, access_lifetime=5).start()
    ran = run(["demo", "--headless"], opens(None))
    assert (ran.code, ran.out) == (8, "")
    assert "pip install 'keyfob[demo]'" in ran.err
    assert "uv tool install 'keyfob[demo]'" in ran.err


def test_the_program_without_a_console_opens_the_window_or_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from keyfob import __main__ as start

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["gui-scripts"]
    assert scripts == {"keyfob-window": "keyfob.__main__:window_main"}
    asked: list[list[str]] = []
    monkeypatch.setattr(start, "begin", lambda: None)
    monkeypatch.setattr(start, "_open_window", lambda arguments: asked.append(list(arguments)) or 0)
    for words in ([], ["settings"]):
        monkeypatch.setattr(sys, "argv", ["keyfob-window", *words])
        assert start.window_main() == 0
    assert asked == [[], ["--action=settings"]]
    monkeypatch.setattr(sys, "argv", ["keyfob-window", "kitchen"])
    assert start.window_main() == 2
    assert "kitchen" in capsys.readouterr().err
