"""`build/bench` runs: from the wheel to the table. What it measures is nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "build" / "bench"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "KEYFOB_BENCH_READY": "1"}
    return subprocess.run(
        [sys.executable, str(BENCH), *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.network
@pytest.mark.keychain
@pytest.mark.timeout(600)
def test_a_row_is_measured_from_the_wheel_and_told() -> None:
    done = bench("--quick", "--json", "--only=python")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    (row,) = told["rows"]
    assert row["name"] == "python"
    assert row["figures"]["asked_ms"] > row["figures"]["memory_us"] / 1000 > 0
    assert told["machine"]["python"]


def test_a_row_that_is_none_is_told() -> None:
    done = bench("--only=nothing")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "There is no row called nothing" in done.stderr
