"""A TUF repository with real keys, served on loopback.

with served(tmp_path) as published:
    published.add("1.1.0", b"an archive")
    updates = TrustedUpdates(published.source, tmp_path / "cache", system="linux", machine="x86_64")
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from keyfob.updates.source import Source
from support.hostile import RawServer, Talk, answer

sys.path.append(str(Path(__file__).resolve().parents[2] / "build"))

from _tuf_repository import Keys, Repository


class Published:
    """`before` sees each request first, and may answer it (then it returns True)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = Keys(folder / "keys")
        self.repository = Repository(folder / "repository", self.keys)
        self.repository.init()
        self.root = self.repository.current_root()
        self.before: Callable[[Talk], bool] = lambda _: False
        self.paths: list[str] = []
        self.server: RawServer | None = None

    @property
    def source(self) -> Source:
        assert self.server is not None
        return Source(
            metadata=self.server.url("/metadata"), targets=self.server.url("/targets"), root=self.root
        )

    @property
    def metadata(self) -> Path:
        return self.repository.metadata

    def at(self, now: datetime) -> Repository:
        """The repository as its publisher works on it at another time."""
        return Repository(self.folder / "repository", self.keys, now)

    def add(
        self,
        version: str,
        archive: bytes | Path,
        *,
        notes: str = "",
        system: str = "linux",
        machine: str = "x86_64",
    ) -> str:
        if isinstance(archive, bytes):
            path = self.folder / "archive"
            path.write_bytes(archive)
        else:
            path = archive
        return self.repository.add(path, version=version, system=system, machine=machine, notes=notes)

    def __call__(self, talk: Talk) -> None:
        self.paths.append(talk.request.target)
        if self.before(talk):
            return
        path = self.folder / "repository" / unquote(talk.request.target).lstrip("/")
        if not path.is_file():
            answer(404, b"no")(talk)
            return
        data = path.read_bytes()
        head = {"Content-Type": "application/octet-stream", "ETag": f'"{len(data)}"'}
        asked = talk.request.headers.get("range")
        if asked is None:
            answer(200, data, head)(talk)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        head["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        answer(206, data[start:], head)(talk)


@contextmanager
def served(folder: Path) -> Iterator[Published]:
    """A repository in `folder`, with the newest version still to be added."""
    published = Published(folder)
    with RawServer(published) as server:
        published.server = server
        yield published


def slowly(repository: Path, gate: threading.Event) -> Callable[[Talk], bool]:
    """For `Published.before`: archives come in pieces, and the second half when the gate opens."""

    def give(talk: Talk) -> bool:
        path = repository / unquote(talk.request.target).lstrip("/")
        if not talk.request.target.startswith("/targets/") or not path.is_file():
            return False
        data = path.read_bytes()
        half = len(data) // 2
        talk.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
        )
        for at in range(0, half, half // 12 + 1):
            talk.send(data[at : min(at + half // 12 + 1, half)])
            talk.pause(0.04)
        gate.wait(20)
        talk.send(data[half:])
        return True

    return give
