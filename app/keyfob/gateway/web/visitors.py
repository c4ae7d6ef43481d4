"""Who sends a request: what an application's own code gets. Nothing here shows a token or a key."""

from __future__ import annotations

import asyncio
import json as json_text
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from keyfob.core.errors import SignInNeeded
from keyfob.core.provider import EMPTY
from keyfob.gateway.web.calls import ApiCall, ApiResponse
from keyfob.gateway.web.sessions import SessionKey

# Why a session ended, and what its browser is told once.
ENDED: Mapping[str, str] = {
    "provider": "The provider has ended this sign-in. Sign in again.",
    "expired": "This sign-in has expired. Sign in again.",
    "unused": "You did not use this sign-in for a long time. Sign in again.",
    "older_format": "This server was updated. Sign in again.",
    "unreadable": "This server's keys were changed. Sign in again.",
    "ended": "This sign-in was ended. Sign in again.",
    "signed_out": "You are signed out.",
    "replaced": "Somebody signed in again in this browser.",
}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person of a session. Everything but `subject` is for display."""

    app: str
    provider: str
    subject: str
    name: str | None
    username: str | None
    email: str | None
    avatar_url: str | None
    scopes: tuple[str, ...]
    signed_in_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that has ended: `why` is one of `ENDED`, `message` its sentence. Said once."""

    app: str
    why: str
    message: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a request. For one request; thread-safe."""

    session: SignedIn | None
    ended: Ended | None
    sign_out_url: str  # send a POST there, from a form of this server
    _prefix: str = field(repr=False)
    _key: SessionKey | None = field(repr=False)
    _call: Callable[[SessionKey, ApiCall], ApiResponse] = field(repr=False)
    _executor: Executor = field(repr=False)

    def sign_in_url(self, app: str, return_to: str = "/", **inputs: str) -> str:
        """Where to send a browser to sign in. `inputs`: what the person entered, such as `handle`."""
        query = urlencode({"return_to": return_to, **inputs})
        return f"{self._prefix}/start/{quote(app, safe='')}?{query}"

    def call_now(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] = EMPTY,
        json: Any = None,  # noqa: ANN401  (what the API wants)
        data: bytes | None = None,
    ) -> ApiResponse:
        """Call the provider's API as this person. Blocks. `target` is a path of the API, or an address at one
        of its hosts. Raises SignInNeeded if nobody is signed in or the session has ended, and as
        `Calls.call`.
        """
        if self._key is None:
            raise SignInNeeded("There is no sign-in in this browser", code="grant_ended")
        sent = dict(headers)
        if json is not None:
            data = json_text.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        return self._call(self._key, ApiCall(method, target, sent, data))

    async def call(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] = EMPTY,
        json: Any = None,  # noqa: ANN401
        data: bytes | None = None,
    ) -> ApiResponse:
        """As `call_now`, without blocking the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor,
            lambda: self.call_now(method, target, headers=headers, json=json, data=data),
        )
