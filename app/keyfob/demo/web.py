"""The demo provider's Flask application: the protocol's endpoints and their answers.

Every request must name the issuer's own host (DNS rebinding). Each runs under the store's lock, except for
the pause of "be slow". The pages that users see are in `views.py`.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, abort

from keyfob.core.resources import resources
from keyfob.demo.authority import Authority
from keyfob.demo.clients import SCOPES, DemoClient
from keyfob.demo.settings import SLOW_SECONDS, DemoSettings
from keyfob.demo.store import DemoStore
from keyfob.demo.users import PEOPLE, portrait
from keyfob.demo.views import Pages

ABOUT = "/.well-known/keyfob-demo"
# What apps ask, and so what "be slow" and "be down" bear on; the pages
# keep working, or it could not be switched back.
FOR_APPS = frozenset(
    ("discovery", "jwks", "token", "revoke", "device_authorization", "userinfo", "greeting", "authorize")
)
MOST_BODY = 64 * 1024


def make_app(store: DemoStore, settings: DemoSettings, clients: tuple[DemoClient, ...] = ()) -> Flask:
    """The whole application, threads welcome."""
    app = Flask(
        "keyfob.demo", template_folder=str(resources() / "demo" / "pages"), static_folder=None, root_path="."
    )
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    app.jinja_env.filters["ago"] = lambda at: _ago(at, store.now())
    authority = Authority(app, store, settings, clients)
    _guard(app, store, settings)
    _serve_metadata(app, store, settings.issuer)
    _serve_apps(app, authority, settings)
    _serve_files(app, store)
    Pages(authority).open(app)
    return app


def _guard(app: Flask, store: DemoStore, settings: DemoSettings) -> None:
    """What holds for every request: the host, the faults that are
    switched on, the lock, the headers of answers.
    """
    host = settings.issuer.removeprefix("http://")
    slow_now = threading.Event()

    @app.before_request
    def guard() -> Response | None:
        if request.headers.get("Host") != host or request.host != host:
            return Response("This server answers only at its own address.\n", 400, mimetype="text/plain")
        if request.endpoint in FOR_APPS:
            settings.count("requests")
            if settings.slow:
                slow_now.wait(SLOW_SECONDS)
            if settings.down:
                settings.count("refused")
                return Response(
                    '{"error": "temporarily_unavailable"}',
                    503,
                    {"Retry-After": "5"},
                    mimetype="application/json",
                )
        store.lock.acquire()
        g.locked = True
        return None

    @app.teardown_request
    def unlock(_: BaseException | None) -> None:
        if g.pop("locked", False):
            store.lock.release()

    @app.after_request
    def harden(response: Response) -> Response:
        headers = response.headers
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Frame-Options"] = "DENY"
        headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; "
            f"form-action 'self'{g.get('return_to', '')}; frame-ancestors 'none'; base-uri 'none'",
        )
        return response

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> Any:
        if error.code is not None and error.code < 500 and not hasattr(error, "body"):
            return Response(f"{error.name}.\n", error.code, mimetype="text/plain")
        return error


def _serve_metadata(app: Flask, store: DemoStore, issuer: str) -> None:
    """Discovery (RFC 8414, OpenID Connect Discovery) and the public keys."""

    @app.get("/.well-known/openid-configuration", endpoint="discovery")
    @app.get("/.well-known/oauth-authorization-server", endpoint="discovery")
    def discovery() -> Response:
        return jsonify(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "revocation_endpoint": f"{issuer}/revoke",
                "device_authorization_endpoint": f"{issuer}/device_authorization",
                "end_session_endpoint": f"{issuer}/sign-out",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": [
                    "authorization_code",
                    "refresh_token",
                    "urn:ietf:params:oauth:grant-type:device_code",
                ],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                "token_endpoint_auth_methods_supported": [
                    "none",
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "revocation_endpoint_auth_methods_supported": [
                    "none",
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": list(SCOPES),
                "claims_supported": [
                    "sub",
                    "name",
                    "preferred_username",
                    "picture",
                    "email",
                    "email_verified",
                ],
                "authorization_response_iss_parameter_supported": True,
                "ui_locales_supported": ["en"],
            }
        )

    @app.get("/jwks", endpoint="jwks")
    def jwks() -> Response:
        return jsonify(store.keys.as_dict(private=False))


def _serve_apps(app: Flask, authority: Authority, settings: DemoSettings) -> None:
    """What apps ask: the token endpoint and its kin, user information, and the smallest API."""

    @app.post("/token", endpoint="token")
    def token() -> Any:
        _once(request.form)
        return authority.server.create_token_response()

    @app.post("/revoke", endpoint="revoke")
    def revoke() -> Any:
        return authority.server.create_endpoint_response("revocation")

    @app.post("/device_authorization", endpoint="device_authorization")
    def device_authorization() -> Any:
        return authority.server.create_endpoint_response("device_authorization")

    @app.route("/userinfo", methods=["GET", "POST"], endpoint="userinfo")
    def userinfo() -> Any:
        with authority.protector.acquire("openid") as held:
            settings.count("userinfo")
            person = PEOPLE[held.family.person]
            return jsonify(person.claims(settings.issuer, tuple(held.family.scopes)))

    @app.get("/api/greeting", endpoint="greeting")
    def greeting() -> Any:
        """The smallest API one can have: what a tool would call with the token."""
        with authority.protector.acquire() as held:
            settings.count("greetings")
            return jsonify({"greeting": f"Hello, {PEOPLE[held.family.person].name}!"})


def _serve_files(app: Flask, store: DemoStore) -> None:
    """Pictures, the style sheet, and what says whose demo this is."""

    @app.get("/portraits/<name>.png")
    def portraits(name: str) -> Response:
        person = PEOPLE.get(name)
        if person is None:
            return Response("Not found.\n", 404, mimetype="text/plain")
        return Response(portrait(person), mimetype="image/png")

    @app.get("/style.css")
    def style() -> Response:
        return Response(
            (resources() / "demo" / "pages" / "style.css").read_text(encoding="utf-8"), mimetype="text/css"
        )

    @app.get("/favicon.ico")
    @app.get("/mark.svg")
    def mark() -> Response:
        return Response(
            (resources() / "demo" / "pages" / "mark.svg").read_text(encoding="utf-8"),
            mimetype="image/svg+xml",
        )

    @app.get(ABOUT)
    def about() -> Response:
        """Says to a second demo whose this is: a fingerprint of a random name, not a secret."""
        return jsonify({"keyfob_demo": 1, "store": fingerprint(store)})


def fingerprint(store: DemoStore) -> str:
    """Tells two demos apart without showing the store's id."""
    return hashlib.sha256(f"keyfob demo {store.id}".encode()).hexdigest()


def _once(form: Any) -> None:
    """RFC 6749 §3.2: a parameter that comes twice makes the request invalid."""
    doubled = [name for name in form if len(form.getlist(name)) > 1]
    if doubled:
        body = '{"error": "invalid_request", "error_description": "A parameter is repeated."}'
        abort(Response(body, 400, mimetype="application/json"))


def _ago(at: float | None, now: float) -> str:
    """How long before `now`, in words; both are seconds since the epoch."""
    if at is None:
        return "never"
    seconds = max(0, int(now - at))
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    if seconds < 86400:
        return f"{seconds // 3600} h ago"
    day = datetime.fromtimestamp(at, UTC).astimezone()
    return f"on {day.day} {day:%B}"
