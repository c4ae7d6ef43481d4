"""The documents tell the truth: what they link to is there, and what is made from the code is the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in targets:
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for path in re.findall(r"`((?:app|build|docs|resources|tests)/[\w./-]+)`", page.read_text("utf-8")):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_the_state_diagram_is_the_tables() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "build" / "diagrams"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_tests_that_threats_name_exist() -> None:
    rows = re.findall(
        r"^\| (S-\d+) \|.*\|([^|]*)\|$", (ROOT / "docs" / "threats.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 60
    for row, tests in rows:
        for name in re.findall(r"`([^`]+)`", tests):
            assert list((ROOT / "tests").rglob(name)), f"{row} names {name}"


def test_the_readme_shows_both_commands_in_its_first_screen() -> None:
    first = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:25])
    for command in ("build/run", "build/test"):
        assert command in first
        assert (ROOT / command).stat().st_mode & 0o111
