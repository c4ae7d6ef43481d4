"""The credentials for a request, from the engine, without a wait if they are known.

A signature for one request (DPoP) is made each time. Headers that are the same for each request of an account
are kept for a second, so that a busy account costs one look into the keychain a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from keyfob.core.secret import Secret
from keyfob.service.accounts.signer import Signer, SignRequest

KEPT_FOR = 1.0  # seconds
THREADS = 16
MARGIN = 5.0  # seconds of life that a token must have left


class Credentials(NamedTuple):
    """What goes to the provider. Holds the token."""

    url: str
    headers: Mapping[str, str]
    token: Secret
    expires_at: datetime | None


class AccountCredentials:
    """For one event loop."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")
        self._kept: dict[str, tuple[float, str, Credentials]] = {}

    async def sign(
        self, account: str, method: str, path: str, rejected: Secret | None = None, nonce: str | None = None
    ) -> Credentials:
        """For this path of the account's API, renewed first if due. `rejected`: a token that the API refused.
        `nonce`: what the API wants in a DPoP proof. Raises as `Signer.sign`.
        """
        if rejected is None and nonce is None:
            kept = self._from_memory(account, path)
            if kept is not None:
                return kept
        started = time.monotonic()
        wanted = SignRequest(method, path, nonce=nonce, rejected=rejected)
        loop = asyncio.get_running_loop()
        signed = await loop.run_in_executor(
            self._threads, lambda: self._signer.sign(account, wanted, for_tool=True)
        )
        found = Credentials(signed.url, signed.headers, signed.token, signed.expires_at)
        if signed.url.endswith(path) and not any(name.lower() == "dpop" for name in signed.headers):
            self._kept[account] = started + KEPT_FOR, signed.url.removesuffix(path), found
        else:
            self._kept.pop(account, None)
        return found

    def _from_memory(self, account: str, path: str) -> Credentials | None:
        kept = self._kept.get(account)
        if kept is None or time.monotonic() >= kept[0]:
            return None
        base, found = kept[1], kept[2]
        if found.expires_at is not None:
            left = (found.expires_at - datetime.now(UTC)).total_seconds()
            if left < MARGIN:
                return None
        return found._replace(url=base + path)

    def close(self) -> None:
        """A renewal that has begun goes on: the engine waits for it when it closes."""
        self._threads.shutdown(wait=False)
