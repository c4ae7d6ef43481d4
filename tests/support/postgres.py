"""A PostgreSQL server of the test's own, on a Unix socket in a folder of its own.

PostgreSQL refuses to run as root, so root starts it as the user `postgres` of its package.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

BINARIES = Path("/usr/lib/postgresql")
USER = "postgres"
SETTINGS = {"listen_addresses": "", "fsync": "off", "max_connections": "40"}


class Postgres:
    """Serves while in `with`. `url` is for programs of this user."""

    def __init__(self) -> None:
        found = shutil.which("pg_ctl")
        versions = sorted(BINARIES.glob("*/bin/pg_ctl"), key=lambda path: float(path.parts[-3]))
        if found is None and not versions:
            raise RuntimeError("install postgresql: pg_ctl is needed")
        self._bin = Path(found).parent if found else versions[-1].parent
        self._root = Path(tempfile.mkdtemp(prefix="keyfob-pg-"))
        self._data = self._root / "data"
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(self._root, owner.pw_uid, owner.pw_gid)
        self._root.chmod(0o755)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@/{USER}?host={quote(str(self._root))}"

    @property
    def programs(self) -> Path:
        """The folder of its programs, such as createdb and pg_dump."""
        return self._bin

    def _run(self, program: str, *words: str) -> None:
        as_user = (
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []
        )
        subprocess.run(
            [*as_user, str(self._bin / program), *words],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=120,
            cwd=self._root,
        )

    def __enter__(self) -> Postgres:
        self._run("initdb", "-D", str(self._data), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync")
        options = [f"-c {name}='{value}'" for name, value in SETTINGS.items()]
        self._start = ["-D", str(self._data), "-w", "-t", "60", "-l", str(self._root / "log")]
        self._options = ["-o", " ".join([*options, f"-k {self._root}"])]
        self.start()
        return self

    def start(self) -> None:
        self._run("pg_ctl", *self._start, *self._options, "start")

    def stop(self) -> None:
        """At once, as in a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)
