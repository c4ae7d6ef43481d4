"""A home whose account is at our Nexus Mods server, and the `keyfob` command as processes in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.agent_rig import short_folder
from support.nexus_server import NexusServer
from support.running import APP, KEYFOB, Processes, Ran, finish, free_port

PASSPHRASE = "a passphrase for a test"
# A browser that is signed in at the site already: it follows the redirects.
BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).read()"


@dataclass
class NexusMachine:
    root: Path
    home: Path
    server: NexusServer
    processes: Processes = field(default_factory=Processes)

    @property
    def env(self) -> dict[str, str]:
        script = self.root / "browser.py"
        script.write_text(BROWSER, "utf-8")
        env = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
        return env | {
            "HOME": str(self.root),
            "KEYFOB_HOME": str(self.home),
            "PYTHONPATH": str(APP),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONWARNINGS": "error",
            "BROWSER": f"{sys.executable} {script} %s",
        }

    def start(self, *argv: str, stderr: int = subprocess.PIPE, **env: str) -> subprocess.Popen[str]:
        read, write = os.pipe()
        os.write(write, PASSPHRASE.encode() + b"\n")
        os.close(write)
        environ = self.env | {"KEYFOB_PASSPHRASE_FD": str(read)} | env
        try:
            return self.processes.start([*KEYFOB, *argv], environ, stderr=stderr, pass_fds=(read,))
        finally:
            os.close(read)

    def run(self, *argv: str, stdin: str = "", **env: str) -> Ran:
        return finish(self.start(*argv, **env), stdin=stdin)

    def nexus(self, *argv: str) -> Ran:
        return self.run("nexus", *argv)

    def connect(self, member: int = 1, *, oauth: bool = False) -> None:
        """An account with the member's key, or with tokens from a sign-in in the browser."""
        site = self.server.site
        site.signing_in = member
        if oauth:
            ran = self.run(
                "connect", "nexusmods", "--method", "oauth", "--client-id", "keyfob-test", "--json"
            )
        else:
            key = site.members[member].key
            ran = self.run("connect", "nexusmods", "--api-key-stdin", "--json", stdin=f"{key}\n")
        assert ran.code == 0, ran.err


@contextmanager
def nexus_machine(server: NexusServer) -> Iterator[NexusMachine]:
    with short_folder() as root:
        home = root / "home"
        (home / "config" / "providers").mkdir(parents=True)
        home.chmod(0o700)
        settings = {"vault": "sealed", "callback_port": free_port()}
        (home / "config" / "settings.json").write_text(json.dumps(settings))
        (home / "config" / "providers" / "nexusmods.toml").write_text(server.preset, "utf-8")
        made = NexusMachine(root, home, server)
        try:
            yield made
        finally:
            made.processes.end()
