"""Other programs, run for what they print. Called through the engine,
for the tools that `keyfob wire` sets up.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from keyfob.process.own_process import child_environment

WITHIN = 60.0  # seconds


def output_of(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command's standard output; empty if it cannot be started or does not end in time. The first word is
    the program's whole path.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=child_environment(environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
