"""Performs a change of version and kills itself at the n-th thing it does to the disk or to a program.

    python killed_change.py N ROOT FOLDER URL VERSION SIZE SHA256 HOST

Exit 0: it came to the end before that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from keyfob.updates.bundle import Bundle
from keyfob.updates.change import Watcher, change_to
from keyfob.updates.trusted import Archive

STEPS = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "shutil.rmtree",
    "subprocess.Popen",
}  # fmt: skip


def main() -> None:
    number, root, folder, url, version, size, digest, host = sys.argv[1:]
    left = int(number)
    name = f"keyfob-{version}-linux-x86_64.tar.gz"
    archive = Archive(version, name, url, int(size), digest, "")

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_CREAT)
        if event in STEPS or writes:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    change_to(
        archive,
        Bundle(Path(root)),
        Path(folder),
        hosts=(host,),
        watcher=Watcher(),
        cancelled=threading.Event(),
    )


if __name__ == "__main__":
    main()
