"""Who calls: the key of a request, the provider that checks it, and a wait for whoever sends wrong keys."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections import Counter

from aiohttp import web

from keyfob.gateway.auth.result import REFUSED, AuthProvider, AuthResult
from keyfob.gateway.grants import LOCAL
from keyfob.gateway.proxy.local_callers import LocalCallers

FREE = 10  # wrong keys of an address before its refusals are slowed down
LONGEST = 2.0  # seconds that a refusal waits
SLOWED_MOST = 200  # refusals that wait at one time; more are answered at once
FORGET = 60.0  # seconds


class Callers:
    """For one event loop."""

    def __init__(self, provider: AuthProvider, local: LocalCallers | None = None) -> None:
        """`local`: what knows callers without a key; None if other computers can reach the server."""
        self.provider, self._local = provider, local
        self._wrong: Counter[str] = Counter()
        self._since = time.monotonic()
        self._slowed = 0

    async def who(self, request: web.Request) -> AuthResult:
        """The caller; `authenticated` is False for everybody who is not known. Raises as `authenticate`."""
        key = key_of(request)
        if key is None and self._local is not None and await self._local.is_local(request):
            return LOCAL
        return await self.by_key(key, request.remote or "")

    async def by_key(self, key: str | None, address: str) -> AuthResult:
        """Whose key this is. `address`: where it came from. Raises as `authenticate`."""
        found = await self.provider.authenticate(key) if key else REFUSED
        if key and not found.authenticated:  # git asks once without a key each time
            await self._slow_down(address)
        return found

    async def _slow_down(self, address: str) -> None:
        """Right keys never wait, whoever else is at the address."""
        now = time.monotonic()
        if now - self._since > FORGET:
            self._wrong.clear()
            self._since = now
        self._wrong[address] += 1
        over = self._wrong[address] - FREE
        if over <= 0 or self._slowed >= SLOWED_MOST:
            return
        self._slowed += 1
        try:
            await asyncio.sleep(min(0.05 * over, LONGEST))
        finally:
            self._slowed -= 1


def key_of(request: web.Request) -> str | None:
    """The caller's key: `Authorization: Bearer`, `x-api-key`, `api-key`, or a Basic password (git). Never
    from the address, which logs keep.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    value = value.strip()
    match scheme.lower():
        case "bearer":
            return value or None
        case "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return password or user or None
    return request.headers.get("x-api-key") or request.headers.get("api-key") or None
