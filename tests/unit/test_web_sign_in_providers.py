"""Web sign-in at providers that are not like the others: without a client, or with one they issue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.gateway.web import AppRegistration
from keyfob.gateway.web.cookies import SESSION
from support.loopback_api import Api, Seen, serving
from support.web_app import PUBLIC, Application

pytestmark = pytest.mark.network
CALLBACK = f"{PUBLIC}/sign-in/callback"
KEYS = """
extends = "openrouter"
id = "keys"
title = "Keys"
[endpoints]
authorization_endpoint = "{base}/auth"
token_endpoint = "{base}/keys"
[api]
base = "{base}"
[test]
url = "{base}/key"
[api_key.identity]
url = "{base}/key"
[formats]
openai_chat = "{base}"
anthropic_messages = "{base}"
"""
SOCIAL = """
extends = "mastodon"
id = "social"
title = "Social"
issuer = "{base}"
[[inputs]]
name = "instance"
title = "Instance"
kind = "host"
default = "social.example"
[endpoints]
authorization_endpoint = "{base}/oauth/authorize"
token_endpoint = "{base}/oauth/token"
revocation_endpoint = "{base}/oauth/revoke"
[api]
base = "{base}/api"
[identity]
url = "{base}/api/v1/accounts/verify_credentials"
"""


@pytest.fixture
def api() -> Iterator[Api]:
    yield from serving()


@pytest.fixture
def presets(tmp_path: Path, api: Api) -> Path:
    folder = tmp_path / "presets" / "providers"
    folder.mkdir(parents=True)
    for name, text in (("keys", KEYS), ("social", SOCIAL)):
        (folder / f"{name}.toml").write_text(text.format(base=api.base))
    return folder.parent


def as_json(status: int, body: object) -> tuple[int, dict[str, str], list[bytes]]:
    data = json.dumps(body).encode()
    return status, {"Content-Type": "application/json", "Content-Length": str(len(data))}, [data]


def test_a_provider_without_a_client_whose_state_is_in_the_path(
    api: Api, presets: Path, tmp_path: Path
) -> None:
    def answer(seen: Seen) -> tuple[int, dict[str, str], list[bytes]]:
        if seen.path == "/keys":
            return as_json(200, {"key": "sk-or-1", "user_id": "user_1"})
        return as_json(200, {"authorization": seen.headers.get("authorization")})

    api.answer = answer
    with Application(tmp_path / "web.db", AppRegistration("keys"), presets=presets) as app:
        browser, stranger = app.browser(), app.browser()
        address = urlsplit(browser.start("keys"))
        (back,) = parse_qs(address.query)["callback_url"]
        assert back.startswith(f"{CALLBACK}/")
        assert stranger.come_back(f"{back}?code=c").status_code == 400
        assert browser.come_back(f"{back[:-1]}?code=c").status_code == 400
        assert browser.come_back(f"{back}?code=c").status_code == 303
        assert browser.who()["subject"] == "user_1"
        assert browser.get("/api?path=/models").json() == {"authorization": "Bearer sk-or-1"}
        assert browser.come_back(f"{back}?code=c").status_code == 400


def test_the_application_registers_itself_once(api: Api, presets: Path, tmp_path: Path) -> None:
    registered: list[Seen] = []

    def answer(seen: Seen) -> tuple[int, dict[str, str], list[bytes]]:
        if seen.path == "/api/v1/apps":
            registered.append(seen)
            client = f"client-{len(registered)}"
            return as_json(
                200, {"client_id": client, "client_secret": "registered-secret", "redirect_uri": CALLBACK}
            )
        if seen.path == "/oauth/token":
            form = parse_qs(seen.body.decode())
            if form["client_id"] == ["client-1"] and refuse_first:
                return as_json(401, {"error": "invalid_client"})
            assert form["client_secret"] == ["registered-secret"]
            return as_json(200, {"access_token": "t", "token_type": "Bearer", "scope": "read:accounts"})
        return as_json(200, {"id": "7", "acct": "alice", "username": "alice", "url": f"{api.base}/@alice"})

    api.answer, refuse_first = answer, False
    apps = AppRegistration("social", inputs={"instance": "social.example"})
    with Application(tmp_path / "web.db", apps, presets=presets, client_name="My App") as app:
        for _ in range(2):
            browser = app.browser()
            state = parse_qs(urlsplit(browser.start("social")).query)["state"][0]
            back = browser.come_back(f"{CALLBACK}?code=c&state={state}")
            assert back.status_code == 303, back.text
            assert browser.who()["subject"]
        assert len(registered) == 1
        assert parse_qs(registered[0].body.decode())["client_name"] == ["My App"]
        assert b"registered-secret" not in (tmp_path / "web.db").read_bytes()
        # The server has forgotten the client: the next sign-in registers a new one.
        refuse_first = True
        for expected in (502, 303):
            browser = app.browser()
            state = parse_qs(urlsplit(browser.start("social")).query)["state"][0]
            assert browser.come_back(f"{CALLBACK}?code=c&state={state}").status_code == expected
        assert len(registered) == 2


@pytest.mark.parametrize(
    ("registration", "words"),
    [
        (AppRegistration("github"), "needs your own app registration"),
        (AppRegistration("anthropic"), "has no sign-in with a browser"),
        (AppRegistration("oidc", "id"), "needs issuer in its app registration"),
        (AppRegistration("github", "id", client_auth="private_key_jwt"), "needs a client key"),
    ],
)
def test_what_is_missing_is_said(registration: AppRegistration, words: str, tmp_path: Path) -> None:
    with Application(tmp_path / "web.db", registration) as app:
        answer = app.browser().get(f"/sign-in/start/{registration.id}")
    assert answer.status_code == 502
    assert words in answer.text


def test_s84_what_a_person_enters_leads_to_no_server_of_this_network(tmp_path: Path) -> None:
    registration = AppRegistration("mastodon", ask=("instance",))
    with Application(tmp_path / "web.db", registration) as app:
        for instance in ("127.0.0.1", "localhost", "10.0.0.1:8443", "[::1]", "2130706433"):
            answer = app.browser().get(f"/sign-in/start/mastodon?instance={instance}")
            assert answer.status_code == 400, instance
            assert SESSION not in answer.headers.get("set-cookie", "")
