"""`build/soak`: a short run of it, and what it calls growth."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the figures are from /proc")

SOAK = Path(__file__).resolve().parents[2] / "build" / "soak"
LINE = re.compile(
    r" *\d+ s +(\d+) renewals +(\d+) failed +[\d.]+ MB +\d+ descriptors +\d+ threads +[\d.]+% CPU"
)


@pytest.mark.network
@pytest.mark.timeout(200)
def test_a_short_soak_renews_and_loses_nothing() -> None:
    done = subprocess.run(
        [sys.executable, str(SOAK), "--minutes", "0.3", "--accounts", "4", "--lifetime", "5"],
        env={**os.environ, "KEYFOB_SOAK_READY": "1"}, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, verdict = done.stdout.splitlines()
    samples = [LINE.fullmatch(line) for line in lines]
    assert len(samples) >= 20
    assert all(samples), done.stdout
    assert samples[-1] is not None
    assert int(samples[-1][1]) >= 8  # 4 accounts, about every 4 s
    assert int(samples[-1][2]) == 0
    assert verdict == "soak: nothing was lost and nothing grew"


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SOAK.parent))
    loader = SourceFileLoader("soak_command", str(SOAK))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("what", "step", "fault"),
    [
        ("memory", 1 << 20, "memory grew by"),
        ("descriptors", 2, "descriptors grew"),
        ("threads", 2, "threads grew"),
        ("memory", 1 << 10, None),
    ],
)
def test_what_grows_is_named(soak: ModuleType, what: str, step: int, fault: str | None) -> None:
    steady = {"renewals": 1, "failed": 0, "memory": 50 << 20, "descriptors": 30, "threads": 5, "cpu": 0.0}
    samples = [soak.Sample(at=n, **{**steady, what: steady[what] + n * step}) for n in range(30)]
    found = soak.grown(samples)
    assert [each for each in found if fault and each.startswith(fault)] == found
    assert bool(found) is (fault is not None)
