"""A server on loopback that publishes releases as GitHub does, with files to download; and small programs.

with ReleaseServer() as github:
    github.publish("me/tool", "v1.4.0", {"tool.tar.gz": tar_of("bin/tool", program("tool 1.4.0"))})
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from keyfob.adapters.network.transport import HttpTransport
from keyfob.core.http import Request, Response, Streamed
from keyfob.ports import Clock
from support.fake_ports import ScriptedTransport
from support.hostile import RawServer, Talk, answer

LARGE = 20_000  # bytes
PIECES = 12  # of the first half of a download that waits


class ReleaseServer:
    """`files`: what is at each path. `failing`: the status for each path that begins so."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.failing: dict[str, int] = {}
        self.lists: dict[str, list[dict[str, object]]] = {}
        self.gate: threading.Event | None = None  # half of a large download waits for it
        self.hold: threading.Event | None = None  # the list of a repository called two waits for it
        self.holding = False
        self.cuts = 0  # downloads that break off in the middle
        self.tokens: list[str] = []  # what came in Authorization
        self._server = RawServer(self._serve)
        self._open = True

    def __enter__(self) -> ReleaseServer:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more; a second time does nothing."""
        if self.gate is not None:
            self.gate.set()
        if self._open:
            self._open = False
            self._server.__exit__(None, None, None)

    @property
    def base(self) -> str:
        return self._server.url("").rstrip("/")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def asked(self) -> list[str]:
        """The paths of all requests."""
        return [request.target for request in self._server.requests]

    def publish(
        self,
        repository: str,
        tag: str,
        files: Mapping[str, bytes],
        *,
        prerelease: bool = False,
        digests: bool = True,
        notes: str = "",
    ) -> None:
        """A new release of `owner/name`, the newest of its list."""
        assets = []
        for name, data in files.items():
            path = f"/{repository}/releases/download/{tag}/{name}"
            self.files[path] = data
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}" if digests else None
            assets.append(
                {"name": name, "browser_download_url": self.base + path, "size": len(data),
                 "content_type": "application/octet-stream", "state": "uploaded", "digest": digest}
            )  # fmt: skip
        page = f"{self.base}/{repository}/releases/tag/{tag}"
        entry: dict[str, object] = {
            "tag_name": tag, "name": tag, "body": notes, "draft": False, "prerelease": prerelease,
            "published_at": "2026-11-18T09:00:00Z", "html_url": page, "assets": assets,
        }  # fmt: skip
        self.lists.setdefault(repository, []).insert(0, entry)

    def _serve(self, talk: Talk) -> None:
        path = talk.request.target.partition("?")[0]
        if "authorization" in talk.request.headers:
            self.tokens.append(talk.request.headers["authorization"])
        for begin, status in self.failing.items():
            if path.startswith(begin):
                answer(status, b"{}", {"Content-Type": "application/json"})(talk)
                return
        if path.startswith("/repos/"):
            self._list(talk, path)
        elif path in self.files:
            self._file(talk, self.files[path])
        else:
            answer(404, b"{}", {"Content-Type": "application/json"})(talk)

    def _list(self, talk: Talk, path: str) -> None:
        if self.hold is not None and "/two/" in path:
            self.holding = True
            self.hold.wait(20)
        parts = path.split("/")
        entries = self.lists.get("/".join(parts[2:4]), [])
        final = [each for each in entries if not each["prerelease"]]
        found: object = entries
        if path.endswith("/latest"):
            found = final[0] if final else None
        status = 200 if found else 404
        answer(status, json.dumps(found or {}).encode(), {"Content-Type": "application/json"})(talk)

    def _file(self, talk: Talk, data: bytes) -> None:
        asked, start = talk.request.headers.get("range", ""), 0
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if asked and talk.request.headers.get("if-range") == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        body, more = data[start:], ""
        if start:
            more = f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}\r\n"
        head = (
            f"HTTP/1.1 {206 if start else 200} OK\r\nContent-Type: application/octet-stream\r\n"
            f"ETag: {tag}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        )
        talk.send(head.encode())
        half = len(body) // 2
        gate = self.gate if len(data) >= LARGE else None
        if gate is None:
            talk.send(body[:half])
        else:  # in pieces, so that there is a rate
            for at in range(0, half, half // PIECES + 1):
                talk.send(body[at : min(at + half // PIECES + 1, half)])
                talk.pause(0.04)
        if self.cuts > 0:
            self.cuts -= 1
            return
        if gate is not None:
            gate.wait(20)
        talk.send(body[half:])


class Routed:
    """Requests to loopback go there, all others to the scripted providers."""

    def __init__(self, scripted: ScriptedTransport, clock: Clock) -> None:
        self._scripted, self._real = scripted, HttpTransport(clock, deadline=10)

    def _for(self, request: Request) -> ScriptedTransport | HttpTransport:
        return self._real if urlsplit(request.url).hostname == "127.0.0.1" else self._scripted

    def send(self, request: Request) -> Response:
        return self._for(request).send(request)

    @contextmanager
    def stream(self, request: Request, *, patience: float = 60.0) -> Iterator[Streamed]:
        with self._for(request).stream(request, patience=patience) as answer:
            yield answer


def program(says: str, *, status: int = 0) -> bytes:
    """A program that prints this, whatever its arguments."""
    return f"#!/bin/sh\nprintf '%s\\n' '{says}'\nexit {status}\n".encode()


def install(folder: Path, name: str, says: str) -> Path:
    """Such a program in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(program(says))
    path.chmod(0o755)
    return path


def tar_of(name: str, data: bytes, **others: bytes) -> bytes:
    """A .tar.gz with this executable, and others."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for each, content in {name: data, **others}.items():
            info = tarfile.TarInfo(each)
            info.size, info.mode = len(content), 0o755
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(name: str, data: bytes) -> bytes:
    """A .zip with this executable."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o755 << 16
        made.writestr(info, data)
    return out.getvalue()


def with_sums(files: Mapping[str, bytes], name: str) -> Mapping[str, bytes]:
    """The files, and a list of their checksums as `sha256sum` writes it."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {each}\n" for each, data in files.items()]
    return {**files, name: "".join(lines).encode()}


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return os.urandom(size)
