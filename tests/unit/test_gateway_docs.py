"""The examples of docs/callers.md work as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from keyfob.gateway.auth import create_auth_provider

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/callers.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_configurations() -> None:
    static, google, several = map(yaml.safe_load, blocks("yaml"))
    for kind, config in (("static", static), ("oidc", google), ("multi-oidc", several)):
        assert create_auth_provider(kind, config) is not None


def test_the_programs(tmp_path: Path) -> None:
    programs = blocks("python")
    assert len(programs) == 3
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "KEYFOB_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "JWT_SECRET": "x" * 32,
    }
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        for program in programs
    ]
    assert [ran.stderr for ran in said] == ["", "", ""]
    assert said[0].stdout == "True\nAuthentication failed: invalid or expired token\n"


def test_the_programs_pass_mypy_strict(tmp_path: Path) -> None:
    for number, program in enumerate(blocks("python")):
        (tmp_path / f"program_{number}.py").write_text(program, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", ".mypy", "."],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "program_" not in ran.stdout, ran.stdout
