"""`keyfob update install` as a process: progress on a terminal, Ctrl-C, and the next run that continues."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from support.bundles import START, packed
from support.hostile import Talk
from support.running import APP, until
from support.tuf_repository import Published, served

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a bundle updates itself on Linux alone"),
]
# Keyfob as this checkout has it, which takes itself for a publisher's frozen app of version 1.0.
PROGRAM = """#!/bin/sh
exec {python} -I -c '
import sys
sys.path.insert(0, "{app}")
import keyfob
keyfob.__version__ = "1.0"
sys.frozen, sys.executable = True, "{here}"
import keyfob.updates.service as service
from keyfob.updates.source import Source
from pathlib import Path
service.read_source = lambda: Source(
    metadata="{metadata}", targets="{targets}", root=Path("{root_json}").read_bytes()
)
from keyfob.__main__ import main
sys.exit(main())
' "$@"
"""


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with served(tmp_path / "publisher") as made:
        yield made


@pytest.fixture
def root(tmp_path: Path, published: Published) -> Path:
    root = tmp_path / "keyfob"
    here = root / "versions" / "1.0" / "keyfob"
    here.parent.mkdir(parents=True)
    (tmp_path / "root.json").write_bytes(published.root)
    source = published.source
    here.write_text(
        PROGRAM.format(
            python=sys.executable, app=APP, here=here, metadata=source.metadata, targets=source.targets,
            root_json=tmp_path / "root.json",
        )
    )  # fmt: skip
    here.chmod(0o755)
    (here.parent / "installation.json").write_text('{"kind": "bundle"}')
    (root / "current").symlink_to("versions/1.0")
    shutil.copy(START, root / "keyfob")
    return root


def env(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "KEYFOB_HOME": str(tmp_path / "home"),
        "TERM": "xterm",
    }  # fmt: skip


class HalfWay:
    """Gives half of an archive and waits."""

    def __init__(self, published: Published) -> None:
        self._folder = published.folder / "repository"
        self.there = threading.Event()

    def __call__(self, talk: Talk) -> bool:
        path = self._folder / unquote(talk.request.target).lstrip("/")
        if not talk.request.target.startswith("/targets/"):
            return False
        data = path.read_bytes()
        head = f'HTTP/1.1 200 Fine\r\nETag: "{len(data)}"\r\nContent-Length: {len(data)}\r\n\r\n'
        talk.send(head.encode() + data[: len(data) // 2])
        self.there.set()
        talk.pause(60)
        return True


def test_ctrl_c_keeps_what_was_downloaded_and_the_next_run_continues(
    root: Path, published: Published, tmp_path: Path
) -> None:
    ballast = os.urandom(400_000).hex()
    published.add("2.0", packed(tmp_path, "2.0", f"#!/bin/sh\necho keyfob 2.0\n# {ballast}\n"))
    half = HalfWay(published)
    published.before = half
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(root / "keyfob"), "update", "install"], env=env(tmp_path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    assert half.there.wait(60)
    while b"kB/s" not in said:
        said += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (6, b"")
    text = said.decode()
    assert re.search(r"\rDownloading: \d+ kB of \d+ kB, .*kB/s", text), text
    assert text.endswith(
        "\r\nkeyfob: The update was cancelled, and nothing was changed. What was downloaded is kept. To "
        "continue, run `keyfob update install` again.\r\n"
    )
    assert [each.name for each in (root / "versions").iterdir()] == ["1.0"]
    downloads = tmp_path / "home" / "state" / "updates" / "downloads"
    until(lambda: any(each.suffix == ".part" for each in downloads.iterdir()))

    asked: list[str] = []

    def note(talk: Talk) -> bool:
        if talk.request.target.startswith("/targets/"):
            asked.append(talk.request.headers.get("range", ""))
        return False

    published.before = note
    again = subprocess.run(
        [str(root / "keyfob"), "update", "install"], env=env(tmp_path), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (again.returncode, again.stdout) == (
        0, "Keyfob 2.0 is installed.\nIt is used from the next start on.\n"
    )  # fmt: skip
    assert len(asked) == 1
    assert re.fullmatch(r"bytes=\d{5,}-", asked[0])
    assert list(downloads.iterdir()) == []
