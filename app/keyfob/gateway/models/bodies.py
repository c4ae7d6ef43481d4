"""The body of a request: read whole within a bound, parsed, and renamed without another change."""

from __future__ import annotations

import asyncio
import json
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own, without a type
from typing import Any

from aiohttp import web

from keyfob.gateway.llm.formats import Json

BODY_MOST = 32 << 20  # bytes, as Anthropic's API takes
_LARGE = 256 << 10  # bytes: parsed beside the event loop
_BLANKS = " \t\n\r"


class BodyError(Exception):
    """The body is refused. `str()` is a sentence for the caller."""

    def __init__(self, status: int, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.field = field


async def raw_body(request: web.Request) -> bytes:
    """Raises BodyError."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BodyError(415, "The body is compressed. Send it uncompressed.")
    parts, size = [], 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > BODY_MOST:
            raise BodyError(413, f"The body has more than {BODY_MOST >> 20} MB")
        parts.append(part)
    return b"".join(parts)


async def parsed(raw: bytes) -> Json:
    """The object, whose `model` is text. Raises BodyError."""
    body = await asyncio.to_thread(_object, raw) if len(raw) > _LARGE else _object(raw)
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise BodyError(400, "model must name a model.", "model")
    if not isinstance(body.get("stream", False), bool | None):
        raise BodyError(400, "stream must be true or false.", "stream")
    return body


def _object(raw: bytes) -> Json:
    try:
        body = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BodyError(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BodyError(400, "The body must be a JSON object.")
    return body


def _once(pairs: list[tuple[str, Any]]) -> Json:
    """Two programs could read a name that is there twice in two ways."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyError(400, "The body has a name twice in one object.")
    return found


def renamed(raw: bytes, model: str) -> bytes:
    """A body that `parsed` took, with another name of the model. Every other byte stays."""
    text = raw.decode()
    decoder = json.JSONDecoder()
    at = _skip(text, text.index("{") + 1)
    while True:
        name, at = scanstring(text, at + 1)
        start = _skip(text, _skip(text, at) + 1)  # behind the colon
        _, at = decoder.raw_decode(text, start)
        if name == "model":
            return (text[:start] + json.dumps(model) + text[at:]).encode()
        at = _skip(text, _skip(text, at) + 1)  # behind the comma


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
