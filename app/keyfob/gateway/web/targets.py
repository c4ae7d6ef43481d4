"""Where a browser goes after a sign-in: a path of this server, and nothing else."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

MOST = 2048  # characters
DECODED_TIMES = 3  # what a proxy or a framework might decode once more is refused as well
_PLAIN = re.compile(r"[\x21-\x7e]+")
_AS_ADDRESS = re.compile(r"/[/\\]|.*[\\\x00-\x1f\x7f]", re.DOTALL)


def is_own_path(target: str, origin: str) -> bool:
    """Whether a redirect to `target` stays at `origin`, whoever reads it: an absolute path with a query
    perhaps, of printable ASCII, that no decoding turns into another host's address.
    """
    if not 0 < len(target) <= MOST or not _PLAIN.fullmatch(target) or not target.startswith("/"):
        return False
    decoded = target
    for _ in range(DECODED_TIMES):
        if _AS_ADDRESS.match(decoded):
            return False
        decoded = unquote(decoded)
    if _AS_ADDRESS.match(decoded):
        return False
    try:
        parts = urlsplit(urljoin(origin + "/", target))
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}" == origin
