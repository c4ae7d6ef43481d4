"""The native `keyfob-token`, compiled for the tests. They fail without a compiler: see build/packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def compiled(folder: Path, root: Path = ROOT) -> Path:
    """`keyfob-token` in `folder`, by the build command of the checkout at `root`."""
    out = folder / "keyfob-token"
    done = subprocess.run(
        [sys.executable, str(root / "build" / "launcher"), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out
