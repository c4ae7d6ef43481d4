"""The DPoP nonces that servers hand out (RFC 9449 §8, §9). `dpop.send` learns and uses them."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict

from keyfob.core.http import Response
from keyfob.protocol.http.urls import origin_of

NONCES_MOST = 512  # origins; one person's accounts have a few dozen
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1024}")  # RFC 9449 §8.1: NQCHARs; the length is our bound


class NonceBook:
    """The newest nonce of each origin. One a process, shared by all its threads; forgets the least used origin
    beyond NONCES_MOST. Nonces are not secret and are not kept across restarts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nonces: OrderedDict[str, str] = OrderedDict()

    def get(self, url: str) -> str | None:
        """The nonce to use at this address's origin, None if none is known."""
        origin = origin_of(url)
        with self._lock:
            if origin in self._nonces:
                self._nonces.move_to_end(origin)
            return self._nonces.get(origin)

    def learn(self, url: str, response: Response) -> str | None:
        """Take up the answer's `DPoP-Nonce`. Returns it; None if there is none or it is malformed."""
        return self.note(url, response.headers.get("dpop-nonce", ""))

    def note(self, url: str, nonce: str) -> str | None:
        """The same for a nonce that another program was given."""
        if not _NONCE.fullmatch(nonce):
            return None
        origin = origin_of(url)
        with self._lock:
            self._nonces[origin] = nonce
            self._nonces.move_to_end(origin)
            while len(self._nonces) > NONCES_MOST:
                self._nonces.popitem(last=False)
        return nonce

    def __len__(self) -> int:
        with self._lock:
            return len(self._nonces)
