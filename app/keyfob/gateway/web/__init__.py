"""Sign-in for web applications: "Sign in with …" on a server, which keeps the tokens.

    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from keyfob.gateway.web import AppRegistration, SignInMiddleware, from_environment

    sign_in = from_environment("https://app.example.org", [AppRegistration("bluesky")])
    app = Starlette(middleware=[Middleware(SignInMiddleware, sign_in=sign_in)], routes=...)

The application then has `request.state.keyfob`: who is signed in, and `await request.state.keyfob.call("GET",
"/…")` for the provider's API as that person. The browser gets no token and no key. Needs the extra
`keyfob[gateway]`.
"""

from keyfob.gateway.web.asgi import SignInMiddleware, visitor_of
from keyfob.gateway.web.calls import ApiResponse
from keyfob.gateway.web.client_keys import ClientKeySet, read_keys
from keyfob.gateway.web.environment import from_environment
from keyfob.gateway.web.events import SessionEvent
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.gateway.web.visitors import Ended, SignedIn, Visitor
from keyfob.gateway.web.web_sign_in import WebSignIn
from keyfob.gateway.web.wsgi import SignInWsgiMiddleware

__all__ = [
    "ApiResponse",
    "AppRegistration",
    "ClientKeySet",
    "Ended",
    "SessionEvent",
    "SignInMiddleware",
    "SignInWsgiMiddleware",
    "SignedIn",
    "Visitor",
    "WebSettings",
    "WebSignIn",
    "from_environment",
    "read_keys",
    "visitor_of",
]
