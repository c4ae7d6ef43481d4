"""The addresses of web sign-in, for any framework: a request in, a response out."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from keyfob.core.errors import KeyfobError, NotFound, SignInEnded, Transient, Usage
from keyfob.core.provider import EMPTY
from keyfob.core.text import plain
from keyfob.gateway.web import pages
from keyfob.gateway.web.cookies import BROWSER, SESSION, clearing, new_id
from keyfob.gateway.web.sign_ins import NotThisBrowserError, method_of
from keyfob.gateway.web.states import LIFE
from keyfob.gateway.web.targets import is_own_path

if TYPE_CHECKING:
    from keyfob.gateway.web.web_sign_in import WebSignIn

log = logging.getLogger("keyfob.gateway.web")
_STYLE_HASH = base64.b64encode(hashlib.sha256(pages.STYLE.encode()).digest()).decode()
_PAGE_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request without a body. Header names are lower case; `query` is raw."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)


@dataclass(frozen=True, slots=True)
class WebResponse:
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


class Routes:
    """Blocking and thread-safe."""

    def __init__(self, web: WebSignIn) -> None:
        self._web, self._settings = web, web.settings

    def owns(self, path: str) -> bool:
        """Whether this is one of web sign-in's addresses."""
        return path == self._settings.prefix or path.startswith(self._settings.prefix + "/")

    def answer(self, request: WebRequest) -> WebResponse:
        """The response to a request for an address that it owns. Raises nothing."""
        below = request.path.removeprefix(self._settings.prefix)
        method = "GET" if request.method == "HEAD" else request.method
        try:
            match method, below.split("/"):
                case "GET", [""] | ["", ""]:
                    return self._choose(request)
                case "GET", ["", "jwks.json"]:
                    return _document(self._web.jwks())
                case "GET", ["", "client-metadata.json"]:
                    return _document(self._web.client_metadata())
                case "GET", ["", "start", app] if request.method == "GET":
                    return self._start(request, app)
                case "GET", ["", "callback"] | ["", "callback", _] if request.method == "GET":
                    return self._callback(request)
                case "POST", ["", "out"]:
                    return self._sign_out(request)
        except KeyfobError as error:
            return self._failed(error)
        return self._problem(404, "Not found", "There is no such page.")

    def _choose(self, request: WebRequest) -> WebResponse:
        params = dict(parse_qsl(request.query))
        return_to = params.get("return_to", self._settings.home)
        if not is_own_path(return_to, self._settings.origin):
            raise Usage("The page to go back to is not on this server")
        visitor, cookies = self._web.visit(request.headers.get("cookie"))
        if visitor.session is not None:
            who = visitor.session.name or visitor.session.subject
            body = pages.signed_in(who, visitor.sign_out_url)
        else:
            said = visitor.ended.message if visitor.ended else None
            body = pages.choices(self._choices(), return_to, said)
        return WebResponse(200, (*_PAGE_HEADERS, *_set(*cookies)), body)

    def _choices(self) -> list[pages.Choice]:
        listed = []
        for app in self._settings.apps:
            preset = self._web.preset(app)
            asks = [
                (wanted.name, wanted.title, wanted.example)
                for wanted in preset.inputs_for(method_of(preset))
                if wanted.name not in app.inputs and wanted.name in app.ask
            ]
            listed.append(pages.Choice(f"{self._settings.prefix}/start/{app.id}", preset.title, asks))
        return listed

    def _start(self, request: WebRequest, app: str) -> WebResponse:
        if not _navigates(request):
            return self._problem(403, "Not allowed", "Open this page in a browser.")
        params = dict(parse_qsl(request.query))
        return_to = params.pop("return_to", self._settings.home)
        found = self._web.cookies.read(request.headers.get("cookie"), BROWSER)
        browser = found.id if found else new_id()
        url = self._web.sign_ins.begin(app, params, return_to, browser)
        cookie = self._web.cookies.setting(BROWSER, browser, int(LIFE.total_seconds()))
        return _redirect(url.reveal(), cookie)

    def _callback(self, request: WebRequest) -> WebResponse:
        if not _navigates(request):
            return self._problem(403, "Not allowed", "Open this page in a browser.")
        header = request.headers.get("cookie")
        found = self._web.cookies.read(header, BROWSER)
        finished = self._web.sign_ins.finish(request.path, request.query, found.id if found else None)
        session_id = self._web.store(finished, header)
        cookie = self._web.cookies.setting(SESSION, session_id, self._web.cookie_age)
        return _redirect(finished.return_to, cookie)

    def _sign_out(self, request: WebRequest) -> WebResponse:
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        # A page that sends no referrer says "null" as its origin.
        own = (self._settings.origin, None) if site is None else (self._settings.origin, None, "null")
        if origin not in own or site not in (None, "same-origin"):
            return self._problem(403, "Not allowed", "Use the button of this server's own page.")
        self._web.sign_out(request.headers.get("cookie"))
        return _redirect(self._settings.home, clearing(SESSION), clearing(BROWSER))

    def _failed(self, error: KeyfobError) -> WebResponse:
        # A provider may have a part in the details: one line, of bounded length.
        log.info("a web sign-in ended: %s (%s)", error.code, plain(error.detail, 200) or "no details")
        match error:
            case NotThisBrowserError():
                status, title = 400, "Start again"
            case SignInEnded():
                status, title = 403, "Access was declined"
            case NotFound():
                status, title = 404, "Not found"
            case Usage():
                status, title = 400, "This does not work"
            case Transient():
                status, title = 503, "Try again later"
            case _:
                status, title = 502, "Sign-in failed"
        return self._problem(status, title, error.full_message().rstrip(".") + ".")

    def _problem(self, status: int, title: str, message: str) -> WebResponse:
        return WebResponse(status, _PAGE_HEADERS, pages.problem(title, message, self._settings.prefix))


def _navigates(request: WebRequest) -> bool:
    """Whether a person's browser goes here, and does not only look ahead: that would use the answer up."""
    headers = request.headers
    return (
        headers.get("sec-fetch-mode", "navigate") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
        and "prefetch" not in headers.get("sec-purpose", "").lower()
        and "prefetch" not in headers.get("purpose", "").lower()
    )


def _document(body: object) -> WebResponse:
    headers = (
        ("Content-Type", "application/json"),
        ("Cache-Control", "public, max-age=300"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return WebResponse(200, headers, json.dumps(body).encode())


def _redirect(url: str, *cookies: str) -> WebResponse:
    headers = (("Location", url), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"))
    return WebResponse(303, (*headers, *_set(*cookies)))


def _set(*cookies: str) -> tuple[tuple[str, str], ...]:
    return tuple(("Set-Cookie", cookie) for cookie in cookies)
