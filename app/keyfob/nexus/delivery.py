"""The site's delivery servers: which hosts they are, and what a file from them is compared by."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault, SignInEnded
from keyfob.core.hosts import is_loopback

CDN_HOSTS = ("nexusmods.com", "*.nexusmods.com", "nexus-cdn.com", "*.nexus-cdn.com")
PIECE = 1024 * 1024


def hosts_for(base: str, url: str) -> tuple[str, ...]:
    """Who may be asked for the file at `url`, without credentials. An API on this computer, at `base`, may
    name a server on this computer. Raises PeerFault `download_elsewhere` for an address without TLS.
    """
    try:
        place = urlsplit(url)
        here = is_loopback(urlsplit(base).hostname) and is_loopback(place.hostname)
        if place.scheme != "https" and not here:
            raise ValueError("not https")
    except ValueError:
        raise PeerFault(
            "Nexus Mods gave a link that Keyfob does not open", code="download_elsewhere"
        ) from None
    return (*CDN_HOSTS, place.netloc) if here else CDN_HOSTS


def md5_of(path: Path, stop: threading.Event) -> str:
    """The MD5 that the site lists files by. It finds damage; it is no proof against forgery. Raises
    SignInEnded `cancelled` if `stop` is set.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if stop.is_set():
                raise SignInEnded("The check was interrupted", code="cancelled")
            digest.update(piece)
    return digest.hexdigest()
