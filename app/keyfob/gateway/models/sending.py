"""The request to the upstream, and its answer to the caller: as it came, or translated event by event."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import aiohttp
from aiohttp import web

from keyfob.core.errors import KeyfobError
from keyfob.gateway.llm import errors
from keyfob.gateway.llm.codex import codex_request
from keyfob.gateway.llm.errors import AnswerFailedError
from keyfob.gateway.llm.events import Event, EventReader, EventTooLargeError, encoded
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.gather import gather
from keyfob.gateway.llm.translate import StreamTranslator, answer, request
from keyfob.gateway.models.bodies import renamed
from keyfob.gateway.models.choosing import Target
from keyfob.gateway.proxy.credentials import AccountCredentials, Credentials
from keyfob.gateway.proxy.headers import to_caller, to_provider
from keyfob.gateway.proxy.routes import Route
from keyfob.gateway.proxy.upstream import FAULTS, Upstream

log = logging.getLogger("keyfob.gateway")
ANSWER_MOST: Final = 64 << 20  # bytes of an answer that is kept whole
_ERROR_MOST: Final = 1 << 20
_ABOUT_THE_BODY = ("content-type", "content-encoding", "content-length", "content-disposition", "etag")
_VERSION = "2023-06-01"  # of Anthropic's API


class Call(NamedTuple):
    """A caller's request, and where it goes."""

    request: web.Request
    format: Format
    raw: bytes
    body: Json
    target: Target

    @property
    def is_translated(self) -> bool:
        """Whether the upstream speaks another format."""
        return self.format != self.target.format

    @property
    def by_channel(self) -> bool:
        """Whether the Codex channel answers: always with a stream."""
        return self.target.api.channel == "codex" and self.target.format == "openai_responses"

    @property
    def streams(self) -> bool:
        """Whether the caller wants events."""
        return self.body.get("stream") is True


class AnswerTooLargeError(Exception):
    """An answer that is kept whole exceeds `ANSWER_MOST`."""


class Sender:
    """For one event loop."""

    def __init__(self, upstream: Upstream, credentials: AccountCredentials) -> None:
        self._upstream, self._credentials = upstream, credentials

    @asynccontextmanager
    async def sent(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """The upstream's answer, after one replacement of the token if that was refused. Raises
        CannotTranslateError, FAULTS and what the credentials raise: a KeyfobError.
        """
        body = _body_of(call)
        route = call.target.route
        if call.request.query_string and not (call.is_translated and body):
            route = route._replace(query=call.request.rel_url.raw_query_string)
        method = call.request.method
        signed = await self._credentials.sign_route(route, method, basic=False)
        for attempt in (1, 2):
            signed = _as_bearer(signed, call.target)
            async with self._upstream.send(method, signed, _headers_of(call, signed), body) as got:
                again = None
                if attempt == 1 and got.status == 401:
                    again = await self._replaced(route, method, signed, got.headers.get("DPoP-Nonce"))
                if again is None:
                    yield got
                    return
                signed = again

    async def _replaced(
        self, route: Route, method: str, signed: Credentials, nonce: str | None
    ) -> Credentials | None:
        """None for a key or token that cannot be replaced: the caller then gets the provider's own words."""
        is_bound = any(name.lower() == "dpop" for name in signed.headers)
        rejected = None if nonce is not None and is_bound else signed.token
        try:
            return await self._credentials.sign_route(
                route, method, basic=False, rejected=rejected, nonce=nonce
            )
        except KeyfobError as error:
            if error.code != "token_rejected":
                raise
            return None

    async def answer(self, call: Call, got: aiohttp.ClientResponse) -> web.StreamResponse:
        """Gives the answer to the caller. Raises AnswerFailedError, AnswerTooLargeError, FAULTS before the
        caller has received anything.
        """
        if got.status >= 400 and (call.is_translated or call.by_channel):
            return await _error(call, got)
        if not call.is_translated and (call.streams or not call.by_channel):
            return await _as_it_comes(call, got)
        if call.streams:
            return await _translated(call, got)
        return await _whole(call, got)


# --- the request --------------------------------------------------------------------------------------------


def _body_of(call: Call) -> bytes | None:
    if call.request.method != "POST":
        return None
    target = call.target
    if not call.is_translated and not call.by_channel:
        return call.raw if target.model == call.body["model"] else renamed(call.raw, target.model)
    if call.is_translated:
        body = request(call.body, call.format, target.format, target.model)
    else:
        body = {**call.body, "model": target.model}
    return json.dumps(codex_request(body) if call.by_channel else body).encode()


def _headers_of(call: Call, signed: Credentials) -> list[tuple[str, str]]:
    """The caller's headers go along in the same format only: other vendors' ones mean nothing there."""
    if call.is_translated:
        streams = call.streams or call.by_channel
        given = [("User-Agent", call.request.headers.get("User-Agent", "Keyfob"))]
        given.append(("Accept", "text/event-stream" if streams else "application/json"))
        if call.target.format == "anthropic_messages":
            given.append(("anthropic-version", _VERSION))
    else:
        given = list(call.request.headers.items())
    ours = dict(signed.headers)
    for name, value in call.request.headers.items() if not call.is_translated else ():
        _merge(ours, name, value)
    rebuilt = call.is_translated or call.by_channel
    if rebuilt:
        given = [pair for pair in given if pair[0].lower() not in ("accept-encoding", "content-type")]
        given += [("Content-Type", "application/json"), ("Accept-Encoding", "identity")]
    return [*to_provider(given, ours), *ours.items()]


def _merge(ours: dict[str, str], name: str, value: str) -> None:
    """Anthropic's clients say which version and which betas they were written for."""
    own = next((each for each in ours if each.lower() == name.lower()), None)
    if own is None:
        return
    if name.lower() == "anthropic-version":
        ours[own] = value
    elif name.lower() == "anthropic-beta":
        ours[own] = f"{value},{ours[own]}"


def _as_bearer(signed: Credentials, target: Target) -> Credentials:
    """OpenAI's formats have every key as Bearer, also at a vendor whose own API has another header."""
    header = target.api.key_header
    if header is None or target.format == "anthropic_messages" or target.route.host is not None:
        return signed
    kept = {name: value for name, value in signed.headers.items() if name.lower() != header.lower()}
    return signed._replace(headers={**kept, "Authorization": f"Bearer {signed.token.reveal()}"})


# --- the answer ---------------------------------------------------------------------------------------------


def _head(got: aiohttp.ClientResponse, *, whole: bool = False) -> list[tuple[str, str]]:
    """Rate limits, Retry-After and request ids pass in every case."""
    pairs = to_caller(got.headers.items())
    return pairs if whole else [pair for pair in pairs if pair[0].lower() not in _ABOUT_THE_BODY]


def _started(
    got: aiohttp.ClientResponse, status: int, *, whole: bool, kind: str | None = None
) -> web.StreamResponse:
    made = web.StreamResponse(status=status)
    for name, value in _head(got, whole=whole):
        made.headers.add(name, value)
    if kind is not None:
        made.content_type = kind
        made.headers.setdefault("Cache-Control", "no-cache")
    return made


async def _as_it_comes(call: Call, got: aiohttp.ClientResponse) -> web.StreamResponse:
    # The Codex channel leaves the type of its streams out.
    kind = "text/event-stream" if call.streams and "Content-Type" not in got.headers else None
    made = _started(got, got.status, whole=True, kind=kind)
    if got.content_length is not None and "Transfer-Encoding" not in got.headers:
        made.content_length = got.content_length
    await made.prepare(call.request)
    try:
        async for part in got.content.iter_any():
            await made.write(part)
    except FAULTS as error:
        # The head has gone, so the only honest end is a broken one: never a clean end of half an answer.
        _note_cut(call, error)
        if call.request.transport is not None:
            call.request.transport.abort()
        return made
    await made.write_eof()
    return made


async def _translated(call: Call, got: aiohttp.ClientResponse) -> web.StreamResponse:
    translator = StreamTranslator(call.target.format, call.format, call.body, created=int(time.time()))
    made = _started(got, 200, whole=False, kind="text/event-stream")
    await made.prepare(call.request)
    try:
        async for event in _events(got):
            for out in translator.feed(event):
                await made.write(encoded(out))
    except (*FAULTS, EventTooLargeError) as error:
        if isinstance(error, ConnectionError) and got.content.exception() is None:
            raise  # the caller has left
        _note_cut(call, error)
    for out in translator.end():
        await made.write(encoded(out))
    await made.write_eof()
    return made


async def _whole(call: Call, got: aiohttp.ClientResponse) -> web.StreamResponse:
    if call.by_channel:
        found, size = [], 0
        async for event in _events(got):
            size += len(event.data)
            if size > ANSWER_MOST:
                raise AnswerTooLargeError
            found.append(event)
        body = gather(found, "openai_responses")
    else:
        body = json.loads(await _read(got, ANSWER_MOST))
    if call.is_translated:
        body = answer(body, call.target.format, call.format, call.body, created=int(time.time()))
    return _json(got, 200, body)


async def _error(call: Call, got: aiohttp.ClientResponse) -> web.StreamResponse:
    body = errors.error(got.status, await _read(got, _ERROR_MOST), call.target.format, call.format)
    return _json(got, got.status, body)


def failed(call: Call, error: AnswerFailedError) -> web.Response:
    """A failure that the upstream reported in a stream, to a caller who does not stream."""
    return web.json_response(error.body(call.format), status=error.status)


def _json(got: aiohttp.ClientResponse, status: int, body: Json) -> web.Response:
    made = web.json_response(body, status=status)
    for name, value in _head(got):
        made.headers.add(name, value)
    return made


async def _events(got: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    reader = EventReader()
    async for part in got.content.iter_any():
        for event in reader.feed(part):
            yield event


async def _read(got: aiohttp.ClientResponse, most: int) -> bytes:
    parts, size = [], 0
    async for part in got.content.iter_any():
        size += len(part)
        if size > most:
            raise AnswerTooLargeError
        parts.append(part)
    return b"".join(parts)


def _note_cut(call: Call, error: Exception) -> None:
    log.info("An answer of %s broke off (%s)", call.target.api.account, type(error).__name__)
