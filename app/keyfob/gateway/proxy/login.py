"""`POST /v1/login`: a token for a name and a password."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from keyfob.gateway.auth.local import LocalAuth
from keyfob.gateway.auth.result import AuthProvider, AuthResult, TooManyAttemptsError
from keyfob.gateway.proxy import problems
from keyfob.gateway.proxy.own import Handler

LOGIN_MOST = 8192  # bytes


def login(provider: AuthProvider) -> Handler:
    """Answers 404 unless `provider` keeps passwords. The handler raises Transient."""

    async def handler(request: web.Request, _caller: AuthResult | None) -> web.StreamResponse:
        if request.method != "POST" or not isinstance(provider, LocalAuth):
            return problems.not_found()
        try:
            body: Any = json.loads(await request.read())
            user, password = body["username"], body["password"]
        except (ValueError, KeyError, TypeError):
            user = password = None
        if not isinstance(user, str) or not isinstance(password, str):
            return problems.problem(400, "usage", "Send JSON with username and password")
        try:
            token = await provider.login(user, password, address=request.remote or "")
        except TooManyAttemptsError as error:
            answer = problems.of_error(error)
            answer.set_status(429)
            return answer
        if token is None:
            return problems.refusal()
        return web.json_response(
            {"access_token": token, "token_type": "Bearer", "expires_in": provider.lifetime_seconds},
            headers={"Cache-Control": "no-store"},
        )

    return handler
