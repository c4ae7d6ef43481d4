"""`keyfob connect` and `reconnect`: what they ask of the service, what they print meanwhile, where secrets
come from. The real sign-in runs, over a provider's server and a browser that answer at once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.adapters.system.browser import check_address
from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong
from keyfob.core.http import Request, Response
from keyfob.core.provider import RedirectProfile
from keyfob.core.secret import Secret
from keyfob.core.words import KEEPER_ROLE, PasteForm
from keyfob.engine import Engine
from keyfob.protocol.effects import Expectation
from keyfob.service.accounts.views import SignInRequest
from support.cli_run import opens, run
from support.fake_ports import NOW, FakeListener, ScriptedTransport
from support.running import Ran
from support.sample_engine import sample_engine
from support.samples import view

ALICE = view("github", "GitHub", "alice", name="Alice", subject="1", expires_at=NOW + timedelta(hours=8))
TOKENS: Mapping[str, Any] = {
    "access_token": "canary-access",
    "token_type": "bearer",
    "refresh_token": "canary-refresh",
    "expires_in": 28_800,
}


@dataclass
class World:
    """A provider's server, a browser and its way back. `came_back`: what the browser brings, if it comes."""

    came_back: dict[str, str] = field(default_factory=lambda: {"code": "canary-code"})
    has_browser: bool = True
    tokens: dict[str, Any] = field(default_factory=lambda: dict(TOKENS))
    opened: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        body: Mapping[str, Any] = self.tokens
        if request.purpose == "whoami":
            body = {
                "id": 1,
                "login": "alice",
                "name": "Alice",
                "username": "alice",
                "url": "https://a.example",
            }
        elif request.url.endswith("/login/device/code"):
            body = {
                "device_code": "canary-device",
                "user_code": "WDJB-\x1b[2JMJHT",
                "verification_uri": "https://github.com/login/device",
                "expires_in": 900,
                "interval": 1,
            }
        return Response(200, {"content-type": "application/json"}, json.dumps(body).encode(), NOW)

    def open_browser(self, url: str, plain_host: str | None = None) -> None:
        check_address(url, plain_host)
        if not self.has_browser:
            raise SettingWrong("No browser could be opened", code="browser_failed")
        self.opened.append(url)

    def close(self) -> None:
        """No listener stays open."""

    def bind(self, profile: RedirectProfile, *, setting_port: int) -> FakeListener:
        return _Returning(
            f"http://{profile.host}:{setting_port}{profile.path}", profile.paste, self.came_back
        )


class _Returning(FakeListener):
    """The browser is back, or the time is over, as soon as it is expected."""

    def __init__(self, redirect_uri: str, paste: PasteForm | None, came_back: Mapping[str, str]) -> None:
        super().__init__(redirect_uri, paste)
        self._came_back = came_back

    def expect(self, expectation: Expectation) -> None:
        super().expect(expectation)
        if self._came_back:
            query = urlencode({**self._came_back, "state": expectation.state.reveal()})
            self.visit(f"{self.redirect_uri}?{query}")
        else:
            self.time_out()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def begin(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What was asked of the service."""
    begin = Mock(wraps=engine.sign_in.begin)
    monkeypatch.setattr(engine.sign_in, "begin", begin)
    return begin


@pytest.fixture
def engine(tmp_path: Path, world: World) -> Engine:
    return of(tmp_path, world)


def of(folder: Path, world: World, *accounts: AccountView) -> Engine:
    return sample_engine(
        folder,
        accounts,
        transport=ScriptedTransport(world.answer),
        listeners=world,
        browser=world.open_browser,
        environment={},
    )


def call(engine: Engine, *argv: str, stdin: str = "") -> Ran:
    return run(argv, opens(engine), stdin=stdin, now=lambda: NOW)


CONNECT = ("connect", "github", "--client-id", "cid", "--method", "oauth")
DEVICE = ("connect", "github", "--client-id", "cid")


def test_what_was_given_is_what_is_asked(engine: Engine, begin: Mock) -> None:
    ran = call(
        engine,
        "connect", "mastodon", "--label", "work", "--scope", "read", "--scope", "write", "--handle", "@a",
        "--input", "instance=social.example", "--client-id", "cid", "--timeout", "30", "--no-browser",
        "--client-secret-stdin", stdin="canary\n",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    begin.assert_called_once_with(
        SignInRequest(
            provider="mastodon",
            label="work",
            scopes=("read", "write"),
            inputs={"instance": "social.example", "handle": "@a"},
            client_id="cid",
            client_secret=Secret("canary"),
            timeout=30.0,
            open_browser=False,
        )
    )
    assert ran.out == "Connected as alice: mastodon/work\n"
    assert "  https://social.example/oauth/authorize?" in ran.err
    assert "scope=read%3Aaccounts+read+write" in ran.err, "besides the preset's own"
    assert "canary" not in ran.out + ran.err


def scope_in(address: str) -> list[str]:
    return parse_qs(urlsplit(address).query)["scope"][0].split()


@pytest.mark.parametrize(
    ("argv", "scopes"),
    [
        ((), ["read:user", "user:email", "repo"]),
        (("--access", "packages", "--access", "gists"), ["read:user", "user:email", "read:packages", "gist"]),
        (("--scope", "admin:org"), ["read:user", "user:email", "repo", "admin:org"]),
        (("--only-scope", "gist"), ["gist"]),
    ],
)
def test_access_and_scopes_are_asked_for(
    engine: Engine, world: World, argv: Sequence[str], scopes: list[str]
) -> None:
    ran = call(engine, *CONNECT, *argv)
    assert ran.code == 0, ran.err
    assert scope_in(world.opened[0]) == scopes


def test_access_that_the_provider_does_not_offer_is_a_usage_error(engine: Engine, world: World) -> None:
    ran = call(engine, *CONNECT, "--access", "mail")
    assert ran.code == 2
    assert "GitHub has no access called mail. Choose one of the provider's: repo, packages," in ran.err
    ran = call(engine, *CONNECT, "--access", "repo", "--only-scope", "gist")
    assert (ran.code, world.opened) == (2, [])


def test_asking_for_more_keeps_what_the_account_has(engine: Engine, world: World) -> None:
    world.tokens["scope"] = "repo,user:email,read:user"
    assert call(engine, *CONNECT).code == 0
    (view,) = engine.accounts.views()
    assert view.access is not None
    assert [each.id for each in view.access] == ["repo"]
    allowed, world.came_back = world.came_back, {"error": "access_denied"}
    assert call(engine, "reconnect", "github", "--access", "gists").code == 6
    (same,) = engine.accounts.views()
    assert same == view, "the old sign-in stands until the new one works"
    world.came_back = allowed
    world.tokens["scope"] = "repo,user:email,read:user,gist"
    assert call(engine, "reconnect", "github", "--access", "gists").code == 0
    assert scope_in(world.opened[-1]) == ["read:user", "user:email", "repo", "gist"]
    (more,) = engine.accounts.views()
    assert more.to_json()["access"] == [
        {"id": "repo", "title": "Read and write your repositories, private ones too"},
        {"id": "gists", "title": "Create and change gists"},
    ]


def test_the_end_is_reported_and_json_is_the_account(engine: Engine) -> None:
    ran = call(engine, *CONNECT)
    assert ran.out == "Connected as Alice: github/alice\n"
    assert "Keyfob renews the token when a tool asks for it. To keep it fresh, run: keyfob agent" in ran.err
    with engine.locks.hold(KEEPER_ROLE, timeout=timedelta(0)):  # as if an agent was running
        ran = call(engine, *CONNECT)
    assert f"Next renewal: {(NOW + timedelta(hours=7, minutes=49)).astimezone():%H:%M}." in ran.err
    document = json.loads(call(engine, *CONNECT, "--json").out)
    (account,) = engine.accounts.views()
    assert document == account.to_json()


def test_each_step_is_shown_once_on_stderr(engine: Engine, world: World) -> None:
    ran = call(engine, *CONNECT)
    assert ran.err.splitlines()[:-1] == [
        "Signing in at GitHub …",
        "Waiting for the browser at http://127.0.0.1:9876/callback",
        "Your browser is open. Sign in there, then come back.",
        "Checking who signed in …",
        "Saving to the keychain …",
    ]
    (address,) = world.opened
    assert "state=" in address
    assert "state=" not in ran.err, "the address holds the state: it is shown only if the user must open it"


@pytest.mark.parametrize(("argv", "has_browser"), [((), False), (("--no-browser",), True)])
def test_without_a_browser_the_address_is_shown(
    engine: Engine, world: World, argv: Sequence[str], has_browser: bool
) -> None:
    world.has_browser = has_browser
    ran = call(engine, *CONNECT, *argv)
    assert world.opened == []
    assert "\n  https://github.com/login/oauth/authorize?" in ran.err
    assert ("Keyfob could not open a browser." in ran.err) is not has_browser
    assert "paste the address" in ran.err
    assert "github.com" not in ran.out


def test_a_device_code_is_shown_with_its_address(engine: Engine) -> None:
    ran = call(engine, *DEVICE)
    assert ran.code == 0, ran.err
    assert "Open  https://github.com/login/device\nEnter WDJB-\\x1b[2JMJHT\n" in ran.err


def test_scopes_not_granted_are_shown(engine: Engine, world: World) -> None:
    world.tokens["scope"] = "user:email"
    ran = call(engine, *CONNECT, "--scope", "user:email", "--scope", "admin")
    assert "Requested but not granted: admin" in ran.err


@pytest.mark.parametrize(
    ("came_back", "code", "argv"),
    [({"error": "access_denied"}, "declined", ()), ({}, "timed_out", ())],
)
def test_a_failed_sign_in_leaves_stdout_empty(
    engine: Engine, world: World, came_back: dict[str, str], code: str, argv: Sequence[str]
) -> None:
    world.came_back = came_back
    ran = call(engine, *CONNECT, *argv, "--json")
    assert (ran.code, ran.out, json.loads(ran.last)["code"]) == (6, "", code)
    assert engine.accounts.views() == []


def test_an_api_key_comes_from_stdin(engine: Engine, begin: Mock) -> None:
    ran = call(engine, "connect", "openai-api", "--api-key-stdin", stdin="sk-canary-key\n")
    assert ran.code == 0, ran.err
    (request,) = begin.call_args.args
    assert (request.method, request.api_key) == ("api_key", Secret("sk-canary-key"))
    missing = call(engine, "connect", "claude")
    assert missing.code == 2
    assert missing.last == "keyfob: Claude needs an API key. Pipe it in and add --api-key-stdin."
    assert call(engine, "connect", "claude", "--api-key-stdin", stdin="\n").code == 2


def test_a_client_secret_belongs_to_the_client_that_keyfob_knows(engine: Engine, begin: Mock) -> None:
    provider = engine.providers.get("gitlab")
    engine.clients.keep(provider, {"instance": "gitlab.com"}, "my-app", None)
    connect = ("connect", "gitlab", "--method", "oauth")
    ran = call(engine, *connect, "--client-secret-stdin", stdin="canary-secret\n")
    assert ran.code == 0, ran.err
    (request,) = begin.call_args.args
    assert (request.client_id, request.client_secret) == ("my-app", Secret("canary-secret"))
    assert engine.accounts.resolve("gitlab").account.pin.client_auth == "client_secret_post"
    again = call(engine, "reconnect", "gitlab", "--client-secret-stdin", stdin="canary-other\n")
    assert again.code == 0, again.err
    (request,) = begin.call_args.args
    assert (request.client_id, request.client_secret) == ("my-app", Secret("canary-other"))


def test_a_client_secret_without_a_client_is_refused_with_what_to_add(engine: Engine, begin: Mock) -> None:
    ran = call(engine, "connect", "github", "--client-secret-stdin", stdin="canary-secret\n")
    assert (ran.code, begin.called) == (2, False)
    assert "has no client id for GitHub. Add --client-id with the client id" in ran.last


TWO_PARTS = """
id = "two"
title = "Two"
methods = ["api_key"]

[api_key.api]
base = "https://api.two.example"
placement = "header"
name = "X-Key"

[api_key.api.second]
title = "Application key"
name = "X-App"

[api_key.identity]
url = "https://api.two.example/me"
map = { subject = "id" }
"""


@pytest.mark.parametrize("stdin", ["canary-first\ncanary-second\n", "canary-first canary-second\n"])
def test_a_key_of_two_parts_comes_from_stdin(engine: Engine, tmp_path: Path, stdin: str) -> None:
    folder = tmp_path / "home" / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "two.toml").write_text(TWO_PARTS)
    assert isinstance(engine.transport, ScriptedTransport)
    asked = engine.transport.requests
    half = call(engine, "connect", "two", "--api-key-stdin", stdin="canary-first\n")
    assert (half.code, asked) == (2, [])
    ran = call(engine, "connect", "two", "--api-key-stdin", stdin=stdin)
    assert ran.code == 0, ran.err
    assert asked[-1].headers["X-Key"] == "canary-first"
    assert asked[-1].headers["X-App"] == "canary-second"
    printed = call(engine, "token", "two").out
    assert printed == "canary-first canary-second\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["connect", "github", "--client-secret-stdin"],
        ["connect", "claude", "--api-key-stdin", "--client-id", "x", "--client-secret-stdin"],
        ["connect", "github", "--method", "oauth", "--api-key-stdin"],
        ["connect", "claude", "--api-key-stdin", "--password-stdin"],
        ["connect", "github", "--input", "nonsense"],
        ["connect", "github", "--timeout", "0"],
        ["connect", "github", "--method", "telepathy"],
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_begins(
    engine: Engine, begin: Mock, argv: list[str]
) -> None:
    ran = call(engine, *argv, stdin="canary\ncanary\n")
    assert (ran.code, ran.out) == (2, "")
    begin.assert_not_called()


class TestAConnectedAccount:
    @pytest.fixture
    def engine(self, tmp_path: Path, world: World) -> Engine:
        return of(tmp_path, world, ALICE)

    def test_reconnecting_keeps_the_method_unless_another_is_named(self, engine: Engine, begin: Mock) -> None:
        ran = call(engine, "reconnect", "github/alice")
        assert ran.code == 0, ran.err
        (request,) = begin.call_args.args
        assert (request.account, request.method, request.switch_method) == (ALICE.key, None, False)
        ran = call(
            engine,
            "reconnect",
            "github/alice",
            "--method",
            "api_key",
            "--api-key-stdin",
            stdin="ghp_canary-key\n",
        )
        assert ran.out == "Signed in again as Alice: github/alice\n"
        (request,) = begin.call_args.args
        assert (request.method, request.switch_method, request.api_key) == (
            "api_key",
            True,
            Secret("ghp_canary-key"),
        )

    def test_a_label_that_is_not_used_is_not_passed_over_in_silence(self, engine: Engine) -> None:
        """The person was connected already: the account keeps the id that tools may ask for."""
        known = call(engine, *CONNECT, "--label", "Other one")
        assert known.code == 0, known.err
        assert "already connected as github/alice, so Keyfob did not use the label Other one" in known.err
        assert known.err.endswith("keyfob rename github/alice other-one\n")


def test_a_label_that_is_used_needs_no_words(engine: Engine) -> None:
    assert "label" not in call(engine, *CONNECT, "--label", "Alice").err


SERVICE = """
id = "svc"
title = "Svc"
methods = ["oauth", "client_credentials"]

[policy]
client_id = "user"
register_at = "https://svc.example/apps"

[client]
auth = "client_secret_basic"
secret = "optional"

[endpoints]
authorization_endpoint = "https://svc.example/authorize"
token_endpoint = "https://svc.example/token"

[identity]
source = "request"
url = "https://svc.example/me"
map = { subject = "id" }
"""


def test_a_service_account_is_connected_with_its_id_and_secret(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "svc.toml").write_text(SERVICE)
    connect = ("connect", "svc", "--method", "client_credentials", "--scope", "read")
    missing = call(engine, *connect)
    assert missing.code == 8
    assert "needs the client id and the client secret of a service account" in missing.last
    ran = call(engine, *connect, "--client-id", "robot", "--client-secret-stdin", stdin="canary-secret\n")
    assert ran.code == 0, ran.err
    assert "svc/robot" in ran.out
    assert "Keyfob renews the token when a tool asks for it. To keep it fresh, run: keyfob agent" in ran.err
    assert isinstance(engine.transport, ScriptedTransport)
    (asked,) = engine.transport.requests
    assert b"grant_type=client_credentials" in (asked.body or b"")
    assert b"scope=read" in (asked.body or b"")
    again = call(engine, "reconnect", "svc", "--client-secret-stdin", stdin="canary-newer\n")
    assert again.code == 0, again.err
    encoded = engine.transport.requests[-1].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded) == b"robot:canary-newer"
    assert engine.clients.known(engine.providers.get("svc"), {}) is None
    (record,) = engine.store.records()
    assert call(engine, "disconnect", "svc").code == 0
    # S-85: the secret would get new tokens by itself.
    assert engine.vault.load(f"{record.account.key}/client") is None
    sent = len(engine.transport.requests)
    ended = call(engine, "reconnect", "svc")
    assert (ended.code, len(engine.transport.requests)) == (8, sent)
    assert call(engine, "reconnect", "svc", "--client-secret-stdin", stdin="canary-newer\n").code == 0


HOME = ("connect", "homeassistant", "--method", "api_key", "--api-key-stdin", "--input", "user=marianne")
SERVER = ("--input", "server=http://homeassistant.local:8123")


def test_s86_http_at_home_is_refused_until_it_is_allowed_for_that_host(engine: Engine) -> None:
    assert isinstance(engine.transport, ScriptedTransport)
    sent = engine.transport.requests
    refused = call(engine, *HOME, *SERVER, stdin="canary-key\n")
    assert (refused.code, sent) == (8, [])
    assert "anybody on your network can read the token" in refused.last
    assert refused.last.endswith("add --allow-http homeassistant.local:8123.")
    other = call(engine, *HOME, *SERVER, "--allow-http", "nas.local", stdin="canary-key\n")
    assert (other.code, sent) == (8, [])
    unfit = call(engine, *HOME, *SERVER, "--allow-http", "example.org", stdin="canary-key\n")
    assert (unfit.code, sent) == (2, [])
    ran = call(engine, *HOME, *SERVER, "--allow-http", "homeassistant.local:8123", stdin="canary-key\n")
    assert ran.code == 0, ran.err
    assert {(request.url, request.plain_host) for request in sent} == {
        ("http://homeassistant.local:8123/api/config", "homeassistant.local:8123")
    }
    account = engine.accounts.view("homeassistant")
    assert account.to_json()["unencrypted"]
    assert "unencrypted (http), on your own network" in call(engine, "status", "homeassistant").out
    sent.clear()
    assert engine.accounts.test("homeassistant").ok
    assert call(engine, "request", "homeassistant", "GET", "/states").code == 0
    assert call(engine, "request", "homeassistant", "GET", "http://nas.local:8123/x").code == 8
    assert call(engine, "request", "homeassistant", "GET", "http://homeassistant.local/x").code == 8
    assert {request.plain_host for request in sent} == {"homeassistant.local:8123"}
    again = ("reconnect", "homeassistant", "--api-key-stdin")
    assert call(engine, *again, stdin="canary-2\n").code == 0
    assert engine.accounts.view("homeassistant").unencrypted
    safe = ("--input", "server=https://homeassistant.local:8123")
    assert call(engine, *again, *safe, stdin="canary-3\n").code == 0
    assert (sent[-1].url, sent[-1].plain_host) == ("https://homeassistant.local:8123/api/config", None)
    assert not engine.accounts.view("homeassistant").unencrypted


def test_s86_a_browser_sign_in_and_its_renewal_stay_at_the_allowed_host(engine: Engine, world: World) -> None:
    connect = ("connect", "homeassistant", "--method", "oauth", "--input", "user=marianne", *SERVER)
    ran = call(engine, *connect, "--allow-http", "homeassistant.local:8123")
    assert ran.code == 0, ran.err
    (opened,) = world.opened
    assert opened.startswith("http://homeassistant.local:8123/auth/authorize?")
    assert call(engine, "renew", "homeassistant").code == 0
    assert call(engine, "disconnect", "homeassistant").code == 0
    assert isinstance(engine.transport, ScriptedTransport)
    sent = [(request.purpose, request.url, request.plain_host) for request in engine.transport.requests]
    home = "homeassistant.local:8123"
    assert sent == [
        ("token", f"http://{home}/auth/token", home),
        ("whoami", f"http://{home}/api/config", home),
        ("refresh", f"http://{home}/auth/token", home),
        ("revoke", f"http://{home}/auth/revoke", home),
    ]


def test_s86_an_account_with_tls_is_not_unencrypted(engine: Engine) -> None:
    server = ("--input", "server=home.example.org", "--allow-http", "nas.local")
    assert call(engine, *HOME, *server, stdin="canary-key\n").code == 0
    assert engine.accounts.resolve("homeassistant").account.pin.plain_host is None
    assert not engine.accounts.view("homeassistant").unencrypted
