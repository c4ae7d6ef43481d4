"""`/decide` by itself: what it believes, what it answers, and that it looks nothing up twice."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry, Counter

from keyfob.core.errors import SettingWrong, Transient
from keyfob.core.secret import Secret
from keyfob.gateway.auth.result import REFUSED, AuthProvider, AuthResult
from keyfob.gateway.engine_secret import EngineSecret, make_secret, read_secret
from keyfob.gateway.grants import Grant
from keyfob.gateway.proxy.callers import Callers
from keyfob.gateway.proxy.credentials import AccountCredentials
from keyfob.gateway.proxy.decide import Decide
from keyfob.gateway.proxy.decisions import ActiveGrants, Decisions
from keyfob.service.accounts.signer import SignedRequest, SignRequest

BASE = "https://api.example.org/v1"
SECRET = "0123456789abcdef" * 4


class People(AuthProvider):
    def __init__(self) -> None:
        self.fails = False

    async def authenticate(self, token: str) -> AuthResult:
        if self.fails:
            raise Transient("The database cannot be reached")
        return AuthResult(True, user_id="alice", key_id="k1") if token == "right" else REFUSED

    async def validate_token(self, token: str) -> bool:
        return token == "right"


class OneSigner:
    """Signs for one account, and counts."""

    def __init__(self, expires_at: datetime | None = None, *, dpop: bool = False, query: str = "") -> None:
        self.expires_at, self.dpop, self.query = expires_at, dpop, query
        self.calls: list[SignRequest] = []

    def sign(self, ref: str, wanted: SignRequest, *, for_tool: bool) -> SignedRequest:
        assert for_tool
        self.calls.append(wanted)
        headers = {"Authorization": "Bearer the-token", "X-Version": "2"}
        if self.dpop:
            headers["DPoP"] = f"proof of {wanted.method} {wanted.url}"
        absent = ("account-id",) if self.dpop else ("account-id", "DPoP")
        return SignedRequest(
            ref, BASE + wanted.url + self.query, headers, Secret("the-token"), self.expires_at, absent
        )


class Known(ActiveGrants):
    def __init__(self, *known: Grant) -> None:
        super().__init__(None)
        self.known = list(known)

    async def now(self, known_for: float = 0) -> list[Grant]:
        return self.known


GRANT = Grant("g1", "shop/me", "key:k1", "bot", methods=("GET",), paths=("/a/**",))


class Server:
    def __init__(self, folder: Path, signer: OneSigner | None = None, grant: Grant = GRANT) -> None:
        self.file = folder / "engine.env"
        self.file.write_text(f"KEYFOB_ENGINE_SECRET={SECRET}\n")
        self.file.chmod(0o600)
        self.signer = signer or OneSigner()
        self.people = People()
        refused = Counter("refused", "refused", ["reason"], registry=CollectorRegistry())
        self.decide = Decide(
            Callers(self.people),
            Decisions(Known(grant), None, refused),
            AccountCredentials(lambda _tenant: self.signer),  # type: ignore[arg-type, return-value]
            EngineSecret(self.file),
        )

    def ask(self, path: str = "/decide", method: str = "GET", **headers: str) -> web.Response:
        sent = {
            "X-Keyfob-Engine": SECRET, "X-Keyfob-Account": "shop/me", "X-Keyfob-Upstream": BASE,
            "Authorization": "Bearer right",
        } | {name.replace("_", "-"): value for name, value in headers.items()}  # fmt: skip
        request = make_mocked_request(method, path, {name: value for name, value in sent.items() if value})

        async def run() -> web.StreamResponse:
            return await self.decide(request, None)

        found = asyncio.run(run())
        assert isinstance(found, web.Response)
        return found

    def nginx(self, target: str = "/shop/me/a/b?q=1", method: str = "GET", **headers: str) -> web.Response:
        return self.ask(**{"X_Original_Method": method, "X_Original_URI": target, **headers})

    def caddy(self, target: str = "/shop/me/a/b?q=1", method: str = "GET", **headers: str) -> web.Response:
        return self.ask(**{"X_Forwarded_Method": method, "X_Forwarded_Uri": target, **headers})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.delenv("KEYFOB_ENGINE_SECRET", raising=False)
    return Server(tmp_path)


def code(answer: web.Response) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)["code"]


@pytest.mark.parametrize("form", ["nginx", "caddy", "envoy"])
def test_the_headers_for_the_provider(server: Server, form: str) -> None:
    if form == "envoy":
        answer = server.ask("/decide/shop/me/a/b?q=1")
        assert answer.headers["X-Envoy-Auth-Headers-To-Remove"] == "account-id,DPoP"
    else:
        answer = getattr(server, form)()
        assert (answer.headers["account-id"], answer.headers["DPoP"]) == ("", ""), "Caddy needs each name"
    assert answer.status == 200
    assert answer.headers["Authorization"] == "Bearer the-token"
    assert answer.headers["X-Version"] == "2"
    assert answer.headers["X-Keyfob-Target"] == "/v1/a/b?q=1"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("form", ["nginx", "caddy"])
def test_what_is_refused(server: Server, form: str) -> None:
    ask = getattr(server, form)
    shown = (
        (lambda answer: int(answer.headers["X-Keyfob-Status"])) if form == "nginx" else (lambda a: a.status)
    )
    for target in ("/shop/me/a/%2e%2e/b", "/shop/me/a//b", "/shop/me/a%2fb", "/shop/x/../me/a", "shop/me/a"):
        assert shown(ask(target)) == 400, target
    assert shown(ask("/shop/you/a/b")) == 400, "the engine's route is for another account"
    assert (shown(ask("/shop/me/c")), code(ask("/shop/me/c"))) == (403, "not_granted")
    assert shown(ask(method="POST")) == 403
    assert shown(ask(method="CONNECT")) == 400
    assert shown(ask(Authorization="Bearer wrong")) == 401
    assert shown(ask(Authorization="")) == 401
    assert shown(ask(Origin="https://evil.example")) == 403
    assert shown(ask(Sec_Fetch_Site="cross-site")) == 403
    assert code(ask(X_Keyfob_Upstream="https://elsewhere.example")) == "engine_outdated"
    assert code(ask("/shop@other.example/me/a/b")) in ("engine_cannot", "not_granted")
    server.people.fails = True
    assert shown(ask()) == 503


def test_nginx_gets_401_and_403_alone_and_the_rest_in_headers(server: Server) -> None:
    refused = server.nginx("/shop/me/a//b")
    assert (refused.status, refused.headers["X-Keyfob-Status"]) == (403, "400")
    assert json.loads(refused.headers["X-Keyfob-Problem"])["code"] == "address_refused"
    assert "\n" not in refused.headers["X-Keyfob-Problem"]


def test_an_unclear_question_is_refused(server: Server) -> None:
    both = {"X_Original_Method": "GET", "X_Original_URI": "/shop/me/a/b"}
    for headers in (
        {},
        both | {"X_Forwarded_Uri": "/shop/me/a/c"},
        {"X_Original_URI": "/shop/me/a/b"},
        {"X_Forwarded_Method": "GET"},
    ):
        answer = server.ask(**headers)
        assert "Authorization" not in answer.headers
        assert code(answer) == "address_refused"


def test_s66_only_an_engine_of_this_computer_gets_an_answer(server: Server) -> None:
    for secret in ("", "guess", SECRET[:-1], SECRET + "0", "é" * 64):
        assert (server.nginx(X_Keyfob_Engine=secret).status, code(server.nginx(X_Keyfob_Engine=secret))) == (
            404,
            "not_found",
        )
    request = make_mocked_request("GET", "/decide", {"X-Keyfob-Engine": SECRET})
    far = request.clone(remote="192.0.2.7")
    assert server.decide.is_engine(request.clone(remote="127.0.0.1"))
    assert not server.decide.is_engine(far)


def test_the_secret_may_change_and_must_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYFOB_ENGINE_SECRET", raising=False)
    file = tmp_path / "engine.env"
    assert read_secret(file) is None
    made = make_secret(file)
    assert (make_secret(file), len(made), file.stat().st_mode & 0o777) == (made, 64, 0o600)
    assert EngineSecret(file).matches(made)
    assert not EngineSecret(file).matches("\udcff")  # a header that is not UTF-8
    file.chmod(0o644)
    with pytest.raises(SettingWrong, match="Other users can read"):
        read_secret(file)
    file.chmod(0o600)
    file.write_text("KEYFOB_ENGINE_SECRET=short\n")
    with pytest.raises(SettingWrong, match="at least 32"):
        read_secret(file)
    monkeypatch.setenv("KEYFOB_ENGINE_SECRET", "e" * 32)
    assert EngineSecret(file).matches("e" * 32)


def test_how_long_a_decision_holds(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for signer, grant, least, most in (
        (OneSigner(), GRANT, 3590, 3600),
        (OneSigner(now + timedelta(seconds=65)), GRANT, 55, 60),
        (OneSigner(), Grant("g", "shop/me", "key:k1", "b", until=now + timedelta(seconds=30)), 25, 30),
        (OneSigner(), Grant("g", "shop/me", "key:k1", "b", per_hour=5), 0, 0),
        (OneSigner(dpop=True), GRANT, 0, 0),
    ):
        answer = Server(tmp_path, signer, grant).nginx()
        assert least <= int(answer.headers["X-Keyfob-Fresh-For"]) <= most


def test_a_proof_is_made_for_each_decision(tmp_path: Path) -> None:
    server = Server(tmp_path, OneSigner(dpop=True))
    assert server.nginx("/shop/me/a/1").headers["DPoP"] == "proof of GET /a/1"
    assert server.caddy("/shop/me/a/2").headers["DPoP"] == "proof of GET /a/2"


def test_a_token_in_the_address_goes_where_the_engine_can_put_it(tmp_path: Path) -> None:
    server = Server(tmp_path, OneSigner(query="&key=the-token"))
    assert server.nginx().headers["X-Keyfob-Target"] == "/v1/a/b?q=1&key=the-token"
    refused = server.caddy()
    assert (refused.status, code(refused)) == (403, "engine_cannot")
    assert "the-token" not in str(refused.headers)


def test_decisions_come_from_memory(server: Server) -> None:
    """A hundred of them cost one look into the keychain."""
    for number in range(100):
        assert server.nginx(f"/shop/me/a/{number}").status == 200
    assert len(server.signer.calls) == 1


def test_many_at_once_look_into_the_keychain_once(tmp_path: Path) -> None:
    signer = OneSigner()

    def slow(ref: str, wanted: SignRequest, *, for_tool: bool) -> SignedRequest:
        time.sleep(0.1)
        return OneSigner.sign(signer, ref, wanted, for_tool=for_tool)

    credentials = AccountCredentials(lambda _: SimpleNamespace(sign=slow))  # type: ignore[arg-type, return-value]

    async def run() -> list[str]:
        asked = [credentials.sign("shop/me", "GET", f"/a/{number}") for number in range(20)]
        return [found.url for found in await asyncio.gather(*asked)]

    assert asyncio.run(run()) == [f"{BASE}/a/{number}" for number in range(20)]
    assert len(signer.calls) == 1
    credentials.close()


def test_each_of_many_at_once_learns_what_is_wrong(tmp_path: Path) -> None:
    def fails(ref: str, wanted: SignRequest, *, for_tool: bool) -> SignedRequest:
        raise Transient("The keychain does not answer")

    credentials = AccountCredentials(lambda _: SimpleNamespace(sign=fails))  # type: ignore[arg-type, return-value]

    async def run() -> list[Any]:
        asked = [credentials.sign("shop/me", "GET", f"/a/{number}") for number in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    assert [type(found) for found in asyncio.run(run())] == [Transient] * 5
    credentials.close()
