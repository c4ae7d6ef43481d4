"""The Codex command line and Claude Code, run without a person and without a network beyond loopback.

Only their native programs are installed (`llm_clients/`). Each run has a home folder of its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from support import node
from support.running import Ran

SECONDS = 90
_QUIET = '\n[analytics]\nenabled = false\n\n[otel]\nexporter = "none"\n'
_MACHINES = {"x86_64": ("x64", "x86_64"), "aarch64": ("arm64", "aarch64")}


def _installed() -> Path:
    return node.installed("llm_clients") / "node_modules"


def codex_program() -> Path:
    """Where Codex is."""
    short, long = _MACHINES[platform.machine()]
    return _installed() / f"codex-linux-{short}/vendor/{long}-unknown-linux-musl/bin/codex"


def claude_program() -> Path:
    """Where Claude Code is."""
    short, _ = _MACHINES[platform.machine()]
    return _installed() / f"@anthropic-ai/claude-code-linux-{short}/claude"


def codex(home: Path, config: str, *words: str, **env: str) -> Ran:
    """`codex exec`, with this config file. What would reach out of the computer is switched off."""
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(f"check_for_update_on_startup = false\n{config}{_QUIET}")
    command = ["exec", "--skip-git-repo-check", "--ephemeral", *words]
    return _run(codex_program(), command, home, CODEX_HOME=str(folder), **env)


def claude(home: Path, *words: str, **env: str) -> Ran:
    """`claude -p`, with its answer as JSON."""
    return _run(
        claude_program(),
        ["-p", *words, "--output-format", "json"],
        home,
        CLAUDE_CONFIG_DIR=str(home / ".claude"),
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        **env,
    )


def _run(program: Path, words: list[str], home: Path, **env: str) -> Ran:
    work = home / "work"
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    done = subprocess.run(
        [program, *words],
        cwd=work,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - started)
