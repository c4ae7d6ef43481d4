"""An OpenID provider on loopback that misbehaves in one named way at a time, and records every request.

    with Misbehaving("oidcc-client-test-invalid-iss") as provider:
        ...
        assert provider.paths() == [METADATA, "/authorize", "/token", "/jwks"]   # and nothing after it

`CASES` lists the ways by the row or the OpenID Foundation's test that they belong to. `next` puts any bytes
before the next answer at a path. Beneath, it is a strict server: codes are used once and bound to PKCE,
refresh tokens rotate and a spent one that comes back ends its family, unless `grace` seconds allow it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from support.hostile import Behaviour, RawServer, Talk, UnsavedGrant, answer, redirect
from support.signer import Signer, compact, half_hash, signer

METADATA = "/.well-known/openid-configuration"
OMIT = object()  # leaves a member out
OTHER = "https://somebody-else.example"


@dataclass(frozen=True)
class Case:
    """One way to misbehave: what is laid over the honest answers. A callable gets the provider."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    callback: Mapping[str, Any] = field(default_factory=dict)
    raw_callback: str = ""  # appended to the query of the redirect as it is
    token: Mapping[str, Any] = field(default_factory=dict)
    renewal: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    renewed_claims: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    sign: Callable[[Misbehaving, dict[str, Any], dict[str, Any]], str] | None = None
    jwks: Callable[[Misbehaving], list[dict[str, Any]]] | None = None
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    at: Mapping[str, Behaviour] = field(default_factory=dict)  # every answer at a path
    device: Mapping[str, Any] = field(default_factory=dict)
    registration: Mapping[str, Any] = field(default_factory=dict)
    dpop_nonce: str | None = None  # once: one challenge a place; endless: never content


def _unsigned(provider: Misbehaving, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return compact({**header, "alg": "none"}, claims, lambda signed: b"")


def _oddly_unsigned(provider: Misbehaving, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return compact({**header, "alg": "nOnE"}, claims, lambda signed: b"")


def _no_signature(provider: Misbehaving, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return compact(header, claims, lambda signed: b"")


def _broken(provider: Misbehaving, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return signer("RS256", "k1", number=9).sign(claims)


def _confused(provider: Misbehaving, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """HS256 keyed with what everybody may know: the public key (RFC 8725 §2.1)."""
    public = json.dumps(provider.signer.jwk, separators=(",", ":")).encode()
    return compact(
        {**header, "alg": "HS256"}, claims, lambda signed: hashlib.sha256(public + signed).digest()
    )


def _kidless(*numbers: int) -> Callable[[Misbehaving], list[dict[str, Any]]]:
    def keys(provider: Misbehaving) -> list[dict[str, Any]]:
        found = [signer("RS256", "x", number=number).jwk for number in numbers]
        return [{name: value for name, value in key.items() if name != "kid"} for key in found]

    return keys


_REGISTERS: Mapping[str, Any] = {"registration_endpoint": lambda provider: provider.url("/register")}
_BIG = "x" * 70_000
CASES: Mapping[str, Case] = {
    "honest": Case(),
    # --- the OpenID Foundation's RP tests, by name ---
    "oidcc-client-test": Case(),
    "oidcc-client-test-invalid-iss": Case(claims={"iss": OTHER}),
    "oidcc-client-test-missing-sub": Case(claims={"sub": OMIT}),
    "oidcc-client-test-invalid-aud": Case(claims={"aud": "somebody-else"}),
    "oidcc-client-test-missing-iat": Case(claims={"iat": OMIT}),
    "oidcc-client-test-kid-absent-single-jwks": Case(header={"kid": None}, jwks=_kidless(1)),
    "oidcc-client-test-kid-absent-multiple-jwks": Case(header={"kid": None}, jwks=_kidless(2, 1)),
    "oidcc-client-test-idtoken-sig-rs256": Case(),
    "oidcc-client-test-idtoken-sig-none": Case(sign=_unsigned),
    "oidcc-client-test-invalid-sig-rs256": Case(sign=_broken),
    "oidcc-client-test-userinfo-invalid-sub": Case(userinfo={"sub": "somebody-else"}),
    "oidcc-client-test-nonce-invalid": Case(claims={"nonce": "another"}),
    "oidcc-client-test-scope-userinfo-claims": Case(),
    "oidcc-client-test-client-secret-basic": Case(),
    "oidcc-client-test-discovery-openid-config": Case(),
    "oidcc-client-test-discovery-jwks-uri-keys": Case(),
    "oidcc-client-test-discovery-issuer-mismatch": Case(metadata={"issuer": OTHER}),
    # the tests call `rotate_key`, before the second sign-in and in the middle of it
    "oidcc-client-test-signing-key-rotation": Case(),
    "oidcc-client-test-signing-key-rotation-just-before-signing": Case(),
    "oidcc-client-test-refresh-token": Case(),
    "oidcc-client-test-refresh-token-invalid-issuer": Case(renewed_claims={"iss": OTHER}),
    "oidcc-client-test-refresh-token-invalid-sub": Case(renewed_claims={"sub": "somebody-else"}),
    # --- rows, by number ---
    "S-1 file": Case(metadata={"authorization_endpoint": "file:///etc/passwd"}),
    "S-1 http": Case(metadata={"authorization_endpoint": "http://elsewhere.example/authorize"}),
    "S-1 dash": Case(metadata={"authorization_endpoint": "--renderer-cmd-prefix=touch"}),
    "S-1 javascript": Case(metadata={"authorization_endpoint": "javascript:alert(1)"}),
    "S-2 other": Case(metadata={"issuer": OTHER}),
    "S-2 slash": Case(metadata={"issuer": lambda provider: provider.issuer + "/"}),
    "S-2 http": Case(metadata={"issuer": "http://elsewhere.example"}),
    "S-2 absent": Case(metadata={"issuer": OMIT}),
    "S-2 redirect": Case(at={METADATA: redirect(302, "/moved")}),
    "S-3 plain": Case(metadata={"code_challenge_methods_supported": ["plain"]}),
    "S-3 silent": Case(metadata={"code_challenge_methods_supported": OMIT}),
    "S-4 rejects": Case(
        at={
            "/token": answer(
                400, b'{"error":"invalid_request","error_description":"no code_verifier please"}'
            )
        }
    ),
    "S-7 wrong": Case(callback={"iss": OTHER}),
    "S-7 doubled": Case(raw_callback="&iss=https%3A%2F%2Fsomebody-else.example"),
    "S-7 absent": Case(callback={"iss": OMIT}),
    "S-10 code": Case(raw_callback="&code=attackers"),
    "S-10 encoded": Case(raw_callback="&%63ode=attackers"),
    "S-10 state": Case(raw_callback="&state=attackers"),
    "S-10 unknown": Case(raw_callback="&session_state=whatever&foo=1"),
    "S-31": Case(at={"/token": answer(200, b'{"error":"server_error","error_description":"well"}')}),
    "S-32 missing": Case(token={"expires_in": OMIT}),
    "S-32 text": Case(token={"expires_in": "3600"}),
    "S-32 fraction": Case(token={"expires_in": 3600.5}),
    "S-32 negative": Case(token={"expires_in": -1}, renewal={"expires_in": -1}),
    "S-32 zero": Case(token={"expires_in": 0}, renewal={"expires_in": 0}),
    "S-32 huge": Case(token={"expires_in": 1e308}),
    "S-32 true": Case(token={"expires_in": True}, renewal={"expires_in": True}),
    "S-33 case": Case(token={"token_type": "bEaReR"}),
    "S-33 Bearer": Case(token={"token_type": "Bearer"}),
    "S-33 missing": Case(token={"token_type": OMIT}),
    "S-33 unknown": Case(token={"token_type": "mac"}),
    "S-33 renewal": Case(renewal={"token_type": "mac"}),
    "S-34 absent": Case(token={"scope": OMIT}),
    "S-34 narrower": Case(token={"scope": "openid"}),
    "S-35 absent": Case(renewal={"refresh_token": OMIT}),
    "S-35 null": Case(renewal={"refresh_token": None}),
    "S-35 empty": Case(renewal={"refresh_token": ""}),
    "S-38 aud": Case(renewed_claims={"aud": "somebody-else"}),
    "S-40 nOnE": Case(sign=_oddly_unsigned),
    "S-40 empty signature": Case(sign=_no_signature),
    "S-41 HS256": Case(sign=_confused),
    "S-42 mismatch": Case(header={"alg": "RS384"}),
    "S-42 crit": Case(header={"crit": ["exp"]}),
    "S-42 jku": Case(header={"jku": OTHER + "/keys", "kid": "unknown"}),
    "S-42 x5u": Case(header={"x5u": OTHER + "/cert", "kid": "unknown"}),
    "S-42 jwk": Case(
        sign=lambda provider, header, claims: signer("RS256", "k1", number=9).sign(
            claims, jwk=signer("RS256", "k1", number=9).jwk
        )
    ),
    "S-43": Case(header={"kid": "nobody-knows"}),
    "S-45 slash": Case(claims={"iss": lambda provider: provider.issuer + "/"}),
    "S-45 missing": Case(claims={"iss": OMIT}),
    "S-46 missing": Case(claims={"aud": OMIT}),
    "S-46 more without azp": Case(claims={"aud": ["app", "somebody-else"]}),
    "S-46 azp": Case(claims={"aud": ["app", "somebody-else"], "azp": "somebody-else"}),
    "S-46 type": Case(claims={"aud": {"app": 1}}),
    "S-47 expired": Case(claims={"exp": lambda provider: int(time.time()) - 61}),
    "S-47 exp missing": Case(claims={"exp": OMIT}),
    "S-47 exp type": Case(claims={"exp": "tomorrow"}),
    "S-47 iat ahead": Case(claims={"iat": lambda provider: int(time.time()) + 3600}),
    "S-47 nbf ahead": Case(claims={"nbf": lambda provider: int(time.time()) + 3600}),
    "S-48 missing": Case(claims={"nonce": OMIT}),
    "S-48 type": Case(claims={"nonce": ["n"]}),
    "S-49": Case(claims={"at_hash": half_hash("another token")}),
    "S-50 empty": Case(claims={"sub": ""}),
    "S-50 type": Case(claims={"sub": 17}),
    "S-50 userinfo without": Case(userinfo={"sub": OMIT}),
    "S-51 header": Case(header={"x": _BIG}),
    "S-51 body": Case(claims={"x": _BIG}),
    "S-54": Case(metadata={"pushed_authorization_request_endpoint": lambda provider: provider.url("/par")}),
    "S-54 fails": Case(
        metadata={"pushed_authorization_request_endpoint": lambda provider: provider.url("/par")},
        at={"/par": answer(500, b'{"error":"server_error"}')},
    ),
    "S-56 once": Case(dpop_nonce="once"),
    "S-56 endless": Case(dpop_nonce="endless"),
    "S-60": Case(metadata={"device_authorization_endpoint": lambda provider: provider.url("/device")}),
    "S-60 no interval": Case(
        metadata={"device_authorization_endpoint": lambda provider: provider.url("/device")},
        device={"interval": OMIT},
    ),
    "S-60 no ID token": Case(
        metadata={"device_authorization_endpoint": lambda provider: provider.url("/device")},
        token={"id_token": OMIT},
    ),
    "S-61": Case(metadata=_REGISTERS),
    "S-61 redirect": Case(metadata=_REGISTERS, registration={"redirect_uris": ["https://evil.example/"]}),
    "S-61 auth": Case(
        metadata=_REGISTERS,
        registration={"token_endpoint_auth_method": "private_key_jwt", "client_secret": OMIT},
    ),
    "S-61 scope": Case(metadata=_REGISTERS, registration={"scope": "openid"}),
    "S-61 secret ends": Case(
        metadata=_REGISTERS,
        registration={
            "token_endpoint_auth_method": "client_secret_basic",
            "client_secret": "registered-secret",
            "client_secret_expires_at": lambda provider: int(time.time()) + 86_400,
        },
    ),
    "S-65": Case(
        userinfo={
            "name": "Al\r\n2026-11-20 CRITICAL forged\x1b[2J\u202eice",
            "preferred_username": "a\x1bl/../ice",
        }
    ),
}


class Misbehaving:
    """One provider. Thread-safe; `requests` in the order they came."""

    def __init__(
        self,
        case: str = "honest",
        *,
        lifetime: int = 3600,
        grace: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.case = CASES[case]
        self.lifetime = lifetime
        self.grace = grace
        self.requests: list[UnsavedGrant] = []
        self.person = {
            "sub": "subject-1", "name": "Alice", "preferred_username": "alice", "email": "alice@example.org"
        }  # fmt: skip
        self.signer: Signer = signer("RS256", "k1")
        self.access: set[str] = set()  # access tokens that work
        self.revoked: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}  # runs before an answer at a path, out of the lock
        self.after: dict[str, Callable[[], None]] = {}  # runs when an answer is made and not yet sent
        self.canary = ""  # part of every secret it gives
        self.mangle: Callable[[bytes], Behaviour] | None = (
            None  # what the next token answer looks like on the wire
        )
        self._codes: dict[str, dict[str, str]] = {}
        self._devices: dict[str, dict[str, str]] = {}
        self._pushed: dict[str, dict[str, str]] = {}
        self.live: dict[str, str] = {}  # refresh tokens that it takes -> family
        self._spent: dict[str, tuple[str, float]] = {}
        self._nonces: dict[str, str] = {}  # family -> nonce of its sign-in
        self._dead: set[str] = set()
        self._next: dict[str, list[Behaviour]] = {}
        self._guard = threading.RLock()
        self._server = RawServer(self._serve, tls=tls)
        self.issuer = self._server.url("").rstrip("/")

    def __enter__(self) -> Misbehaving:
        self._server.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self._server.__exit__(*what)

    # --- for tests ------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return self.issuer + path

    def become(self, case: str) -> None:
        """From the next request on."""
        self.case = CASES[case]

    def next(self, path: str, *behaviours: Behaviour) -> None:
        """The next answers at `path` are these."""
        with self._guard:
            self._next.setdefault(path, []).extend(behaviours)

    def lose(self, path: str, *, answers: int = 1) -> None:
        """The next requests at `path` are carried out, and their answers never arrive."""

        def lost(talk: Talk) -> None:
            self.carry_out(path, talk.request)

        self.next(path, *[lost] * answers)

    def carry_out(self, path: str, request: UnsavedGrant) -> Behaviour:
        """Do what the request asks for, as always; the answer has not been sent yet."""
        with self._guard:
            return self._answer(path, request)

    def paths(self, since: int = 0) -> list[str]:
        with self._guard:
            return [urlsplit(each.target).path for each in self.requests[since:]]

    def count(self, path: str) -> int:
        return self.paths().count(path)

    def forms(self, path: str) -> list[dict[str, str]]:
        with self._guard:
            return [
                dict(parse_qsl(each.body.decode()))
                for each in self.requests
                if urlsplit(each.target).path == path
            ]

    def renewals(self) -> list[str]:
        """The refresh tokens that were sent, in order."""
        return [
            form["refresh_token"]
            for form in self.forms("/token")
            if form.get("grant_type") == "refresh_token"
        ]

    def spent(self) -> int:
        """How many refresh tokens were taken and replaced."""
        with self._guard:
            return len(self._spent)

    def knows(self, refresh: str) -> bool:
        """Whether this refresh token would be taken now, and its family has not ended."""
        with self._guard:
            return self.live.get(refresh, "") not in {"", *self._dead}

    def rotate_key(self, kid: str = "k2") -> None:
        self.signer = signer("RS256", kid, number=2)

    def end_grants(self) -> None:
        """The person revoked the app at the provider."""
        with self._guard:
            self._dead |= set(self.live.values())
            self.access.clear()

    # --- serving --------------------------------------------------------------------------------------------

    def _serve(self, talk: Talk) -> None:
        request = talk.request
        path = urlsplit(request.target).path
        with self._guard:
            self.requests.append(request)
        if path in self.before:
            self.before[path]()
        with self._guard:
            queue = self._next.get(path)
            behaviour = queue.pop(0) if queue else self.case.at.get(path)
            if behaviour is None:
                behaviour = self._answer(path, request)
        if path in self.after:
            self.after[path]()
        behaviour(talk)

    def _answer(self, path: str, request: UnsavedGrant) -> Behaviour:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        query = dict(parse_qsl(urlsplit(request.target).query))
        challenge = self._challenge(path, request)
        if challenge is not None:
            return challenge
        match path:
            case "/.well-known/openid-configuration":
                return self._json(self._metadata())
            case "/authorize":
                return self._authorize(query)
            case "/par":
                name = f"urn:pushed:{secrets.token_hex(8)}"
                self._pushed[name] = form
                return self._json({"request_uri": name, "expires_in": 60}, 201)
            case "/token":
                return self._token(form, request)
            case "/device":
                return self._device(form)
            case "/register":
                asked = json.loads(request.body)
                issued = {**asked, "client_id": "app", "registration_access_token": f"manage-{self.canary}"}
                issued |= {"registration_client_uri": self.url("/register/app")}
                return self._json(self._laid(issued, self.case.registration), 201)
            case "/register/app":
                return answer(204, b"")
            case "/jwks":
                keys = [self.signer.jwk] if self.case.jwks is None else self.case.jwks(self)
                return self._json({"keys": keys})
            case "/userinfo":
                return self._userinfo(request)
            case "/revoke":
                return self._revoke(form.get("token", ""))
        return self._json({"error": "not_found"}, 404)

    def _device(self, form: dict[str, str]) -> Behaviour:
        code = f"device-{self.canary}{secrets.token_hex(8)}"
        self._devices[code] = form
        honest = {
            "device_code": code, "user_code": "ABCD-EFGH", "verification_uri": self.url("/enter"),
            "expires_in": 600, "interval": 7,
        }  # fmt: skip
        return self._json(self._laid(honest, self.case.device))

    def _userinfo(self, request: UnsavedGrant) -> Behaviour:
        token = request.headers.get("authorization", "").partition(" ")[2]
        if token not in self.access:
            return self._json({"error": "invalid_token"}, 401)
        return self._json(self._laid({**self.person}, self.case.userinfo))

    def _revoke(self, token: str) -> Behaviour:
        self.revoked.append(token)
        family = self.live.pop(token, None)
        if family:
            self._dead.add(family)
        return self._json({})

    def _metadata(self) -> dict[str, Any]:
        honest = {
            "issuer": self.issuer,
            "authorization_endpoint": self.url("/authorize"),
            "token_endpoint": self.url("/token"),
            "userinfo_endpoint": self.url("/userinfo"),
            "jwks_uri": self.url("/jwks"),
            "revocation_endpoint": self.url("/revoke"),
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "authorization_response_iss_parameter_supported": True,
        }
        return self._laid(honest, self.case.metadata)

    def _authorize(self, query: dict[str, str]) -> Behaviour:
        asked = self._pushed.pop(query.get("request_uri", ""), query)
        code = f"code-{self.canary}{secrets.token_hex(8)}"
        self._codes[code] = asked
        sent = self._laid(
            {"code": code, "state": asked.get("state", ""), "iss": self.issuer}, self.case.callback
        )
        return redirect(302, f"{asked['redirect_uri']}?{urlencode(sent)}{self.case.raw_callback}")

    def _token(self, form: dict[str, str], request: UnsavedGrant) -> Behaviour:
        if form.get("grant_type") == "refresh_token":
            return self._renew(form, "dpop" in request.headers)
        if "device_code" in form:
            begun = self._devices.pop(form["device_code"], None)
            if begun is None:
                return self._json({"error": "invalid_grant"}, 400)
            family = secrets.token_hex(8)
            self._nonces[family] = ""
            tokens = self._tokens(family, begun.get("scope", ""), self.case.claims, False)
            return self._given(self._laid(tokens, self.case.token))
        asked = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or asked.get("code_challenge") != made
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return self._json({"error": "invalid_grant"}, 400)
        family = secrets.token_hex(8)
        self._nonces[family] = asked.get("nonce", "")
        body = self._tokens(family, asked.get("scope", ""), self.case.claims, "dpop" in request.headers)
        return self._given(self._laid(body, self.case.token))

    def _given(self, body: dict[str, Any]) -> Behaviour:
        mangle, self.mangle = self.mangle, None
        return self._json(body) if mangle is None else mangle(json.dumps(body).encode())

    def _renew(self, form: dict[str, str], bound: bool) -> Behaviour:
        sent = form["refresh_token"]
        family = self.live.pop(sent, None)
        if family is None and sent in self._spent:
            family, when = self._spent[sent]
            if time.monotonic() - when > self.grace:
                self._dead.add(family)
            else:
                # Within its grace a spent token is taken once more, and what it gave the first time is void.
                for other in [token for token, whose in self.live.items() if whose == family]:
                    del self.live[other]
        if family is None or family in self._dead:
            return self._json({"error": "invalid_grant"}, 400)
        self._spent.setdefault(sent, (family, time.monotonic()))
        body = self._tokens(family, "openid profile email", self.case.renewed_claims, bound)
        laid = self._laid(body, self.case.renewal)
        if not laid.get("refresh_token"):
            self.live.pop(body["refresh_token"])
            self.live[sent] = family
        return self._given(laid)

    def _tokens(self, family: str, scope: str, changes: Mapping[str, Any], bound: bool) -> dict[str, Any]:
        access, refresh = (f"{kind}-{self.canary}{secrets.token_hex(8)}" for kind in ("access", "refresh"))
        self.access.add(access)
        self.live[refresh] = family
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": "app", "sub": self.person["sub"], "iat": now, "exp": now + 300,
            "at_hash": half_hash(access), **({"nonce": self._nonces[family]} if self._nonces[family] else {}),
        }  # fmt: skip
        claims = self._laid(claims, changes)
        header = {"typ": "JWT", "alg": "RS256", "kid": self.signer.kid, **self.case.header}
        if self.case.sign is not None:
            id_token = self.case.sign(self, header, claims)
        else:
            id_token = self.signer.sign(claims, **{k: v for k, v in header.items() if k != "typ"})
        return {
            "access_token": access,
            "refresh_token": refresh,
            "id_token": id_token,
            "token_type": "DPoP" if bound else "Bearer",
            "expires_in": self.lifetime,
            "scope": scope,
        }

    def _challenge(self, path: str, request: UnsavedGrant) -> Behaviour | None:
        """RFC 9449 §8 and §9: a proof without our nonce is sent back once, or for ever."""
        kind, proof = self.case.dpop_nonce, request.headers.get("dpop")
        if kind is None or proof is None or path not in ("/token", "/userinfo"):
            return None
        claims = json.loads(base64.urlsafe_b64decode(proof.split(".")[1] + "=="))
        if kind == "once" and claims.get("nonce") == "nonce-1":
            return None
        head = {"DPoP-Nonce": "nonce-1" if kind == "once" else secrets.token_hex(4)}
        if path == "/token":
            return answer(400, b'{"error":"use_dpop_nonce"}', head)
        return answer(401, b"{}", head | {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"'})

    def _laid(self, honest: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            **honest,
            **{name: value(self) if callable(value) else value for name, value in over.items()},
        }
        return {name: value for name, value in found.items() if value is not OMIT}

    def _json(self, body: Any, status: int = 200) -> Behaviour:
        return answer(status, json.dumps(body).encode(), {"Cache-Control": "no-store"})
