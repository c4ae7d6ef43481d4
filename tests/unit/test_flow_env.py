"""A flow's arguments are checked by the type checker: a misspelt or missing one never reaches a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLS = """
from keyfob.core.grant import Grant
from keyfob.core.provider import Provider, Server
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth import renewal

def right(provider: Provider, server: Server, client: Client, env: FlowEnv, grant: Grant) -> None:
    ctx = FlowContext(provider, server, client, env)
    renewal.renew(ctx, grant, subject="s")

def misspelt(ctx: FlowContext, grant: Grant) -> None:
    renewal.renew(ctx, grant, subjct="s")

def missing(ctx: FlowContext, grant: Grant) -> None:
    renewal.renew(ctx, grant)

def without_env(provider: Provider, server: Server, client: Client) -> None:
    FlowContext(provider, server, client)

def misspelt_field(ctx: FlowContext, grant: Grant) -> None:
    ctx.env.clock()
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
        'renewal.renew(ctx, grant, subjct="s")',
        "renewal.renew(ctx, grant)",
        "FlowContext(provider, server, client)",
        "ctx.env.clock()",
    }, done.stdout
