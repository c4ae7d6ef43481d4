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

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.gateway.engines import SignerOf
from keyfob.gateway.proxy.other_hosts import authorization, url_at
from keyfob.gateway.proxy.routes import Route
from keyfob.service.accounts.signer import SignRequest

KEPT_FOR = 1.0  # seconds
THREADS = 16
MARGIN = 5.0  # seconds of life that a token must have left


class Credentials(NamedTuple):
    """What goes to the provider. Holds the token."""

    url: str
    headers: Mapping[str, str]
    token: Secret
    expires_at: datetime | None
    base: str = ""  # of the API, without a slash at its end
    absent: tuple[str, ...] = ()  # headers that this API may have, and this token has no value for
    once: bool = False  # signed for this request alone


_Key = tuple[str | None, str, bool]  # tenant, account, whether the path is not empty


class AccountCredentials:
    """For one event loop."""

    def __init__(self, signers: SignerOf) -> None:
        self._signers = signers
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")
        self._kept: dict[_Key, tuple[float, Credentials]] = {}
        self._asking: dict[_Key, asyncio.Task[Credentials]] = {}

    async def sign_route(
        self,
        route: Route,
        method: str,
        *,
        basic: bool,
        rejected: Secret | None = None,
        nonce: str | None = None,
    ) -> Credentials:
        """For a request to the gateway. `basic`: the caller sent its key as a password, which matters at a
        host that is not the API's. Raises as `Signer.sign`.
        """
        path = route.path + (f"?{route.query}" if route.query else "")
        if route.host is None:
            return await self.sign(route.account, method, path, rejected, nonce, tenant=route.tenant)
        found = await self.sign(route.account, method, "/", rejected, tenant=route.tenant)
        if any(name.lower() == "dpop" for name in found.headers):
            raise SettingWrong(
                f"The token of {route.account} is bound to a key, so it works at its API alone",
                code="host_not_allowed",
            )
        loop = asyncio.get_running_loop()
        place = await loop.run_in_executor(
            self._threads, lambda: self._signers(route.tenant).place(route.account)
        )
        headers = {"Authorization": authorization(place, found.token, basic=basic)}
        return found._replace(url=url_at(place, route.host, path), headers=headers)

    async def sign(
        self,
        account: str,
        method: str,
        path: str,
        rejected: Secret | None = None,
        nonce: str | None = None,
        *,
        tenant: str | None = None,
    ) -> Credentials:
        """For this path of the account's API, renewed first if due. `rejected`: a token that the API refused.
        `nonce`: what the API wants in a DPoP proof. `tenant`: whose account it is. Raises as `Signer.sign`.
        """
        if rejected is None and nonce is None:
            kept = self._from_memory(tenant, account, path)
            if kept is not None:
                return kept
            return await self._asked_once(tenant, account, method, path)
        return await self._from_engine(tenant, account, method, path, rejected, nonce)

    async def _asked_once(self, tenant: str | None, account: str, method: str, path: str) -> Credentials:
        """Many requests that come at one time look into the keychain once."""
        key = tenant, account, path.startswith("/")
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.create_task(self._from_engine(tenant, account, method, path))
            self._asking[key] = asking
            asking.add_done_callback(lambda task: self._asked(key, task))
            return await asyncio.shield(asking)
        await asyncio.wait([asking])
        if asking.exception() is not None:
            await asking
        known = self._from_memory(tenant, account, path)
        return known or await self._from_engine(tenant, account, method, path)

    def _asked(self, key: _Key, task: asyncio.Task[Credentials]) -> None:
        self._asking.pop(key, None)
        task.exception()  # whoever waited has seen it; if they have all left, nobody needs to

    async def _from_engine(
        self,
        tenant: str | None,
        account: str,
        method: str,
        path: str,
        rejected: Secret | None = None,
        nonce: str | None = None,
    ) -> Credentials:
        started = time.monotonic()
        wanted = SignRequest(method, path, nonce=nonce, rejected=rejected)
        loop = asyncio.get_running_loop()
        signed = await loop.run_in_executor(
            self._threads, lambda: self._signers(tenant).sign(account, wanted, for_tool=True)
        )
        base = signed.url.partition("?")[0].removesuffix(path.partition("?")[0])
        key = tenant, account, path.startswith("/")  # an empty path is not always below the API's base
        once = any(name.lower() == "dpop" for name in signed.headers)
        found = Credentials(
            signed.url, signed.headers, signed.token, signed.expires_at, base, signed.absent, once
        )
        if signed.url == base + path and not once:
            self._kept[key] = started + KEPT_FOR, found
        else:
            self._kept.pop(key, None)
        return found

    def _from_memory(self, tenant: str | None, account: str, path: str) -> Credentials | None:
        kept = self._kept.get((tenant, account, path.startswith("/")))
        if kept is None or time.monotonic() >= kept[0]:
            return None
        found = kept[1]
        if found.expires_at is not None:
            left = (found.expires_at - datetime.now(UTC)).total_seconds()
            if left < MARGIN:
                return None
        return found._replace(url=found.base + path)

    def close(self) -> None:
        """A renewal that has begun goes on: the engine waits for it when it closes."""
        self._threads.shutdown(wait=False)
