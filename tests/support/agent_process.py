"""A home with the sealed vault, the `keyfob` command as processes in it, and an agent that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.demo.server import DemoServer
from support.agent_rig import short_folder
from support.running import APP, KEYFOB, Processes, Ran, finish, scripted_browser

PASSPHRASE = "canary-passphrase"


@dataclass
class Machine:
    """`env` has no agent's address: commands find the socket by KEYFOB_HOME."""

    root: Path
    home: Path
    server: DemoServer
    processes: Processes = field(default_factory=Processes)

    @property
    def socket(self) -> Path:
        return self.home / "run" / "agent.sock"

    @property
    def env(self) -> dict[str, str]:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
        return env | {
            "KEYFOB_HOME": str(self.home),
            "PYTHONPATH": str(APP),
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
            return self.processes.start(
                [*(program or KEYFOB), *argv],
                self.env | ({"KEYFOB_PASSPHRASE_FD": str(read)} if unlocked else {}) | env,
                pass_fds=(read,),
            )
        finally:
            os.close(read)

    def run(self, *argv: str, stdin: str = "", unlocked: bool = True, **env: str) -> Ran:
        return finish(self.start(*argv, unlocked=unlocked, **env), stdin=stdin)

    def connect(self, person: str = "alice", *more: str, provider: str = "here") -> Any:
        return self.run("connect", provider, "--json", *more, **scripted_browser(self.root, person)).json

    def agent(self, *more: str, **env: str) -> subprocess.Popen[str]:
        """An agent that serves."""
        process = self.start("agent", *more, **env)
        said = said_by(process)
        assert "answers your tools" in said, said
        return process

    def end(self) -> None:
        """End what still runs."""
        self.processes.end()

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
