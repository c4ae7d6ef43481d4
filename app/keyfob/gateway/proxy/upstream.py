"""The request to the provider, and its answer back. Nothing is gathered: each part leaves as it came."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import lru_cache, partial
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp import WSMsgType, hdrs, web
from yarl import URL

from keyfob.core.errors import KeyfobError
from keyfob.core.hosts import is_loopback
from keyfob.gateway.proxy import links, problems
from keyfob.gateway.proxy.challenges import lacking
from keyfob.gateway.proxy.credentials import AccountCredentials, Credentials
from keyfob.gateway.proxy.headers import to_caller, to_provider
from keyfob.gateway.proxy.refusals import shown
from keyfob.gateway.proxy.routes import Route
from keyfob.gateway.rate_limits import RateLimits

log = logging.getLogger("keyfob.gateway")
KEPT_BODY = 64 * 1024  # bytes: a body of this size is kept, so that the request can be sent again after a 401
CONNECT_WITHIN = 30.0  # seconds
BODY_SILENT_MOST = 60.0  # seconds without a byte of the caller's body
PROXIES_KNOWN_FOR = 10.0  # seconds: the system's settings may change while the server runs
SILENT_MOST = 600.0  # seconds without a byte of the answer
MESSAGE_MOST = 16 << 20  # bytes of a WebSocket message
_NO_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
FAULTS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


class Upstream:
    """For one event loop."""

    def __init__(self, credentials: AccountCredentials) -> None:
        self._credentials = credentials
        self._http: aiohttp.ClientSession | None = None
        self.limits = RateLimits()

    async def open(self) -> None:
        """Before the first request."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context()),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN, sock_read=SILENT_MOST),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NO_AUTOMATIC,
            trust_env=False,  # it would also read .netrc, and send what stands there to the provider
        )

    async def close(self) -> None:
        """Ends every connection."""
        if self._http is not None:
            await self._http.close()

    async def pass_on(
        self, request: web.Request, route: Route, began: Callable[[], None]
    ) -> web.StreamResponse:
        """Sends the request with the account's credentials and streams the answer back. `began` is called
        when the answer's head is there. Raises what the credentials raise at first: a KeyfobError.
        """
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._web_socket(request, route)
        try:
            body = await _body_of(request)
        except TimeoutError:
            return problems.problem(408, "request_refused", "The body of the request did not come")
        basic = request.headers.get("Authorization", "").lower().startswith("basic ")
        sign = partial(self._credentials.sign_route, route, request.method, basic=basic)
        signed = await sign()
        for attempt in (1, 2):
            try:
                async with self._send(request, signed, body) as answer:
                    self.limits.note(route.account, answer.headers)
                    again = attempt == 1 and answer.status == 401 and not isinstance(body, AsyncIterator)
                    if not again:
                        began()
                        return await _answer(request, answer, signed, route)
                    nonce = answer.headers.get("DPoP-Nonce")
                    wants_nonce = nonce is not None and any(name.lower() == "dpop" for name in signed.headers)
                    try:
                        signed = await sign(rejected=None if wants_nonce else signed.token, nonce=nonce)
                    except KeyfobError as error:
                        if error.code != "token_rejected":
                            return problems.of_error(error, provider=await shown(answer, signed))
                        # A key or token that cannot be replaced, and one refusal does not end the account:
                        # what the provider says is more use to the caller than what Keyfob would.
                        began()
                        return await _answer(request, answer, signed, route)
            except FAULTS as error:
                return _not_reached(error)
        raise AssertionError("not reached")

    def _send(
        self, request: web.Request, signed: Credentials, body: bytes | AsyncIterator[bytes] | None
    ) -> aiohttp.client._RequestContextManager:
        headers = to_provider(request.headers.items(), signed.headers)
        headers += signed.headers.items()
        if links.are_wanted(request.headers):
            # What is changed must not be compressed.
            headers = [(name, value) for name, value in headers if name.lower() != "accept-encoding"]
            headers.append((hdrs.ACCEPT_ENCODING, "identity"))
        if isinstance(body, AsyncIterator) and request.content_length is not None:
            headers.append((hdrs.CONTENT_LENGTH, str(request.content_length)))
        return self.send(request.method, signed, headers, body)

    def send(
        self,
        method: str,
        signed: Credentials,
        headers: list[tuple[str, str]],
        body: bytes | AsyncIterator[bytes] | None,
    ) -> aiohttp.client._RequestContextManager:
        """One request to the signed address, with these headers alone. Redirects are not followed."""
        assert self._http is not None
        return self._http.request(
            method,
            URL(signed.url, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            proxy=proxy_for(signed.url),
        )

    async def _web_socket(self, request: web.Request, route: Route) -> web.StreamResponse:
        assert self._http is not None
        signed = await self._credentials.sign_route(route, request.method, basic=False)
        headers = [
            (name, value)
            for name, value in to_provider(request.headers.items(), signed.headers)
            if not name.lower().startswith("sec-websocket-")
        ]
        protocols = [
            word.strip()
            for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",")
            if word.strip()
        ]
        url = URL("ws" + signed.url.removeprefix("http"), encoded=True)
        try:
            there = await self._http.ws_connect(
                url,
                headers=[*headers, *signed.headers.items()],
                protocols=protocols,
                autoping=False,
                max_msg_size=MESSAGE_MOST,
                proxy=proxy_for(signed.url),
            )
        except aiohttp.WSServerHandshakeError as error:
            return problems.problem(502, "request_refused", f"The provider answered {error.status}")
        except FAULTS as error:
            return _not_reached(error)
        here = web.WebSocketResponse(
            protocols=[there.protocol] if there.protocol else (), autoping=False, max_msg_size=MESSAGE_MOST
        )
        async with there:
            await here.prepare(request)
            both = [asyncio.create_task(_pump(here, there)), asyncio.create_task(_pump(there, here))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
                with suppress(*FAULTS):
                    await here.close(code=there.close_code or 1000)
        return here


def proxy_for(url: str) -> str | None:
    """The system's proxy for this address; none for this computer's own addresses."""
    parts = urlsplit(url)
    return _proxy(parts.scheme, parts.hostname or "", int(time.monotonic() // PROXIES_KNOWN_FOR))


@lru_cache(256)
def _proxy(scheme: str, host: str, _when: int) -> str | None:
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(scheme)


async def _body_of(request: web.Request) -> bytes | AsyncIterator[bytes] | None:
    """A small body whole, so that it can be sent again; another as it comes; None if there is none."""
    if not request.body_exists:
        return None
    length = request.content_length
    if length is not None and length <= KEPT_BODY:
        async with asyncio.timeout(BODY_SILENT_MOST):
            return await request.content.read(-1)
    return _parts(request)


async def _parts(request: web.Request) -> AsyncIterator[bytes]:
    """Raises TimeoutError for a caller who stops sending in the middle."""
    parts = request.content.iter_any().__aiter__()
    while True:
        try:
            async with asyncio.timeout(BODY_SILENT_MOST):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        yield part


async def _answer(
    request: web.Request, answer: aiohttp.ClientResponse, signed: Credentials, route: Route
) -> web.StreamResponse:
    lack = lacking(route.account, answer.status, ", ".join(answer.headers.getall("WWW-Authenticate", [])))
    if lack is not None:
        return problems.problem(403, "access_lacking", lack)
    headers = to_caller(answer.headers.items())
    made = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in headers:
        made.headers.add(name, _own_location(value, signed, route) if name.lower() == "location" else value)
    changed = _links_of(request, answer, signed, route)
    if changed is None and answer.content_length is not None and "Transfer-Encoding" not in answer.headers:
        made.content_length = answer.content_length
    bodiless = request.method == "HEAD" or answer.status in (204, 304)
    if changed is None and not bodiless and answer.content_length is not None and answer.content.is_eof():
        # All of it is there already, so head and body leave in one packet.
        body = await answer.content.read()
        if len(body) == answer.content_length:
            return web.Response(status=answer.status, reason=answer.reason, headers=made.headers, body=body)
    await made.prepare(request)
    if bodiless:
        return made
    try:
        async for part in answer.content.iter_any():
            await made.write(part if changed is None else changed.feed(part))
        if changed is not None:
            await made.write(changed.end())
    except FAULTS as error:
        # The head has gone, so the only honest end is a broken one: never a clean end of half an answer.
        log.info("An answer of %s broke off (%s)", route.account, type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        return made
    await made.write_eof()
    return made


def _own_location(value: str, signed: Credentials, route: Route) -> str:
    """A redirect within the API leads through the gateway again; every other is the caller's to follow,
    without credentials.
    """
    whole, base = urljoin(signed.url, value), _base_of(signed, route)
    if urlsplit(whole)[:2] == urlsplit(base)[:2] and whole.startswith(base + "/"):
        return route.prefix + whole.removeprefix(base)
    return value


def _base_of(signed: Credentials, route: Route) -> str:
    """What stands at the provider for the route's prefix, without a slash at the end."""
    address = signed.url.partition("?")[0]
    if route.path or address.endswith("/"):
        return address.removesuffix(route.path or "/")
    parts = urlsplit(address)  # a resource's own address, below the API's base
    return f"{parts.scheme}://{parts.netloc}"


def _links_of(
    request: web.Request, answer: aiohttp.ClientResponse, signed: Credentials, route: Route
) -> links.Links | None:
    """What changes the links in this answer, if it is a registry's list that can be read."""
    if answer.status != 200 or not links.are_wanted(request.headers):
        return None
    if answer.headers.get("Content-Encoding", "identity") != "identity" or request.method == "HEAD":
        return None
    return links.Links(_base_of(signed, route), f"{request.scheme}://{request.host}{route.prefix}")


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    target: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    async for message in source:
        match message.type:
            case WSMsgType.TEXT:
                await target.send_str(message.data)
            case WSMsgType.BINARY:
                await target.send_bytes(message.data)
            case WSMsgType.PING:
                await target.ping(message.data)
            case WSMsgType.PONG:
                await target.pong(message.data)
            case _:
                break
    await target.close(code=source.close_code or 1000)


def _not_reached(error: Exception) -> web.Response:
    log.info("The provider cannot be reached (%s)", type(error).__name__)
    return problems.problem(
        502, "provider_unavailable", "The provider cannot be reached now. Try again later."
    )
