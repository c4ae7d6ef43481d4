"""Fetches everything that tests need from the network, ahead of a run: `python tests/support/fetch.py`.

After it, all tests run without a network. It does nothing when everything is there. Prints one line for what
it fetches, and exits 1 with the reason if something cannot be had.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support import node, python_tools

STEPS: dict[str, Callable[[], Path]] = {
    "oidc-provider, an authorization server": lambda: node.installed("oidc_provider"),
    "an atproto server": lambda: node.installed("atproto"),
    "the client of Nexus Mods": lambda: node.installed("nexus_client"),
    "the Codex command line and Claude Code": lambda: node.installed("llm_clients"),
    "botocore and HTTPie": python_tools.clients,
    "the oldest pip": python_tools.oldest_pip,
    "the newest pip": python_tools.newest_pip,
    "the AWS CLI": python_tools.aws,
    "the go command": python_tools.go,
}


def main() -> int:
    for name, install in STEPS.items():
        try:
            install()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            print(f"Could not install {name}: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
