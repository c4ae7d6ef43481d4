"""Web sign-in's ASGI and WSGI faces, with a session that is in the database already."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from keyfob.core.account import Account, Connected, Pin, Record
from keyfob.core.errors import SignInNeeded
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.secret import Secret
from keyfob.gateway.web import AppRegistration, SignInMiddleware, SignInWsgiMiddleware, visitor_of
from keyfob.gateway.web.cookies import SESSION, new_id
from keyfob.gateway.web.sessions import SessionKey
from keyfob.gateway.web.states import hashed
from keyfob.service.contexts import ClientSecrets
from support.web_app import PUBLIC, Application

ISSUER = "https://id.example.test"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    registration = AppRegistration("oidc", "web", inputs={"issuer": ISSUER})
    with Application(tmp_path / "web.db", registration) as application:
        yield application


@pytest.fixture
def cookie(app: Application) -> str:
    """Of a browser in which Alice is signed in."""
    session_id, now = new_id(), datetime.now(UTC)
    pin = Pin(Server(ISSUER, Endpoints()), "web", "none", inputs={"issuer": ISSUER}, api_base=ISSUER)
    record = Record(Account("key", "oidc", "alice", "oauth", "alice", pin, name="Alice"), Connected())
    key = SessionKey(hashed(session_id), "alice")
    app.web.sessions.add(
        key, "oidc", record, Grant(Secret("the access token"), now), ClientSecrets(), now, None
    )
    return app.web.cookies.setting(SESSION, session_id, 60).partition(";")[0]


def break_the_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "web.db")) as database, database:
        database.execute("ALTER TABLE web_sessions RENAME TO elsewhere")


async def name(request: Request) -> Response:
    session = visitor_of(request).session
    return JSONResponse({"name": session.name if session else None})


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    session = visitor_of(socket).session
    await socket.send_json({"name": session.name if session else None})
    await socket.close()


class TestAsgi:
    @pytest.fixture
    def client(self, app: Application) -> TestClient:
        inner = Starlette(
            routes=[
                Route("/name", name),
                WebSocketRoute("/talk", talk),
                Mount("/below", routes=[Route("/name", name)]),
            ],
            middleware=[Middleware(SignInMiddleware, sign_in=app.web)],
        )
        return TestClient(inner, base_url=PUBLIC)

    def test_a_websocket_knows_who_it_is(self, client: TestClient, cookie: str) -> None:
        for headers, expected in (({"cookie": cookie}, "Alice"), ({}, None)):
            with client.websocket_connect("/talk", headers=headers) as socket:
                assert socket.receive_json() == {"name": expected}

    def test_an_application_below_knows_it_too(self, client: TestClient, cookie: str) -> None:
        assert client.get("/below/name", headers={"cookie": cookie}).json() == {"name": "Alice"}

    def test_cookies_that_came_apart(self, client: TestClient, cookie: str) -> None:
        """HTTP/2 may send each cookie in a header of its own."""
        answer = client.get("/name", headers=[("cookie", "a=b"), ("cookie", cookie)])
        assert answer.json() == {"name": "Alice"}

    def test_under_a_prefix_of_the_server(self, app: Application, cookie: str) -> None:
        inner = Starlette(middleware=[Middleware(SignInMiddleware, sign_in=app.web)])
        client = TestClient(inner, base_url=PUBLIC, root_path="/site")
        assert client.get("/site/sign-in/jwks.json").json() == {"keys": []}

    def test_a_database_that_is_gone_closes_a_websocket(
        self, client: TestClient, cookie: str, tmp_path: Path
    ) -> None:
        break_the_database(tmp_path)
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect("/talk", headers={"cookie": cookie}),
        ):
            pass

    def test_the_lifespan_passes_through(self, client: TestClient) -> None:
        with client:
            assert client.get("/name").json() == {"name": None}


class TestWsgi:
    @staticmethod
    def ask(app: Application, path: str, cookie: str = "") -> tuple[str, list[tuple[str, str]], bytes]:
        def inner(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            session = visitor_of(environ).session
            start_response("200 OK", [])
            return [str(session.name if session else None).encode()]

        said: list[Any] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_COOKIE": cookie}
        body = SignInWsgiMiddleware(inner, app.web)(environ, lambda *words: said.append(words))
        return said[0][0], said[0][1], b"".join(body)

    def test_the_application_knows_who_it_is(self, app: Application, cookie: str) -> None:
        assert self.ask(app, "/name", cookie)[2] == b"Alice"
        assert self.ask(app, "/name")[2] == b"None"

    def test_its_own_addresses(self, app: Application) -> None:
        status, headers, body = self.ask(app, "/sign-in/jwks.json")
        assert (status, body) == ("200 OK", b'{"keys": []}')
        assert ("Content-Length", "12") in headers

    def test_a_session_that_is_gone_loses_its_cookie(
        self, app: Application, cookie: str, tmp_path: Path
    ) -> None:
        with closing(sqlite3.connect(tmp_path / "web.db")) as database, database:
            database.execute("DELETE FROM web_sessions")
        _, headers, body = self.ask(app, "/name", cookie)
        assert body == b"None"
        assert any(header == "Set-Cookie" and "Max-Age=0" in value for header, value in headers)

    def test_a_database_that_is_gone(self, app: Application, cookie: str, tmp_path: Path) -> None:
        break_the_database(tmp_path)
        assert self.ask(app, "/name", cookie)[0] == "503 Service Unavailable"


def test_without_the_middleware_the_error_says_so() -> None:
    for request in ({}, {"state": {}}, object()):
        with pytest.raises(LookupError, match="middleware"):
            visitor_of(request)


def test_s127_what_an_application_has_shows_no_token(app: Application, cookie: str) -> None:
    visitor, _ = app.web.visit(cookie)
    shown = f"{visitor!r} {visitor} {visitor.session!r} {visitor.session}"
    assert "the access token" not in shown
    assert "Alice" in shown
    assert not any("the access token" in str(getattr(visitor, name)) for name in visitor.__slots__)


def test_nobody_calls_an_api(app: Application) -> None:
    visitor, _ = app.web.visit(None)
    with pytest.raises(SignInNeeded):
        visitor.call_now("GET", "/me")
