"""Imports run down only, and the engine's inside reaches for no clock,
entropy or socket: held by the tests too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ("core", "protocol", "providers", "ports.py", "service")


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [tool("lint-imports"), "--no-logo", "--cache-dir", ".import_linter_cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def banned(*arguments: str, given: str | None = None) -> list[str]:
    done = subprocess.run(
        [tool("ruff"), "check", "--no-cache", "--select", "TID251", "--output-format", "json", *arguments],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return [f"{fault['filename']}: {fault['message']}" for fault in json.loads(done.stdout)]


def test_the_inside_uses_nothing_from_outside() -> None:
    assert banned(*(f"app/keyfob/{part}" for part in INSIDE)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time; time.time()",
        "from time import time; time()",
        "from datetime import UTC, datetime; datetime.now(UTC)",
        "import secrets",
        "from random import choice",
        "import socket",
        "import httpx",
        "from keyring import get_password",
        "import webbrowser",
        "import sqlite3",
        "from platformdirs import user_data_dir",
        "import os; os.urandom(4)",
    ],
)
@pytest.mark.parametrize("part", ["core", "protocol", "providers", "service"])
def test_what_is_banned_is_noticed_there(part: str, line: str) -> None:
    code = line.replace("; ", "\n") + "\n"
    assert banned("--stdin-filename", f"app/keyfob/{part}/new.py", "-", given=code)
