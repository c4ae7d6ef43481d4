"""The demo provider over its real port: what it promises apps and people."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import socket
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest

from keyfob.adapters.network.avatars import Avatars
from keyfob.adapters.network.transport import HttpTransport
from keyfob.core.errors import SettingWrong
from keyfob.core.provider import IdentitySource
from keyfob.core.secret import Secret
from keyfob.demo.clients import DemoClient
from keyfob.demo.scripted_browser import ScriptedBrowser
from keyfob.demo.server import DemoServer
from keyfob.demo.users import PEOPLE, portrait
from keyfob.protocol.identity import identity_in

pytestmark = pytest.mark.network
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2030, 5, 4, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class Callback:
    """An app's loopback callback: notes the query of each visit."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}/callback"
        self.visits: list[dict[str, str]] = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer:
                target = peer.recv(65536).split(b" ")[1].decode()
                query = parse_qs(urlsplit(target).query)
                self.visits.append({key: value[0] for key, value in query.items()})
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback")

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


class App:
    """A native app with PKCE, by hand, so that the test sees every step."""

    def __init__(self, server: DemoServer, callback: Callback, **client: str) -> None:
        self.server, self.callback = server, callback
        self.client = client or {"client_id": "keyfob-demo"}
        self.http = httpx.Client(base_url=server.issuer, trust_env=False)
        self.verifier = secrets.token_urlsafe(48)

    def url(self, **changes: str | None) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        params: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client["client_id"],
            "redirect_uri": self.callback.uri,
            "scope": "openid profile email offline_access",
            "state": "s-" + secrets.token_hex(4),
            "nonce": secrets.token_hex(8),
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        params |= changes
        return f"{self.server.issuer}/authorize?" + urlencode({k: v for k, v in params.items() if v})

    def code(self, person: str = "alice", **changes: str | None) -> str:
        ScriptedBrowser().sign_in(self.url(**changes), person)
        return self.callback.visits[-1]["code"]

    def exchange(self, code: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback.uri,
            "code_verifier": self.verifier,
        }
        return self.http.post("/token", data={**self.client, **form, **changes})

    def sign_in(self, person: str = "alice") -> dict[str, Any]:
        answer = self.exchange(self.code(person))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def renew(self, refresh_token: str) -> httpx.Response:
        return self.http.post(
            "/token",
            data={**self.client, "grant_type": "refresh_token", "refresh_token": refresh_token},
        )

    def userinfo(self, access_token: str) -> httpx.Response:
        return self.http.get("/userinfo", headers={"Authorization": f"Bearer {access_token}"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[DemoServer]:
    with DemoServer(tmp_path / "demo", port=0, clock=clock, device_interval=0) as running:
        yield running


@pytest.fixture
def callback() -> Iterator[Callback]:
    made = Callback()
    yield made
    made.close()


@pytest.fixture
def app(server: DemoServer, callback: Callback) -> Iterator[App]:
    made = App(server, callback)
    with made.http:
        yield made


def test_discovery_names_its_issuer_and_what_it_supports(app: App) -> None:
    told = app.http.get("/.well-known/openid-configuration").json()
    assert told["issuer"] == app.server.issuer
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"):
        assert told[name].startswith(app.server.issuer + "/")


def test_a_sign_in_gives_tokens_and_an_id_token_that_verifies(app: App, clock: Clock) -> None:
    code = app.code(nonce="n-1")
    assert app.callback.visits[-1]["iss"] == app.server.issuer  # RFC 9207
    answer = app.exchange(code)
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens["expires_in"] == 60
    assert tokens["token_type"] == "Bearer"
    header = jwt.get_unverified_header(tokens["id_token"])
    keys = {key["kid"]: key for key in app.http.get("/jwks").json()["keys"]}
    assert not any("d" in key for key in keys.values())
    claims = jwt.decode(
        tokens["id_token"],
        jwt.PyJWK(keys[header["kid"]]).key,
        algorithms=["RS256"],
        audience="keyfob-demo",
        issuer=app.server.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["sub"] == "248289761001"
    assert claims["nonce"] == "n-1"
    assert claims["iat"] == int(clock.at.timestamp())
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    told = app.userinfo(tokens["access_token"]).json()
    assert told == {
        "sub": "248289761001",
        "name": "Alice",
        "preferred_username": "alice",
        "picture": f"{app.server.issuer}/portraits/alice.png",
        "email": "alice@demo.example",
        "email_verified": True,
    }
    assert app.http.get("/portraits/alice.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
    ],
    ids=["none", "plain", "no method", "malformed"],
)
def test_pkce_by_s256_is_required(app: App, changes: dict[str, str | None]) -> None:
    ScriptedBrowser().get(app.url(state="st", **changes))
    assert app.callback.visits[-1]["error"] == "invalid_request"
    assert app.callback.visits[-1]["state"] == "st"
    assert app.callback.visits[-1]["iss"] == app.server.issuer


def test_the_verifier_must_fit(app: App) -> None:
    code = app.code()
    assert app.exchange(code, code_verifier="x" * 43).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:9876/other",
        "http://127.0.0.1/callback",
        "https://127.0.0.1:9876/callback",
        "http://example.org:9876/callback",
        "http://127.0.0.1:9876/callback#x",
        "http://a@127.0.0.1:9876/callback",
        "http://127.0.0.1:no/callback",
        "http://127.0.0.1:9876/callbäck",
    ],
)
def test_only_loopback_callbacks_are_taken(app: App, redirect_uri: str) -> None:
    page = ScriptedBrowser().get(app.url(redirect_uri=redirect_uri))
    assert page.status == 400
    assert urlsplit(page.url).path == "/authorize"


def test_denying_comes_back_as_access_denied(app: App) -> None:
    ScriptedBrowser().sign_in(app.url(state="st"), allow=False)
    assert app.callback.visits == [
        {
            "error": "access_denied",
            "error_description": app.callback.visits[0]["error_description"],
            "state": "st",
            "iss": app.server.issuer,
        }
    ]
    assert app.server.counters["denied"] == 1


def test_an_access_token_ends_when_it_said(app: App, clock: Clock) -> None:
    access = app.sign_in()["access_token"]
    clock.at += timedelta(seconds=59)
    assert app.userinfo(access).status_code == 200
    clock.at += timedelta(seconds=1)
    refused = app.userinfo(access)
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["www-authenticate"]


def test_renewal_rotates_and_a_spent_token_ends_the_family(app: App) -> None:
    first = app.sign_in()
    second = app.renew(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert app.userinfo(second["access_token"]).status_code == 200
    reuse = app.renew(first["refresh_token"])
    assert (reuse.status_code, reuse.json()["error"]) == (400, "invalid_grant")
    assert app.renew(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.userinfo(second["access_token"]).status_code == 401


def test_a_renewals_id_token_keeps_the_person_and_the_time_of_sign_in(app: App, clock: Clock) -> None:
    first = app.sign_in("bob")
    signed_in = jwt.decode(first["id_token"], options={"verify_signature": False})
    clock.at += timedelta(seconds=50)
    later = jwt.decode(
        app.renew(first["refresh_token"]).json()["id_token"], options={"verify_signature": False}
    )
    assert (later["sub"], later["auth_time"]) == ("248289761002", signed_in["auth_time"])
    assert "nonce" not in later
    assert later["iat"] == signed_in["iat"] + 50


def test_of_many_renewals_at_once_with_one_token_only_one_is_answered(app: App) -> None:
    refresh_token = app.sign_in()["refresh_token"]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(app.renew(refresh_token).status_code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [400] * 7


def test_without_rotation_the_refresh_token_stays(tmp_path: Path, callback: Callback) -> None:
    with DemoServer(tmp_path, port=0, rotate=False) as server:
        app = App(server, callback)
        with app.http:
            refresh_token = app.sign_in()["refresh_token"]
            answer = app.renew(refresh_token).json()
            assert "refresh_token" not in answer
            assert app.renew(refresh_token).status_code == 200


def test_a_code_used_twice_ends_the_grant(app: App) -> None:
    code = app.code()
    tokens = app.exchange(code).json()
    assert app.exchange(code).json()["error"] == "invalid_grant"
    assert app.userinfo(tokens["access_token"]).status_code == 401
    assert app.renew(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_lives_a_minute(app: App, clock: Clock) -> None:
    code = app.code()
    clock.at += timedelta(seconds=60)
    assert app.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", None])
def test_revoking_the_refresh_token_ends_the_grant_whatever_the_hint(app: App, hint: str | None) -> None:
    tokens = app.sign_in()
    form = {**app.client, "token": tokens["refresh_token"]} | ({"token_type_hint": hint} if hint else {})
    assert app.http.post("/revoke", data=form).status_code == 200
    assert app.userinfo(tokens["access_token"]).status_code == 401
    assert app.renew(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.http.post("/revoke", data=form).status_code == 200  # unknown now: still 200 (RFC 7009 §2.2)


def test_revoking_the_access_token_leaves_the_grant(app: App) -> None:
    tokens = app.sign_in()
    form = {**app.client, "token": tokens["access_token"]}
    assert app.http.post("/revoke", data=form).status_code == 200
    assert app.userinfo(tokens["access_token"]).status_code == 401
    assert app.renew(tokens["refresh_token"]).status_code == 200


def test_a_restart_keeps_grants_keys_and_nothing_readable(tmp_path: Path, callback: Callback) -> None:
    folder = tmp_path / "demo"
    with DemoServer(folder, port=0) as server:
        app = App(server, callback)
        with app.http:
            tokens = app.sign_in()
            keys = app.http.get("/jwks").json()
    port = int(server.issuer.rpartition(":")[2])
    with DemoServer(folder, port=port) as again:
        app = App(again, callback)
        with app.http:
            assert app.http.get("/jwks").json() == keys
            assert app.userinfo(tokens["access_token"]).status_code == 200
            assert app.renew(tokens["refresh_token"]).status_code == 200
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = file.read_text(encoding="utf-8")
        assert tokens["access_token"] not in text
        assert tokens["refresh_token"] not in text


def test_the_device_grant(app: App, clock: Clock) -> None:
    asked = app.http.post("/device_authorization", data={**app.client, "scope": "openid profile"}).json()
    poll = {**app.client, "grant_type": DEVICE, "device_code": asked["device_code"]}
    assert app.http.post("/token", data=poll).json()["error"] == "authorization_pending"
    page = ScriptedBrowser().sign_in(asked["verification_uri_complete"], "bob")
    assert "You are connected" in page.text
    clock.at += timedelta(seconds=6)
    tokens = app.http.post("/token", data=poll).json()
    assert app.userinfo(tokens["access_token"]).json()["name"] == "Bob"
    assert jwt.decode(tokens["id_token"], options={"verify_signature": False})["sub"] == "248289761002"
    assert app.http.post("/token", data=poll).status_code == 400  # single use
    assert app.renew(tokens["refresh_token"]).status_code == 200


def test_a_device_may_be_denied_expire_or_ask_too_often(
    tmp_path: Path, clock: Clock, callback: Callback
) -> None:
    with DemoServer(tmp_path, port=0, clock=clock) as server:
        app = App(server, callback)
        with app.http:

            def ask() -> tuple[dict[str, Any], dict[str, str]]:
                asked = app.http.post("/device_authorization", data=app.client).json()
                return asked, {**app.client, "grant_type": DEVICE, "device_code": asked["device_code"]}

            asked, poll = ask()
            assert asked["interval"] == 5
            assert app.http.post("/token", data=poll).json()["error"] == "authorization_pending"
            assert app.http.post("/token", data=poll).json()["error"] == "slow_down"
            typed = asked["user_code"].lower().replace("-", " ")
            ScriptedBrowser().sign_in(
                f"{server.issuer}/device?" + urlencode({"user_code": typed}), allow=False
            )
            assert app.http.post("/token", data=poll).json()["error"] == "access_denied"
            asked, poll = ask()
            clock.at += timedelta(seconds=600)
            assert app.http.post("/token", data=poll).json()["error"] == "expired_token"
            page = ScriptedBrowser().get(asked["verification_uri_complete"])
            assert "wrong, already used, or expired" in page.text


def test_a_confidential_client_must_show_its_secret(tmp_path: Path, callback: Callback) -> None:
    client = DemoClient("shop", "Shop", secret="s3cret", redirect_uris=(callback.uri,))
    with DemoServer(tmp_path, port=0, clients=(client,)) as server:
        app = App(server, callback, client_id="shop")
        with app.http:
            assert app.exchange(app.code()).json()["error"] == "invalid_client"
            assert app.exchange(app.code(), client_secret="wrong").json()["error"] == "invalid_client"
            assert app.exchange(app.code(), client_secret="s3cret").status_code == 200
            form = {
                "grant_type": "authorization_code",
                "code": app.code(),
                "redirect_uri": callback.uri,
                "code_verifier": app.verifier,
            }
            assert app.http.post("/token", data=form, auth=("shop", "s3cret")).status_code == 200


def test_signing_out_everywhere_ends_one_persons_grants(app: App) -> None:
    alice, bob = app.sign_in("alice"), app.sign_in("bob")
    app.server.revoke_everything("alice")
    assert app.renew(alice["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.renew(bob["refresh_token"]).status_code == 200


def test_the_playgrounds_buttons_do_as_they_say(app: App) -> None:
    tokens = app.sign_in()
    visitor = ScriptedBrowser()

    def press(action: str) -> None:
        page = visitor.get(app.server.issuer + "/")
        form = next(form for form in page.forms() if form.action == f"/playground/{action}")
        assert visitor.submit(page, form, ("press", "1")).status == 200

    press("expire")
    assert app.userinfo(tokens["access_token"]).status_code == 401
    press("down")
    down = app.renew(tokens["refresh_token"])
    assert (down.status_code, down.headers["retry-after"]) == (503, "5")
    assert app.http.get("/.well-known/openid-configuration").status_code == 503
    assert "This provider is down" in visitor.get(app.server.issuer + "/").text
    press("down")
    assert app.renew(tokens["refresh_token"]).status_code == 200
    press("lifetime")  # the first choice: ten seconds
    assert app.sign_in()["expires_in"] == 10
    press("revoke")  # the newest grant first
    press("revoke")
    assert app.renew(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_being_slow_delays_apps_and_not_the_pages(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyfob.demo.web.SLOW_SECONDS", 0.6)
    headers = {"Origin": app.server.issuer}
    app.http.post("/playground/slow", headers=headers)
    assert app.http.get("/jwks").elapsed.total_seconds() >= 0.6
    assert app.http.get("/").elapsed.total_seconds() < 0.6
    app.http.post("/playground/slow", headers=headers)
    assert app.http.get("/jwks").elapsed.total_seconds() < 0.6


def test_a_foreign_pages_form_presses_no_button(app: App) -> None:
    tokens = app.sign_in()
    before = app.server.counters["allowed"]
    for headers in (
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": app.server.issuer + "0"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ):
        for path in (
            "/playground/sign-out-everywhere",
            "/authorize?" + urlsplit(app.url()).query,
            "/sign-out",
        ):
            form = {"person": "alice", "decision": "allow"}
            assert app.http.post(path, data=form, headers=headers).status_code == 403
    assert app.server.counters["allowed"] == before
    assert app.renew(tokens["refresh_token"]).status_code == 200


def test_a_foreign_host_gets_nothing(app: App) -> None:
    for host in ("evil.example", "localhost:1", "127.0.0.1", ""):
        assert app.http.get("/", headers={"Host": host}).status_code == 400


def test_pages_cannot_be_framed_and_run_no_script(app: App) -> None:
    page = ScriptedBrowser().get(app.url())
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    # Browsers hold the redirect after "Allow" to form-action too.
    assert f"form-action 'self' {app.callback.uri.removesuffix('/callback')};" in policy
    assert "<script" not in page.text


def test_what_an_app_writes_into_the_address_is_not_markup(app: App) -> None:
    page = ScriptedBrowser().get(app.url(state='"><script>alert(1)</script>', login_hint='"><img src=x>'))
    assert "<script>alert" not in page.text
    assert "<img src=x>" not in page.text


def test_a_browser_that_is_signed_in_is_asked_for_consent_alone_and_may_sign_out(app: App) -> None:
    visitor = ScriptedBrowser()
    visitor.sign_in(app.url(), "alice")
    page = visitor.get(app.url())
    assert "Signed in as Alice" in page.text
    visitor.sign_in(app.url(), "bob")  # through "Not Alice?"
    assert (
        app.userinfo(app.exchange(app.callback.visits[-1]["code"]).json()["access_token"])
        .json()["sub"]
        .endswith("2")
    )
    leave = visitor.get(app.server.issuer + "/sign-out")
    visitor.submit(leave, leave.forms()[0], ("press", "1"))
    assert "Choose an account" in visitor.get(app.url()).text
    visitor.get(app.url(prompt="none"))
    assert app.callback.visits[-1]["error"] == "login_required"


def test_a_second_start_of_one_home_uses_the_first_and_anothers_is_an_error(
    server: DemoServer, app: App, tmp_path: Path
) -> None:
    port = int(server.issuer.rpartition(":")[2])
    tokens = app.sign_in()
    second = DemoServer(tmp_path / "demo", port=port).start()
    assert second.shared
    second.revoke_everything("alice")
    assert app.renew(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    second.stop()
    assert app.http.get("/jwks").status_code == 200
    with pytest.raises(SettingWrong, match="Another Keyfob's demo") as told:
        DemoServer(tmp_path / "elsewhere", port=port).start()
    assert told.value.code == "fixed_port_taken"


def test_stopping_frees_the_port(tmp_path: Path) -> None:
    server = DemoServer(tmp_path, port=0).start()
    port = int(server.issuer.rpartition(":")[2])
    server.stop()
    server.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_no_token_reaches_the_log_at_any_level(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = app.sign_in()
    tokens |= {"second": app.renew(tokens["refresh_token"]).json()["access_token"]}
    logged = json.dumps([record.getMessage() for record in caplog.records if record.name != "httpx"])
    for text in (tokens["access_token"], tokens["refresh_token"], tokens["second"], app.verifier):
        assert text not in logged


@pytest.mark.parametrize("person", ["alice", "bob"])
def test_its_people_have_pictures_that_keyfob_takes(app: App, tmp_path: Path, person: str) -> None:
    """By the rules for any provider's pictures: address, type and size."""
    claims = PEOPLE[person].claims(app.server.issuer, ("profile",))
    who = identity_in(IdentitySource(), claims, Secret("not sent"), "Demo", app.server.issuer)
    avatars = Avatars(tmp_path / "avatars", HttpTransport(lambda: datetime.now(UTC)))
    path = avatars.fetch(who.avatar_url)
    assert path is not None
    assert path.read_bytes() == portrait(PEOPLE[person])
    assert avatars.cached(who.avatar_url) == path
