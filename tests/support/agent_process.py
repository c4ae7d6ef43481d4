"""A home with the sealed vault, the `keyfob` command as processes in it, and an agent that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.demo.server import DemoServer
from support.agent_rig import short_folder

PASSPHRASE = "canary-passphrase"
VISIT = (
    "import sys; from keyfob.demo.scripted_browser import ScriptedBrowser; "
    "ScriptedBrowser().sign_in(sys.argv[1], {person!r})"
)


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass
class Machine:
    """`env` has no agent's address: commands find the socket by KEYFOB_HOME."""

    root: Path
    home: Path
    server: DemoServer
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.home / "run" / "agent.sock"

    @property
    def env(self) -> dict[str, str]:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
        app = str(Path(__file__).resolve().parents[2] / "app")
        return env | {
            "KEYFOB_HOME": str(self.home),
            "PYTHONPATH": app,
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error",
        }

    def start(
        self, *argv: str, program: list[str] | None = None, unlocked: bool = True, **env: str
    ) -> subprocess.Popen[str]:
        """A process of this home; with `unlocked` it is handed the vault's passphrase by a descriptor."""
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        try:
            process = subprocess.Popen(
                [*(program or [sys.executable, "-m", "keyfob"]), *argv],
                env=self.env | ({"KEYFOB_PASSPHRASE_FD": str(read)} if unlocked else {}) | env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=(read,),
            )
        finally:
            os.close(read)
        self.running.append(process)
        return process

    def run(self, *argv: str, stdin: str = "", unlocked: bool = True, **env: str) -> Ran:
        process = self.start(*argv, unlocked=unlocked, **env)
        out, err = process.communicate(stdin, timeout=90)
        return Ran(process.returncode, out, err)

    def connect(self, person: str = "alice", *more: str, provider: str = "here") -> Any:
        script = self.root / f"visit-{person}.py"
        script.write_text(VISIT.format(person=person))
        return self.run("connect", provider, "--json", *more, BROWSER=f"{sys.executable} {script} %s").json

    def agent(self, *more: str, **env: str) -> subprocess.Popen[str]:
        """An agent that serves."""
        process = self.start("agent", *more, **env)
        said = said_by(process)
        assert "answers your tools" in said, said
        return process

    def end(self) -> None:
        """End what still runs."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
            if process.stdout is not None and not process.stdout.closed:
                process.communicate()
        self.running.clear()

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def said_by(process: subprocess.Popen[str]) -> str:
    """The next line on stderr."""
    assert process.stderr is not None
    return process.stderr.readline()


@contextmanager
def machine(access_lifetime: int = 3600) -> Iterator[Machine]:
    with short_folder() as root:
        home = root / "home"
        (home / "config").mkdir(parents=True)
        home.chmod(0o700)
        (home / "config" / "settings.json").write_text('{"vault": "sealed"}')
        with DemoServer(root / "provider", port=0, access_lifetime=access_lifetime) as server:
            made = Machine(root, home, server)
            added = made.run(
                "providers", "add", "here", "--issuer", server.issuer, "--client-id", "keyfob-demo",
                "--redirect-port", "0",
            )  # fmt: skip
            assert added.code == 0, added.err
            try:
                yield made
            finally:
                made.end()


def wait_for(true: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
