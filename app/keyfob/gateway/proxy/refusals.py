"""What a provider said when it refused an account's credentials, for the caller's problem document."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any
from urllib.parse import quote

import aiohttp

from keyfob.gateway.proxy.credentials import Credentials

READ_MOST = 16 * 1024  # bytes
SHOWN_MOST = 4000  # characters
READ_WITHIN = 5.0  # seconds
_TEXT = ("text/", "application/json", "application/xml", "application/problem+")


async def shown(answer: aiohttp.ClientResponse, sent: Credentials) -> dict[str, Any]:
    """The answer's `status`, and its `body` as far as it is text, cut off at 4000 characters. What it repeats
    of the credentials is taken out. Raises nothing.
    """
    found: dict[str, Any] = {"status": answer.status}
    if not answer.content_type.startswith(_TEXT) and not answer.content_type.endswith(("+json", "+xml")):
        return found
    try:
        async with asyncio.timeout(READ_WITHIN):
            raw = await _start_of(answer)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return found
    text = _decoded(raw, answer.headers.get("Content-Encoding", ""))
    if text is None:
        return found
    for secret in _secrets_of(sent):
        text = text.replace(secret, "…")
    return {**found, "body": text[:SHOWN_MOST]}


async def _start_of(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    while len(found) < READ_MOST:
        part = await answer.content.read(READ_MOST - len(found))
        if not part:
            break
        found += part
    return bytes(found)


def _decoded(raw: bytes, encoding: str) -> str | None:
    """Text, or None for a compression that the standard library does not know."""
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        try:
            raw = zlib.decompressobj(wbits=47).decompress(raw, READ_MOST)
        except zlib.error:
            return None
    elif encoding:
        return None
    return raw.decode("utf-8", "replace")


def _secrets_of(sent: Credentials) -> list[str]:
    """The token in each form in which it was sent, the longest first."""
    token = sent.token.reveal()
    values = [part for value in sent.headers.values() for part in (value, value.partition(" ")[2])]
    known = {token, quote(token, safe=""), token.replace("/", "\\/"), *values}
    return sorted((each for each in known if len(each) >= 8 or each == token), key=len, reverse=True)
