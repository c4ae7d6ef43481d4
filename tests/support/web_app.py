"""A Starlette application with web sign-in, in this process, and browsers that visit it.

Requests reach the application without a socket; it reaches its provider over one. `Browser` keeps cookies as
a real one does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.engine import WebPorts, web_ports
from keyfob.gateway.web import (
    AppRegistration,
    SessionEvent,
    SignInMiddleware,
    Visitor,
    WebSettings,
    WebSignIn,
)
from keyfob.gateway.web.client_keys import ClientKeySet

PUBLIC = "https://app.example.test"
SECRET_KEY = "a secret key for tests, 32 or longer"


async def who(request: Request) -> Response:
    visitor: Visitor = request.state.keyfob
    if visitor.session is None:
        ended = visitor.ended
        return JSONResponse({"subject": None, "ended": ended.why if ended else None})
    return JSONResponse(
        {"subject": visitor.session.subject, "name": visitor.session.name, "shown": repr(visitor)}
    )


async def api(request: Request) -> Response:
    visitor: Visitor = request.state.keyfob
    try:
        answer = await visitor.call("GET", request.query_params["path"])
    except KeyfobError as error:
        return JSONResponse({"error": error.code}, 502)
    return Response(answer.body, answer.status, media_type=answer.headers.get("content-type"))


class Application:
    """Use with `with`. One server of the application; several may share a database."""

    def __init__(
        self,
        database: Path | str,
        *apps: AppRegistration,
        keys: ClientKeySet | None = None,
        ports: Callable[[WebPorts], WebPorts] | None = None,
        secret_keys: tuple[str, ...] = (SECRET_KEY,),
        public: str = PUBLIC,
        presets: Path = Path("nowhere"),
        **settings: Any,
    ) -> None:
        url = f"sqlite:///{database}" if isinstance(database, Path) else database
        self.events: list[SessionEvent] = []
        made = web_ports(url, presets)
        self.settings = WebSettings(public, apps, secret_keys=secret_keys, **settings)
        self.web = WebSignIn(
            self.settings,
            url,
            client_keys=keys,
            observers=[self.events.append],
            ports=ports(made) if ports else made,
        )
        self.app = Starlette(
            routes=[Route("/who", who), Route("/api", api), Route("/", who)],
            middleware=[Middleware(SignInMiddleware, sign_in=self.web)],
        )

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self.web.close()

    def browser(self) -> Browser:
        return Browser(self)

    def grant_of(self, subject: str) -> Grant:
        """The tokens of this person's one session, as the server has them."""
        (found,) = self.web.sessions.of_subject(subject)
        assert found.grant is not None
        return found.grant


class Browser:
    """One browser with its cookies. It follows no redirect by itself."""

    def __init__(self, application: Application) -> None:
        self.at(application)
        self.cookies: dict[str, str] = {}

    def at(self, application: Application) -> Browser:
        """The same browser at another server of the application."""
        self._public = application.settings.origin
        self._http = TestClient(application.app, base_url=self._public, follow_redirects=False)
        return self

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._ask("GET", path, headers)

    def post(self, path: str, **headers: str) -> httpx.Response:
        return self._ask("POST", path, headers)

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        self._http.cookies.clear()
        answer: httpx.Response = self._http.request(method, path, headers=sent)
        for line in answer.headers.get_list("set-cookie"):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            assert name.startswith("__Host-")
            assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def start(self, app: str, return_to: str = "/who", **inputs: str) -> str:
        """Begin a sign-in; the provider's address."""
        query = urlencode({"return_to": return_to, **inputs})
        answer = self.get(f"/sign-in/start/{app}?{query}")
        assert answer.status_code == 303, answer.text
        location: str = answer.headers["location"]
        return location

    def come_back(self, address: str) -> httpx.Response:
        """Follow the provider's redirect to the application."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == self._public
        return self.get(f"{parts.path}?{parts.query}")

    def who(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/who").json()
        return found
