"""Account pictures, fetched once and kept as files. Only for display:
no credentials are ever sent for them.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from urllib.parse import urljoin

from keyfob.core.errors import KeyfobError
from keyfob.core.http import Request
from keyfob.ports import Transport
from keyfob.process.home import write_private
from keyfob.protocol.http.urls import fault_of, leads_inside

log = logging.getLogger(__name__)
# What a picture begins with. SVG is left out: it is a program, and Qt would load what it refers to.
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"RIFF", b"BM")
HOPS = 2  # picture hosts like to redirect; nothing secret travels, so two hops are followed


class Avatars:
    """Thread-safe. `fetch` blocks on the network; `cached` reads a file."""

    def __init__(self, folder: Path, transport: Transport) -> None:
        self._folder = folder
        self._transport = transport

    def cached(self, url: str | None) -> Path | None:
        """The file of a picture that was fetched before."""
        if not url:
            return None
        path = self._path(url)
        return path if path.is_file() else None

    def fetch(self, url: str | None) -> Path | None:
        """The picture's file, fetched if it is new; None if there is none. Never raises for that."""
        held = self.cached(url)
        if held is not None or not url:
            return held
        address = url
        try:
            for _ in range(HOPS + 1):
                response = self._transport.send(Request("GET", address, "avatar", {"Accept": "image/*"}))
                if response.status not in (301, 302, 303, 307, 308):
                    break
                to = urljoin(address, response.headers.get("location", ""))
                if fault_of(to) is not None or leads_inside(to, address):
                    return None
                address = to
            if response.status != 200 or not response.body.startswith(SIGNATURES):
                return None
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(url)
            write_private(path, response.body)
            return path
        except (KeyfobError, OSError) as error:
            log.info("a picture could not be fetched: %s", type(error).__name__)
            return None

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode()).hexdigest()[:40]
