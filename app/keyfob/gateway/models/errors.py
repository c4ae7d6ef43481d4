"""Refusals of the gateway's own, as the formats' clients read them.

The body is an error of the caller's format and has the members of the gateway's problem documents beside it
(`code`, `detail`, `status`), so a program that knows the gateway finds them at the same place as everywhere.
"""

from __future__ import annotations

import json

from aiohttp import web

from keyfob.gateway.llm.errors import written
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.pieces import Failed
from keyfob.gateway.proxy.problems import problem


def in_format(answer: web.Response, target: Format) -> web.Response:
    """A problem document of the gateway, in the caller's format."""
    assert isinstance(answer.body, bytes)
    about: Json = json.loads(answer.body)
    body = written(Failed(about["detail"], "api_error", about["code"]), answer.status, target)
    body["error"]["code"] = about["code"]
    return web.Response(
        status=answer.status,
        body=json.dumps({**about, **body}).encode(),
        content_type="application/json",
        headers={name: value for name, value in answer.headers.items() if name.lower() != "content-type"},
    )


def refused(status: int, code: str, detail: str, target: Format, field: str | None = None) -> web.Response:
    """What is wrong with a request, in the caller's format."""
    answer = in_format(problem(status, code, detail), target)
    if field is not None and target != "anthropic_messages":
        assert isinstance(answer.body, bytes)
        body = json.loads(answer.body)
        body["error"]["param"] = field
        answer.body = json.dumps(body).encode()
    return answer
