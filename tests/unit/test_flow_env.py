"""A flow's arguments are checked by the type checker: a misspelt or missing one never reaches a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLS = """
from keyfob.core.grant import Grant
from keyfob.protocol.oauth import token
from keyfob.protocol.context import FlowContext
from keyfob.service.contexts import Signing

def right(plan: FlowContext, grant: Grant, signing: Signing) -> None:
    token.renew(plan, grant, subject="s", env=signing.env)

def misspelt(plan: FlowContext, grant: Grant, signing: Signing) -> None:
    token.renew(plan, grant, subjct="s", env=signing.env)

def missing(plan: FlowContext, grant: Grant, signing: Signing) -> None:
    token.renew(plan, grant, env=signing.env)

def without_env(plan: FlowContext, grant: Grant) -> None:
    token.renew(plan, grant, subject="s")
"""


def test_a_misspelt_or_missing_argument_of_a_flow_fails_the_type_check(tmp_path: Path) -> None:
    snippet = tmp_path / "calls.py"
    snippet.write_text(CALLS)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(snippet)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = {
        int(line.split(":")[1]): line
        for line in done.stdout.splitlines()
        if "calls.py" in line and ": error:" in line
    }
    lines = CALLS.splitlines()
    named = {lines[number - 1].strip() for number in wrong}
    assert named == {
        'token.renew(plan, grant, subjct="s", env=signing.env)',
        "token.renew(plan, grant, env=signing.env)",
        'token.renew(plan, grant, subject="s")',
    }, done.stdout
