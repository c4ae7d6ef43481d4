"""Pictures of mods and members, kept on disk by their addresses.

They come from the site's own delivery servers without credentials. What is not a picture is not kept: the
first bytes decide. Blocks; thread-safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyfob.core.hosts import is_listed, is_loopback
from keyfob.nexus.delivery import CDN_HOSTS

if TYPE_CHECKING:
    import httpx

MOST = 8 * 1024 * 1024  # bytes of a picture
KEPT = 200 * 1024 * 1024  # bytes of all pictures
TIMEOUT = 15.0  # seconds
FAILED_FOR = 300.0  # seconds for which an address that failed is not asked again
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


class Pictures:
    """`folder` is made when it is needed. `base`: the API's address, which may be on this computer."""

    def __init__(self, folder: Path, base: str) -> None:
        self._folder = folder
        self._here = is_loopback(urlsplit(base).hostname)
        self._failed: dict[str, float] = {}
        self._guard = threading.Lock()
        self._client: httpx.Client | None = None
        self._users = 0  # pictures that are being fetched

    def get(self, url: str) -> Path | None:
        """The file with the picture, fetched if it is not here yet. None if it cannot be had."""
        path = self._folder / hashlib.sha256(url.encode()).hexdigest()[:40]
        if path.exists():
            return path
        if not self._allowed(url) or time.monotonic() < self._failed.get(url, 0.0):
            return None
        data = self._fetch(url)
        if data is None or not _is_picture(data):
            self._failed[url] = time.monotonic() + FAILED_FOR
            return None
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{time.time_ns()}")
            fresh.write_bytes(data)
            fresh.replace(path)
            self._prune()
        return path if path.exists() else None

    def close(self) -> None:
        """Ends the connections: at once, or when the picture that uses them is here."""
        with self._guard:
            client, self._client = self._client, None
            idle = client is not None and not self._users
        if client is not None and idle:
            client.close()

    def _allowed(self, url: str) -> bool:
        try:
            place = urlsplit(url)
            if self._here and is_loopback(place.hostname):
                return True
            return place.scheme == "https" and is_listed(place.netloc, CDN_HOSTS)
        except ValueError:
            return False

    def _fetch(self, url: str) -> bytes | None:
        client = self._take()
        try:
            return _received(client, url)
        finally:
            with self._guard:
                self._users -= 1
                last = not self._users and client is not self._client
            if last:  # it was closed meanwhile
                client.close()

    def _take(self) -> httpx.Client:
        with self._guard:
            if self._client is None:
                import httpx

                from keyfob.adapters.network.trust import tls_context

                self._client = httpx.Client(timeout=TIMEOUT, verify=tls_context(), follow_redirects=False)
            self._users += 1
            return self._client

    def _prune(self) -> None:
        files = [(each.stat().st_mtime, each.stat().st_size, each) for each in self._folder.iterdir()]
        total = sum(size for _, size, _ in files)
        for _, size, each in sorted(files, key=lambda file: file[0]):
            if total <= KEPT:
                return
            each.unlink(missing_ok=True)
            total -= size


def _received(client: httpx.Client, url: str) -> bytes | None:
    import httpx

    try:
        with client.stream("GET", url) as response:
            if response.status_code != 200:
                return None
            body, end = bytearray(), time.monotonic() + TIMEOUT
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MOST or time.monotonic() > end:
                    return None
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None


def _is_picture(data: bytes) -> bool:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return data.startswith(_STARTS) or webp
