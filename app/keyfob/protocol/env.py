"""What every flow needs besides its own arguments: identifiers, the
time, and what the process has learned of servers.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from keyfob.core.http import Response
from keyfob.protocol.effects import NewId
from keyfob.protocol.http.urls import origin_of

NONCES_MOST = 512  # origins; one person's accounts have a few dozen
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1024}")  # RFC 9449 §8.1: NQCHARs; the length is our bound
REFETCH = timedelta(seconds=30)
SETS_MOST = 128  # servers; one person's accounts have a few dozen


class NonceBook:
    """The newest nonce of each origin. One a process, shared by all its threads; forgets the least used
    origin beyond NONCES_MOST. Nonces are not secret and are not kept across restarts.
    """

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


class Keys:
    """The public signing keys of each server, by `jwks_uri`. One a
    process, shared by its threads; holds no secret.

    A key set is replaced by a newer one only, never dropped because a fetch failed. Beyond SETS_MOST the set
    used longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sets: OrderedDict[str, tuple[Mapping[str, Any], ...]] = OrderedDict()
        self._asked_at: dict[str, datetime] = {}

    def cached(self, jwks_uri: str) -> tuple[Mapping[str, Any], ...]:
        """The keys known, none if nothing was fetched yet."""
        with self._lock:
            found = self._sets.get(jwks_uri)
            if found is None:
                return ()
            self._sets.move_to_end(jwks_uri)
            return found

    def may_fetch(self, jwks_uri: str, at: datetime) -> bool:
        """Whether to fetch now: always if nothing is known; else once in REFETCH, which is noted, so that
        tokens with invented key ids cannot make us hammer a server. The first fetch does not count as a
        second one: a key that changes right after it is found.
        """
        with self._lock:
            if jwks_uri not in self._sets:
                return True
            last = self._asked_at.get(jwks_uri)
            if last is not None and abs(at - last) < REFETCH:
                return False
            self._asked_at[jwks_uri] = at
            return True

    def store(self, jwks_uri: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Take a fetched set. An empty one is a mistake of the server's and replaces nothing."""
        with self._lock:
            if not keys:
                return
            self._sets[jwks_uri] = tuple(keys)
            self._sets.move_to_end(jwks_uri)
            while len(self._sets) > SETS_MOST:
                forgotten, _ = self._sets.popitem(last=False)
                self._asked_at.pop(forgotten, None)


@dataclass(frozen=True, slots=True)
class FlowEnv:
    """Thread-safe. A process has one, so that all its flows share the nonces and the keys."""

    new_id: NewId
    now: Callable[[], datetime]
    nonces: NonceBook = field(default_factory=NonceBook)
    keys: Keys = field(default_factory=Keys)
