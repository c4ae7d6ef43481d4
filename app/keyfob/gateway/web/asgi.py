"""Web sign-in for ASGI applications: Starlette, FastAPI, Quart, Django and others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from keyfob.core.errors import Transient
from keyfob.gateway.web.routes import Routes, WebRequest, WebResponse
from keyfob.gateway.web.visitors import Visitor
from keyfob.gateway.web.web_sign_in import WebSignIn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
NAME = "keyfob"
ENVIRON = "keyfob.visitor"  # in a WSGI environment


class SignInMiddleware:
    """Answers web sign-in's addresses, and tells the application who sends each other request: in Starlette
    and FastAPI as `request.state.keyfob`, elsewhere by `visitor_of(scope)`.
    """

    def __init__(self, app: App, sign_in: WebSignIn) -> None:
        self._app, self._web, self._routes = app, sign_in, Routes(sign_in)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's own interface."""
        if scope["type"] not in ("http", "websocket"):
            self._web.start()
            await self._app(scope, receive, send)
            return
        self._web.start()
        request = _request_of(scope)
        if scope["type"] == "http" and self._routes.owns(request.path):
            loop = asyncio.get_running_loop()
            await _answer(send, await loop.run_in_executor(self._web.executor, self._routes.answer, request))
            return
        cookie = request.headers.get("cookie")
        try:
            loop = asyncio.get_running_loop()
            visitor, cookies = await loop.run_in_executor(self._web.visits, self._web.visit, cookie)
        except Transient as error:
            if scope["type"] == "http":
                await _answer(
                    send, WebResponse(503, (("Content-Type", "text/plain"),), error.message.encode())
                )
                return
            await send({"type": "websocket.close", "code": 1013})
            return
        scope.setdefault("state", {})[NAME] = visitor
        added = [(b"set-cookie", value.encode()) for value in cookies]

        async def send_on(message: Message) -> None:
            if added and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_on)


def visitor_of(request: object) -> Visitor:
    """Who sends a request: of a Starlette or FastAPI request, an ASGI scope or a WSGI environment. Raises
    LookupError if the middleware is missing.
    """
    inner = getattr(request, "scope", None) or getattr(request, "environ", None) or request
    if isinstance(inner, Mapping):
        found = inner.get(ENVIRON) or inner.get("state", {}).get(NAME)
        if isinstance(found, Visitor):
            return found
    raise LookupError("keyfob.gateway.web's middleware is not in this application")


def _request_of(scope: Scope) -> WebRequest:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}; {text}" if key == "cookie" and key in headers else text
    path = scope["path"]
    root = scope.get("root_path", "")
    if root and path.startswith(root):
        path = path[len(root) :]
    return WebRequest(scope.get("method", "GET"), path, scope["query_string"].decode("latin-1"), headers)


async def _answer(send: Send, response: WebResponse) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
