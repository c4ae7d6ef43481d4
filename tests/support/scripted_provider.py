"""A provider and a person at a browser, without a network: sign-ins of the real engine go through them.

`ScriptedProvider` answers a ScriptedTransport as the RFCs say (authorization code with PKCE, device code,
refresh, revocation) and as each preset's provider documents its who-am-I. `ScriptedBrowser` is the engine's
browser port: it notes what was opened, and the test then does what a person does on that page.

    browser.allow(ALICE)        # the code comes back to the callback listener
    browser.deny()              # the error does
    provider.decide(ALICE)      # a device code is entered and allowed
    provider.hold("token")      # that request waits until let_go()
    provider.next("whoami", answer(503, {}))   # the next answer to that purpose, or an error
    provider.fates["key-1"] = BUSY             # every answer to this account's renewals
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from keyfob.adapters.network.transport import unreachable
from keyfob.core.encoding import sha256_base64url
from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.core.http import Request, Response
from support.fake_ports import NOW, FakeListener, FakeListeners
from support.signer import compact, signer


@dataclass(frozen=True)
class Someone:
    """A person with an account at the provider."""

    number: int
    login: str
    name: str
    plan: str = "member"

    @property
    def subject(self) -> str:
        return str(self.number)

    @property
    def email(self) -> str:
        return f"{self.login}@example.org"


ALICE = Someone(31415926, "alice", "Alice")
BOB = Someone(27182818, "bob", "Bob")


def answer(status: int, body: object) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode(), NOW)


BUSY = answer(503, {"error": "temporarily_unavailable"})
ENDED = answer(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
KEY_REFUSED = answer(401, {"message": "Bad credentials"})


@dataclass(frozen=True)
class _Asked:
    """What the browser's address asked for, which the code stands for."""

    params: dict[str, str]
    person: Someone
    client_id: str


class ScriptedProvider:
    """Every preset's provider in one. Thread-safe as far as tests need."""

    def __init__(self, clock: Callable[[], datetime] = lambda: NOW, person: Someone = ALICE) -> None:
        self.clock = clock
        self.person = person  # whose keys, device codes and old tokens these are
        self.user_code = "WDJB-MJHT"
        self.lifetime = 6600  # seconds
        self.requests: list[Request] = []
        self.fates: dict[str, Response | KeyfobError | None] = {}  # by account key; None: its renewals wait
        self.offline = False  # no server can be reached
        self.refuses = ""  # a key in a request's headers that is not accepted
        self._faults: dict[str, list[Response | KeyfobError]] = {}
        self._gates: dict[str, threading.Event] = {}
        self._held = threading.Event()
        self._codes: dict[str, _Asked] = {}
        self._decision: str | None = None  # of a device code: the token, or an error's word
        self._numbers = 0
        self._issuer = ""  # whose metadata was read last

    # --- what a test says -----------------------------------------------------------------------------------

    def next(self, purpose: str, *answers: Response | KeyfobError) -> None:
        self._faults.setdefault(purpose, []).extend(answers)

    def hold(self, purpose: str) -> None:
        """Such requests wait, as at a slow provider."""
        self._gates[purpose] = threading.Event()

    def let_go(self) -> None:
        """Whatever waits goes on."""
        self._held.set()
        for gate in self._gates.values():
            gate.set()
        self._gates.clear()

    def decide(self, person: Someone | None) -> None:
        """The device code is entered: allowed by this person; None: declined."""
        self.person = person or self.person
        self._decision = "access_denied" if person is None else ""

    def sent(self, purpose: str) -> list[Request]:
        return [each for each in self.requests if each.purpose == purpose]

    # --- its pages in the browser ---------------------------------------------------------------------------

    def allowed(self, address: str, person: Someone) -> str:
        """Where the browser is sent when this person allows access on that page (RFC 6749 §4.1.2)."""
        asked = dict(parse_qsl(urlsplit(address).query))
        code = self._new("code")
        # Sign in with ChatGPT issues a client id to each account; others ignore the parameter.
        client_id = f"issued-{self._numbers}" if asked["client_id"].startswith("dynamic") else ""
        self._codes[code] = _Asked(asked, person, client_id or asked["client_id"])
        issued = {"client_id": client_id} if client_id else {}
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], **issued})}"

    def refused(self, address: str, error: str) -> str:
        """Where it is sent when the person declines, or with another error (RFC 6749 §4.1.2.1)."""
        asked = dict(parse_qsl(urlsplit(address).query))
        words = {"error_description": "The resource owner denied the request"}
        error_params = {"error": error, **(words if error == "access_denied" else {})}
        return f"{asked['redirect_uri']}?{urlencode({**error_params, 'state': asked['state']})}"

    # --- its endpoints --------------------------------------------------------------------------------------

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        gate = self._gates.get(request.purpose)
        if gate is not None:
            gate.wait(20)
        fault = self._fault(request)
        if isinstance(fault, KeyfobError):
            raise fault
        return replace(fault or self._answer(request), at=self.clock())

    def _fault(self, request: Request) -> Response | KeyfobError | None:
        if self.offline:
            return unreachable(urlsplit(request.url).netloc)
        faults = self._faults.get(request.purpose)
        if faults:
            return faults.pop(0)
        if self.refuses and self.refuses in str(dict(request.headers)):
            return KEY_REFUSED
        for key, fate in self.fates.items() if request.purpose == "refresh" else ():
            if f"-of-{key}".encode() in (request.body or b""):
                if fate is None:
                    self._held.wait(20)
                return fate
        return None

    def _answer(self, request: Request) -> Response:
        form = dict(parse_qsl((request.body or b"").decode())) if request.method == "POST" else {}
        match request.purpose:
            case "discovery":
                return answer(200, self._metadata(request.url))
            case "jwks":
                return answer(200, {"keys": [signer().jwk]})
            case "device" if "device_code" not in form:
                return answer(200, self._device(request.url))
            case "device":
                return self._polled()
            case "token":
                return self._exchanged(form)
            case "refresh":
                return answer(200, self._tokens(None))
            case "userinfo" | "whoami":
                return answer(200, self._me(self.person))
            case "revoke":
                return answer(200, {})
        return answer(404, {})

    def _new(self, what: str) -> str:
        self._numbers += 1
        return f"made-up-{what}-{self._numbers}"

    def _metadata(self, url: str) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0 §4.2."""
        issuer = self._issuer = url.partition("/.well-known/")[0]
        ends = ("authorization", "token", "userinfo", "revocation", "device_authorization")
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/jwks",
            "code_challenge_methods_supported": ["S256"],
            **{f"{end}_endpoint": f"{issuer}/{end}" for end in ends},
        }

    def _device(self, url: str) -> dict[str, Any]:
        """RFC 8628 §3.2."""
        page = f"https://{urlsplit(url).netloc}/login/device"
        return {
            "device_code": self._new("device-code"),
            "user_code": self.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={self.user_code}",
            "expires_in": 900,
            "interval": 1,
        }

    def _polled(self) -> Response:
        if self._decision is None:
            return answer(400, {"error": "authorization_pending"})
        if self._decision:
            return answer(400, {"error": self._decision})
        return answer(200, self._tokens(self.person))

    def _exchanged(self, form: dict[str, str]) -> Response:
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None:
            return answer(400, {"error": "invalid_grant"})
        if sha256_base64url(form["code_verifier"]) != asked.params["code_challenge"]:
            return answer(400, {"error": "invalid_grant", "error_description": "PKCE"})
        self.person = asked.person
        tokens = self._tokens(asked.person)
        scopes = asked.params.get("scope", "").split()
        if "openid" in scopes:
            tokens["id_token"] = self._id_token(asked)
        return answer(200, tokens | {"scope": " ".join(scopes)})

    def _tokens(self, person: Someone | None) -> dict[str, Any]:
        """RFC 6749 §5.1; None: for whoever's refresh token it was."""
        return {
            "access_token": self._access(person) if person else self._new("access-token"),
            "refresh_token": self._new("refresh-token"),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    def _access(self, person: Someone) -> str:
        """A JWT with what Nexus Mods puts into it; to the others it is any text."""
        roles = ["member", "premium"] if person.plan == "premium" else ["member"]
        user = {"id": person.number, "username": person.name, "membership_roles": roles}
        claims = {"sub": person.subject, "user": user, "jti": self._new("access-token")}
        return compact({"alg": "none"}, claims, lambda signed: b"made-up")

    def _id_token(self, asked: _Asked) -> str:
        """OpenID Connect Core §2."""
        person, now = asked.person, int(self.clock().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": asked.client_id,
            "sub": person.subject,
            "iat": now,
            "exp": now + 300,
            "name": person.name,
            "email": person.email,
        }
        return signer().sign(claims | ({"nonce": asked.params["nonce"]} if "nonce" in asked.params else {}))

    def _me(self, person: Someone) -> dict[str, Any]:
        """Who it is, in the fields that the providers' documentations name."""
        return {
            "sub": person.subject,
            "id": person.number,
            "user_id": person.number,
            "login": person.login,
            "username": person.login,
            "preferred_username": person.login,
            "name": person.name,
            "email": person.email,
            "is_premium": person.plan == "premium",
            "data": {"user": {"name": person.name}},
        }


class ScriptedBrowser:
    """The browser port, and the person at it: `opened` holds the addresses; what happens on that page is up
    to the test. `missing`: this computer has no browser.
    """

    def __init__(self, provider: ScriptedProvider, listeners: FakeListeners) -> None:
        self.provider = provider
        self.listeners = listeners
        self.opened: list[str] = []
        self.missing = False

    def __call__(self, address: str) -> None:
        self.opened.append(address)
        if self.missing:
            raise SettingWrong("Keyfob could not start a browser", code="browser_failed")

    @property
    def listener(self) -> FakeListener:
        return self.listeners.made[-1]

    def allow(self, person: Someone = ALICE) -> None:
        self.listener.visit(self.provider.allowed(self.opened[-1], person))

    def deny(self, error: str = "access_denied") -> None:
        self.listener.visit(self.provider.refused(self.opened[-1], error))
