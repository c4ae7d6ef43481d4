"""The manual pages: each command has one with all its options, and an installation brings them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from keyfob.cli.main import VERBS, keyfob

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "packaging" / "man"


def options(command: click.Command) -> Iterator[str]:
    """The long options of a command and of those below it."""
    for param in command.params:
        yield from (
            each for each in param.opts if each.startswith("--") and not getattr(param, "hidden", False)
        )
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options(inner)


@pytest.mark.parametrize("name", VERBS)
def test_a_page_has_the_commands_line_and_all_its_options(name: str) -> None:
    text = (PAGES / f"keyfob-{name}.1").read_text("utf-8").replace("\\-", "-")
    command = keyfob.get_command(click.Context(keyfob), name)
    assert command is not None
    assert f"keyfob-{name} - {VERBS[name].line.rstrip('.')}\n" in text
    assert [each for each in options(command) if each not in text] == []
    assert ".SH SEE ALSO" in text


def test_the_overview_has_every_command_and_exit() -> None:
    text = (PAGES / "keyfob.1").read_text("utf-8").replace("\\-", "-")
    assert [name for name in VERBS if f".BR keyfob-{name} (1)" not in text] == []
    assert [code for code in range(11) if f".B {code}\n" not in text] == []


def test_no_line_of_a_text_is_taken_for_a_request() -> None:
    """roff reads lines that begin with a dot or an apostrophe as requests, and drops unknown ones."""
    known = {"TH", "SH", "SS", "TP", "P", "B", "BR", "nf", "fi", "ad", '\\"'}
    for page in PAGES.glob("*.1"):
        for line in page.read_text("utf-8").splitlines():
            assert line.isascii()
            if line.startswith((".", "'")):
                assert line[1:].split(" ")[0] in known, (page.name, line)


def test_the_wheel_installs_them(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    installed = {
        Path(name).name for name in zipfile.ZipFile(wheel).namelist() if ".data/data/share/man/man1/" in name
    }
    assert installed == {page.name for page in PAGES.glob("*.1")}
    assert "keyfob-request.1" in installed
