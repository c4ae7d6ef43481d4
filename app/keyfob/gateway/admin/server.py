"""Administration over HTTP: the operations at their addresses."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import KeyfobError, Transient, Usage
from keyfob.gateway.admin import openapi
from keyfob.gateway.admin.fields import read
from keyfob.gateway.admin.operation import Admin, Ask, EngineOf, Operation
from keyfob.gateway.admin.operations import OPERATIONS
from keyfob.gateway.auth.result import AuthResult, AuthSettingError
from keyfob.gateway.proxy import problems

PREFIX = "/v1/admin/"
BODY_MOST = 64 * 1024  # bytes
BODY_WITHIN = 20.0  # seconds
AT_ONCE = 4  # operations; a password's hash takes 64 MB and a core for a moment


class _Found(NamedTuple):
    operation: Operation
    values: dict[str, str]


class _RefusedError(Exception):
    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Administration:
    """For one event loop."""

    def __init__(self, sessions: sessionmaker[Session], engine_of: EngineOf) -> None:
        self._sessions, self._engine_of = sessions, engine_of
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def handle(self, request: web.Request, caller: AuthResult | None) -> web.StreamResponse:
        """One request under `PREFIX`."""
        admin = Admin.of(caller) if caller is not None else None
        if admin is None:
            return problems.not_granted("Only an administrator may do this.")
        path, _, query = request.raw_path.partition("?")
        if path == PREFIX + "openapi.json":
            return _answer(openapi.document(), 200)
        try:
            found = _find(request.method, path)
            values = await _values(request, found, query)
            async with self._turns:
                result = await asyncio.to_thread(self._carry_out, found.operation, admin, values)
        except _RefusedError as refused:
            return refused.answer
        except AuthSettingError as error:
            return problems.problem(400, "usage", error.message)
        except KeyfobError as error:
            return problems.of_error(error, message=error.full_message(), remedy=error.remedy)
        return _answer(result, found.operation.status)

    def _carry_out(self, operation: Operation, admin: Admin, values: dict[str, Any]) -> dict[str, Any]:
        try:
            with self._sessions.begin() as session:
                return operation.carry_out(Ask(admin, values, session, self._engine_of, datetime.now(UTC)))
        except SQLAlchemyError as error:
            raise Transient(
                "The gateway's database cannot be used now", code="busy", detail=type(error).__name__
            ) from None


def _answer(document: object, status: int) -> web.Response:
    return web.json_response(document, status=status, headers={"Cache-Control": "no-store"})


def _find(method: str, path: str) -> _Found:
    parts = path.split("/")
    allowed = []
    for one in OPERATIONS:
        template = one.path.split("/")
        if len(template) != len(parts):
            continue
        pairs = list(zip(template, parts))
        if all(part and (name.startswith("{") or name == part) for name, part in pairs[1:]):
            if one.method == method:
                values = {name[1:-1]: _segment(part) for name, part in pairs if name.startswith("{")}
                return _Found(one, values)
            allowed.append(one.method)
    if allowed:
        headers = {"Allow": ", ".join(sorted(set(allowed)))}
        raise _refused(405, "not_found", "The address does not know this method", headers)
    raise _refused(404, "not_found", "There is no such address")


def _segment(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Usage("The address is not UTF-8") from None


async def _values(request: web.Request, found: _Found, query: str) -> dict[str, Any]:
    operation = found.operation
    values = read(operation.path_fields, found.values)
    if operation.method == "GET":
        if request.body_exists:
            raise Usage("A GET has no body")
        return values | read(operation.inputs, _query(query), from_query=True)
    if query:
        raise Usage("This address takes no query")
    return values | read(operation.inputs, await _body(request))


def _query(text: str) -> dict[str, object]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=50)
    except ValueError:
        raise Usage("The query cannot be read") from None
    return _once(list(pairs))


async def _body(request: web.Request) -> dict[str, object]:
    if not request.body_exists:
        return {}
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise _refused(415, "usage", "Send JSON, with Content-Type: application/json and no Content-Encoding")
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for part in request.content.iter_any():
                found += part
                if len(found) > BODY_MOST:
                    raise _refused(413, "usage", f"The body has more than {BODY_MOST} bytes")
    except TimeoutError:
        raise _refused(408, "usage", "The body did not come in time") from None
    try:
        body = json.loads(found, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Usage("The body is not JSON") from None
    if not isinstance(body, dict):
        raise Usage("The body is not a JSON object")
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for name, value in pairs:
        if name in made:
            raise Usage(f"The field {name[:60]!r} is there twice")
        made[name] = value
    return made


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _refused(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> _RefusedError:
    return _RefusedError(problems.problem(status, code, detail, headers))
