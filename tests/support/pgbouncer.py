"""PgBouncer in front of a PostgreSQL of `support.postgres`, on a Unix socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit

from support.postgres import USER

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """Serves while in `with`, which gives its URL."""

    def __init__(self, url: str, mode: str) -> None:
        if PROGRAM is None:
            raise RuntimeError("install pgbouncer")
        self._root = Path(tempfile.mkdtemp(prefix="keyfob-pgb-"))
        [folder] = parse_qs(urlsplit(url).query)["host"]
        settings = self._root / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{USER} = host={folder} user={USER}\n[pgbouncer]\npool_mode = {mode}\n"
            f"unix_socket_dir = {self._root}\nlisten_port = 6432\nauth_type = any\n"
        )
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(self._root, owner.pw_uid, owner.pw_gid)
        self._root.chmod(0o755)
        self._command = [PROGRAM, "-q", str(settings)]
        if os.geteuid() == 0:
            self._command[1:1] = ["-u", USER]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not (self._root / ".s.PGSQL.6432").exists():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError("pgbouncer did not start")
            time.sleep(0.02)
        return f"postgresql://{USER}@/{USER}?host={quote(str(self._root))}&port=6432"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        shutil.rmtree(self._root, ignore_errors=True)
