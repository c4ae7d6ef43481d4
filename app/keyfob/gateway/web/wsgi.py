"""Web sign-in for WSGI applications: Flask, Django and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any

from keyfob.core.errors import Transient
from keyfob.gateway.web.asgi import ENVIRON
from keyfob.gateway.web.routes import Routes, WebRequest, WebResponse
from keyfob.gateway.web.web_sign_in import WebSignIn

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class SignInWsgiMiddleware:
    """As `SignInMiddleware`, for WSGI. The application gets the Visitor by `visitor_of(environ)`, in Flask by
    `visitor_of(request)`, and calls the provider's API with `call_now`.
    """

    def __init__(self, app: App, sign_in: WebSignIn) -> None:
        self._app, self._web, self._routes = app, sign_in, Routes(sign_in)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI's own interface (PEP 3333)."""
        self._web.start()
        request = _request_of(environ)
        if self._routes.owns(request.path):
            return _answer(start_response, self._routes.answer(request))
        try:
            visitor, cookies = self._web.visit(request.headers.get("cookie"))
        except Transient as error:
            plain = (("Content-Type", "text/plain"),)
            return _answer(start_response, WebResponse(503, plain, error.message.encode()))
        environ[ENVIRON] = visitor
        added = [("Set-Cookie", cookie) for cookie in cookies]

        def start(status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Any:  # noqa: ANN401
            if exc_info is not None:
                return start_response(status, [*headers, *added], exc_info)
            return start_response(status, [*headers, *added])

        return self._app(environ, start)


def _request_of(environ: Environ) -> WebRequest:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return WebRequest(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers)


def _answer(start_response: StartResponse, response: WebResponse) -> Iterable[bytes]:
    headers = [*response.headers, ("Content-Length", str(len(response.body)))]
    start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
    return [response.body]
