"""What people use today, installed where it can be and left out with a
word where it cannot: from apt, from PyPI.

Each has its own home and is set up so that it answers from what it has
stored, without the network, as Keyfob does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .ground import CACHE, HERE, Ground, say

SECRET = "a" * 180  # as long as the tokens that Keyfob is asked for
PACKAGES = {
    "secret-tool": "libsecret-tools",
    "gh": "gh",
    "oidc-agent": "oidc-agent-cli",
    "oidc-token": "oidc-agent-cli",
    "curl": "curl",
    "cc": "gcc libc6-dev",
    "musl-gcc": "musl-tools",
    "nginx": "nginx libnginx-mod-http-lua",
    "wrk": "wrk",
}


def program(name: str) -> str | None:
    """Its path; installed from apt where that is allowed."""
    found = shutil.which(name)
    if found or not shutil.which("apt-get") or os.geteuid() != 0:
        return found
    package = PACKAGES[name].split()
    say(f"Installing {' '.join(package)} to compare with")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *package]
    if subprocess.run(install, env=env, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-q", "update"], env=env, capture_output=True, check=False)
        subprocess.run(install, env=env, capture_output=True, check=False)
    return shutil.which(name)


def python_with(ground: Ground, name: str) -> Path | None:
    """An environment with this distribution alone; None where it is not to be had."""
    venv = CACHE / name
    python = venv / "bin" / "python"
    try:
        if not python.exists():
            say(f"Installing {name} to compare with")
            ground.run_quietly([ground.uv, "venv", "-q", "--python", sys.executable, str(venv)])
        ground.run_quietly(
            [ground.uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), name]
        )
    except RuntimeError:
        return None
    return python


def stored_secret(ground: Ground) -> None:
    """One item in the private keychain, for secret-tool and keyring alike."""
    tool = program("secret-tool")
    assert tool is not None
    words = [
        "store",
        "--label=bench",
        "service",
        "bench",
        "username",
        "me",
        "application",
        "Python keyring library",
    ]
    subprocess.run([tool, *words], input=SECRET, text=True, env=ground.session.env, check=True)


def gh_home(ground: Ground) -> Path:
    folder = ground.session.root / "gh"
    folder.mkdir(exist_ok=True)
    (folder / "hosts.yml").write_text(f"github.com:\n    oauth_token: {SECRET}\n    user: me\n", "utf-8")
    return folder


class OidcAgent:
    """oidc-agent with two accounts at the benchmarks' provider: `bench`,
    and `slow`, whose renewals take two seconds.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.home = Path(tempfile.mkdtemp(prefix="o-", dir=ground.session.root))
        self.env: dict[str, str] = {}
        self.pid = 0

    def __enter__(self) -> OidcAgent:
        agent = program("oidc-agent")
        if agent is None or program("oidc-token") is None:
            raise LookupError("no oidc-agent here")
        (self.home / "config").mkdir(parents=True, mode=0o700, exist_ok=True)
        base = self._ground.session.env | {
            "HOME": str(self.home),
            "OIDC_CONFIG_DIR": str(self.home / "config"),
            "TMPDIR": str(self.home),
        }
        told = subprocess.run(
            [agent], env=base, capture_output=True, text=True, timeout=20, check=True
        ).stdout
        found = dict(re.findall(r"(OIDC_SOCK|OIDCD_PID)=([^;\s]+)", told))
        self.pid = int(found["OIDCD_PID"])
        self.env = base | found
        password = self.home / "password"
        password.write_text("bench\n", "utf-8")
        for name in ("bench", "slow"):
            subprocess.run(
                ["oidc-gen", name, "-m", f"--iss={self._ground.issuer}/", "--client-id=bench",
                 "--client-secret=x", "--scope=openid offline_access", f"--rt=r.{name}.fixed",
                 "--prompt=none",
                 f"--pw-file={password}", "--confirm-default", "--redirect-uri=http://localhost:4242"],
                env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=40, check=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid:
            # A daemon of its own making: not our child, so it is only asked.
            os.kill(self.pid, 15)
            time.sleep(0.1)

    @property
    def socket(self) -> str:
        return self.env["OIDC_SOCK"]

    @staticmethod
    def request(account: str, seconds: int = 60) -> bytes:
        return (
            f'{{"request":"access_token","account":"{account}","min_valid_period":{seconds},'
            '"application_hint":"bench"}'
        ).encode()


def msal_script() -> str:
    return str(HERE / "msal_silent.py")
