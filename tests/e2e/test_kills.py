"""`build/kills` runs: real processes are killed in the middle of
renewals, and the table tells what that cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).resolve().parents[2] / "build" / "kills"


def kills(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(KILLS), *words],
        env={**os.environ, "KEYFOB_KILLS_READY": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.network
@pytest.mark.keychain
@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the keychain that is killed is Linux's")
def test_a_line_is_measured_and_no_session_is_lost_with_a_grace() -> None:
    done = kills("--one", "agent-keyring-30", "--kills", "3")
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["victim"], line["vault"], line["grace"], line["kills"]) == ("agent", "keyring", 30, 3)
    assert line["lost"] == 0
    done = kills("--lines", "renew-sealed-30", "--kills", "2")
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[2]
    assert row.startswith("| `keyfob renew`, no agent | sealed file | 30 s | 2 | ")
    assert row.endswith(" | 0 | none seen |")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the keychain that is killed is Linux's")
def test_a_line_that_does_not_exist_is_an_error() -> None:
    done = kills("--lines", "nobody-keyring-30")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no line called nobody-keyring-30" in done.stderr
