"""Links in the answers of package registries, which lead through the gateway again. Pure.

A registry names its files by whole addresses, or from the root of its host. pip and npm send the gateway's
key to the gateway alone, so they would fetch such a file without credentials. Only the lists of a registry
are changed, which pip and npm ask for in a way of their own; never a file or another API's answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_LISTS = ("application/vnd.pypi.simple", "application/vnd.npm.install")


def are_wanted(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers asks for a registry's list of files."""
    if headers.get("Pacote-Req-Type", "") == "packument":  # npm, when it wants the whole list
        return True
    return any(kind in headers.get("Accept", "").lower() for kind in _LISTS)


class Links:
    """Replaces them in a text that comes in parts. Keeps the few bytes that a link may begin with."""

    def __init__(self, base: str, gateway: str) -> None:
        """`base`: the address that stands for `gateway`, both without a slash at the end."""
        root = urlsplit(base).path
        self._whole = {
            base.encode() + b"/": gateway.encode() + b"/",
            **{
                start + root.encode() + b"/": start + gateway.encode() + b"/"
                for start in (b'href="', b'"url":"', b'"url": "')
            },
        }
        # A second slash begins another host's address.
        self._pattern = re.compile(b"(?:" + b"|".join(map(re.escape, self._whole)) + b")(?!/)")
        self._longest = max(map(len, self._whole)) + 1
        self._rest = b""

    def feed(self, part: bytes) -> bytes:
        """What can leave by now."""
        text = self._rest + part
        return self._until(text, max(0, len(text) - self._longest))

    def end(self) -> bytes:
        """What was kept."""
        return self._until(self._rest, len(self._rest))

    def _until(self, text: bytes, end: int) -> bytes:
        out, at = bytearray(), 0
        for found in self._pattern.finditer(text):
            if found.start() >= end:
                break
            out += text[at : found.start()] + self._whole[found[0]]
            at = found.end()
        out += text[at : max(at, end)]
        self._rest = text[max(at, end) :]
        return bytes(out)
