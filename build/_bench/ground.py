"""What the benchmarks stand on: Keyfob as a wheel in an environment of its own, a private keychain, the token
endpoint of `provider.py`, homes with accounts in them, an agent. Everything is made here and ended here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import measure

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests"))

HOUR = 3600


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


class Ground:
    """`with Ground(uv) as ground:` One keychain session, one provider; any number of homes."""

    def __init__(self, uv: str) -> None:
        from support.session import DesktopSession

        self.uv = uv
        self.venv = CACHE / "keyfob"
        self.session = DesktopSession()
        self.issuer = ""
        self._homes = 0
        self._provider: subprocess.Popen[str] | None = None

    def __enter__(self) -> Ground:
        self.install()
        self.session.start()
        self._provider = subprocess.Popen(
            [str(self.python), str(HERE / "provider.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._provider.stdout is not None
        self.issuer = self._provider.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        if self._provider is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._provider.communicate(timeout=5)
            self._provider.kill()
        self.session.close()

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def install(self) -> None:
        """The wheel of this checkout, as a person gets it; not the editable
        one, whose path file costs a little.
        """
        dist = CACHE / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        # With what the set-up has fetched: a benchmark is run without a network, too.
        self.run_quietly([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)])
        (wheel,) = dist.glob("*.whl")
        locked = [
            "sync",
            "-q",
            "--frozen",
            "--no-dev",
            "--extra=fast",
            "--extra=desktop",
            "--extra=gateway",
            "--no-install-project",
            "--compile-bytecode",
        ]
        self.run_quietly(
            [self.uv, *locked, "--python", sys.executable], UV_PROJECT_ENVIRONMENT=str(self.venv)
        )
        into = [self.uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(self.python)]
        self.run_quietly([*into, "--no-deps", "--reinstall-package", "keyfob", str(wheel)])

    def run_quietly(self, argv: Sequence[str], **more: str) -> None:
        done = subprocess.run(
            argv, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv[:3])} failed: {done.stderr.strip()[-800:]}")

    # --- homes ----------------------------------------------------------------------------------------------

    def env(self, home: Path, **more: str) -> dict[str, str]:
        return {**self.session.env, "KEYFOB_HOME": str(home), **more}

    def home(
        self, labels: Sequence[str], *, left: float = HOUR, lifetime: float = HOUR, api: str | None = None
    ) -> Path:
        """A new home with these accounts at `bench`, whose tokens end in `left` seconds. `api`: their API's
        address, if it is not the provider's.
        """
        self._homes += 1
        home = self.session.root / f"h{self._homes}"
        home.mkdir(mode=0o700)
        self.fill(home, labels, left=left, lifetime=lifetime, api=api)
        return home

    def fill(
        self,
        home: Path,
        labels: Sequence[str],
        *,
        left: float,
        lifetime: float = HOUR,
        api: str | None = None,
    ) -> None:
        accounts = [{"label": name, "left": left, "lifetime": lifetime} for name in labels]
        told = {"accounts": accounts, "api": api}
        done = subprocess.run(
            [str(self.python), str(HERE / "fill.py"), self.issuer],
            input=json.dumps(told), env=self.env(home), text=True, capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"fill.py failed: {done.stderr[-800:]}")

    def command(self, name: str, argv: Sequence[str], home: Path, **more: str) -> measure.Command:
        return measure.Command(name, [str(word) for word in argv], self.env(home, **more))

    # --- the provider ---------------------------------------------------------------------------------------

    def control(self, **told: object) -> None:
        request = urllib.request.Request(f"{self.issuer}/control", json.dumps(told).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.issuer}/stats", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    # --- the agent ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def agent(self, home: Path) -> Iterator[Agent]:
        argv = [str(self.venv / "bin" / "keyfob"), "agent"]
        with (self.session.logs / f"agent-{home.name}").open("wb") as log:
            process = subprocess.Popen(
                argv, env=self.env(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            path = home / "run" / "agent.sock"
            until = time.monotonic() + 20
            while not path.exists():
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError((self.session.logs / f"agent-{home.name}").read_text("utf-8"))
                time.sleep(0.02)
            yield Agent(process.pid, path)
        finally:
            process.terminate()
            try:
                process.wait(50)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Agent:
    def __init__(self, pid: int, path: Path) -> None:
        self.pid, self.path = pid, path


def switches(pid: int) -> int:
    """How often all threads of a process gave up the processor to wait."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            text = (task / "status").read_text("utf-8")
            total += int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return total


def resident(pid: int) -> float:
    """RSS in MB."""
    text = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(text.split("\nVmRSS:")[1].split()[0]) / 1024
