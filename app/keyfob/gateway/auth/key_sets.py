"""The signing keys of an issuer, fetched and kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from keyfob.core.errors import PeerFault, Transient
from keyfob.core.hosts import is_loopback
from keyfob.gateway.auth.result import AuthSettingError
from keyfob.protocol.http.responses import NotStrictError, parse_json
from keyfob.protocol.oidc.keys import usable_keys

_log = logging.getLogger("keyfob.gateway.auth")
FRESH_FOR = 3600.0  # seconds; a new key id makes them be fetched earlier
BETWEEN = 30.0  # seconds between two fetches, whatever the tokens name
TIMEOUT = 10.0
BODY_MOST = 1 << 20  # bytes
PATH = "/.well-known/openid-configuration"


class KeySet:
    """An issuer's keys. Serves the old ones while the issuer cannot be reached."""

    def __init__(self, issuer: str, jwks_uri: str | None = None) -> None:
        """Raises AuthSettingError for an address that is neither https nor on this computer."""
        for address in (issuer, jwks_uri):
            if address is not None and not _is_safe(address):
                raise AuthSettingError(f"{address} does not begin with https://")
        self._issuer, self._uri = issuer, jwks_uri
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()

    async def known(self) -> Sequence[Mapping[str, Any]]:
        """The keys, fetched if there are none yet or they are old. Raises Transient if there are none."""
        now = time.monotonic()
        if self._fetched is None or now - self._fetched > FRESH_FOR:
            await self._fetch(now)
        if self._fetched is None:
            raise Transient("The issuer's signing keys cannot be had now")
        return self._keys

    async def newer(self) -> Sequence[Mapping[str, Any]]:
        """The keys after a look for newer ones, at most every 30 seconds: for a key id that is not known."""
        await self._fetch(time.monotonic())
        return self._keys

    async def _fetch(self, asked_at: float) -> None:
        async with self._lock:
            if self._tried is not None and asked_at - self._tried < BETWEEN:
                return  # also when somebody else fetched while this call waited
            self._tried = time.monotonic()
            try:
                async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=True) as http:
                    if self._uri is None:
                        self._uri = await self._discovered(http)
                    document = await _json(http, self._uri)
                self._keys = usable_keys(document, "The issuer")
                self._fetched = time.monotonic()
            except (httpx.HTTPError, httpx.InvalidURL, NotStrictError, PeerFault) as error:
                _log.warning(
                    "The signing keys of %s cannot be had now (%s)", self._issuer, type(error).__name__
                )

    async def _discovered(self, http: httpx.AsyncClient) -> str:
        document = await _json(http, self._issuer.rstrip("/") + PATH)
        uri = document.get("jwks_uri")
        # Discovery §4.3: the issuer must be the one that was asked.
        if document.get("issuer") != self._issuer or not isinstance(uri, str) or not _is_safe(uri):
            raise PeerFault("The issuer's metadata is for another issuer", code="metadata_invalid")
        return uri


async def _json(http: httpx.AsyncClient, address: str) -> dict[str, Any]:
    async with http.stream("GET", address, headers={"Accept": "application/json"}) as answer:
        if answer.status_code != 200:
            raise NotStrictError("it is not an answer")
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > BODY_MOST:
                raise NotStrictError("it is too large")
    document = parse_json(bytes(body))
    if not isinstance(document, dict):
        raise NotStrictError("it is not an object")
    return document


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return host is not None and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
