"""Attacks on web sign-in, at a real authorization server."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from keyfob.engine import WebPorts
from keyfob.gateway.web import AppRegistration
from keyfob.gateway.web.cookies import BROWSER, SESSION
from support.oidc_provider import OidcProvider, Person
from support.web_app import PUBLIC, SECRET_KEY, Application, Browser

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
CALLBACK = f"{PUBLIC}/sign-in/callback"
SECRET = "the client's secret"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(DPOP_NONCES="0") as server:
        server.add_client(
            client_id="web",
            client_secret=SECRET,
            application_type="web",
            redirect_uris=[CALLBACK],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="client_secret_basic",
        )
        yield server


@pytest.fixture
def registration(provider: OidcProvider) -> AppRegistration:
    return AppRegistration("oidc", "web", SECRET, inputs={"issuer": provider.issuer})


@pytest.fixture
def app(registration: AppRegistration, tmp_path: Path) -> Iterator[Application]:
    with Application(tmp_path / "web.db", registration) as application:
        yield application


def answered(browser: Browser, name: str) -> str:
    """The address with which the provider sends this person's browser back."""
    with Person(name) as person:
        return person.visit(browser.start("oidc"), until=PUBLIC)


def sign_in(browser: Browser, name: str = "alice") -> Browser:
    assert browser.come_back(answered(browser, name)).status_code == 303
    return browser


def changed(address: str, **values: str | None) -> str:
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query)) | values
    return parts._replace(query=urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def test_s121_a_callback_in_another_browser_signs_nobody_in(app: Application) -> None:
    """Login CSRF: the attacker's answer is brought to a victim, who has begun a sign-in or not."""
    address = answered(app.browser(), "mallory")
    victim, busy = app.browser(), app.browser()
    busy.start("oidc")
    for browser in (victim, busy):
        assert browser.come_back(address).status_code == 400
        assert SESSION not in browser.cookies
        assert browser.who()["subject"] is None


def test_s125_a_stranger_does_not_use_up_a_state(app: Application) -> None:
    browser = app.browser()
    address = answered(browser, "alice")
    for stranger in (app.browser(), app.browser()):
        assert stranger.come_back(address).status_code == 400
    assert app.browser().come_back(changed(address, code=None, error="access_denied")).status_code == 400
    assert browser.come_back(address).status_code == 303
    assert browser.who()["subject"] == "alice"


def test_s121_the_session_id_is_new_at_each_sign_in(app: Application) -> None:
    """Session fixation: what the browser had before is worth nothing after."""
    browser = sign_in(app.browser(), "mallory")
    planted = browser.cookies[SESSION]
    sign_in(browser, "alice")
    assert browser.cookies[SESSION] != planted
    attacker = app.browser()
    attacker.cookies[SESSION] = planted
    assert attacker.who() == {"subject": None, "ended": "replaced"}
    assert attacker.who() == {"subject": None, "ended": None}
    assert browser.who()["subject"] == "alice"


def test_s125_a_callback_works_once(app: Application, provider: OidcProvider) -> None:
    browser = app.browser()
    address = answered(browser, "alice")
    provider.reset()
    assert browser.come_back(address).status_code == 303
    again = browser.come_back(address)
    assert again.status_code == 400
    assert "set-cookie" not in again.headers
    assert provider.counts()["/token"] == 1


def test_s125_of_parallel_callbacks_one_is_taken(
    app: Application, registration: AppRegistration, provider: OidcProvider, tmp_path: Path
) -> None:
    browser = app.browser()
    address = answered(browser, "alice")
    provider.reset()
    statuses: list[int] = []
    with Application(tmp_path / "web.db", registration) as other:
        browsers = [Browser(each) for each in (app, other) * 3]
        for each in browsers:
            each.cookies = dict(browser.cookies)
        threads = [
            threading.Thread(target=lambda b=each: statuses.append(b.come_back(address).status_code))  # type: ignore[misc]
            for each in browsers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [303, 400, 400, 400, 400, 400]
    assert provider.counts()["/token"] == 1


def test_s125_a_sign_in_may_take_half_an_hour(registration: AppRegistration, tmp_path: Path) -> None:
    ahead = [timedelta(0)]

    def later(ports: WebPorts) -> WebPorts:
        return replace(ports, clock=lambda: datetime.now(UTC) + ahead[0])

    with Application(tmp_path / "web.db", registration, ports=later) as app:
        browser = app.browser()
        address = answered(browser, "alice")
        ahead[0] = timedelta(minutes=31)
        assert browser.come_back(address).status_code == 400
        app.web.tend()
        with closing(sqlite3.connect(tmp_path / "web.db")) as database:
            assert database.execute("SELECT count(*) FROM web_states").fetchone() == (0,)


def test_s126_another_servers_answer_is_refused(app: Application, provider: OidcProvider) -> None:
    browser = app.browser()
    address = answered(browser, "alice")
    provider.reset()
    refused = browser.come_back(changed(address, iss="https://evil.example.test"))
    assert refused.status_code == 502
    assert browser.come_back(changed(address, iss=None)).status_code == 502
    assert "/token" not in provider.counts()


@pytest.mark.parametrize("target", ["//evil.test", "/\\evil.test", "https:evil.test", "/%2f%2fevil.test"])
def test_s122_a_sign_in_does_not_lead_elsewhere(app: Application, target: str) -> None:
    for page in ("/sign-in/start/oidc", "/sign-in"):
        answer = app.browser().get(f"{page}?{urlencode({'return_to': target})}")
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_s123_a_made_up_cookie_is_none(app: Application) -> None:
    browser = sign_in(app.browser())
    value = browser.cookies[SESSION]
    for other in (value[:-6] + "AAAAAA", "A" * len(value), "", value[4:], value + "A"):
        browser.cookies[SESSION] = other
        assert browser.who()["subject"] is None
    # The cookie of a sign-in in the place of a session's.
    browser.start("oidc")
    browser.cookies[SESSION] = browser.cookies[BROWSER]
    assert browser.who()["subject"] is None


def test_s124_a_stolen_database_has_nothing_to_use(registration: AppRegistration, tmp_path: Path) -> None:
    made: list[str] = []

    def remembered(ports: WebPorts) -> WebPorts:
        def entropy(count: int) -> str:
            made.append(ports.entropy(count))
            return made[-1]

        return replace(ports, entropy=entropy)

    with Application(tmp_path / "web.db", registration, ports=remembered) as app:
        browser, waiting = sign_in(app.browser()), app.browser()
        waiting.start("oidc")
        grant = app.grant_of("alice")
        found = app.web.cookies.read(f"{SESSION}={browser.cookies[SESSION]}", SESSION)
        data = b"".join(path.read_bytes() for path in tmp_path.glob("web.db*") if path.is_file())
    assert found is not None
    assert grant.refresh is not None
    assert grant.key is not None
    secrets = [grant.access, grant.refresh, grant.key.private_jwk]
    words = [found.id, browser.cookies[SESSION], SECRET, SECRET_KEY, "alice@example.test", *made]
    assert len(made) > 4  # states and verifiers
    for word in [*words, *(secret.reveal() for secret in secrets)]:
        assert word.encode() not in data


def test_s124_rows_cannot_be_exchanged(app: Application, tmp_path: Path) -> None:
    alice, bob = sign_in(app.browser(), "alice"), sign_in(app.browser(), "bob")
    with closing(sqlite3.connect(tmp_path / "web.db")) as database, database:
        tokens, profile = database.execute(
            "SELECT tokens, profile FROM web_sessions WHERE subject = 'alice'"
        ).fetchone()
        database.execute(
            "UPDATE web_sessions SET tokens = ?, profile = ? WHERE subject = 'bob'", (tokens, profile)
        )
    assert bob.who() == {"subject": None, "ended": "unreadable"}
    assert alice.who()["subject"] == "alice"


def test_s127_no_token_reaches_the_browser(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = app.browser()
    back = browser.come_back(answered(browser, "alice"))
    seen = [back, browser.get("/who"), browser.get("/api?path=/me"), browser.get("/sign-in")]
    grant = app.grant_of("alice")
    assert grant.refresh is not None
    shown = "".join(f"{answer.headers}{answer.text}" for answer in seen) + caplog.text + repr(grant)
    for secret in (grant.access, grant.refresh):
        assert secret.reveal() not in shown
    assert len(browser.cookies[SESSION]) < 120


def test_s127_credentials_go_to_the_api_alone(app: Application) -> None:
    browser = sign_in(app.browser())
    for target in (
        "https://evil.example.test/me",
        "//evil.example.test/me",
        "http://127.0.0.1:9/me",
        "/\\evil",
    ):
        answer = browser.get(f"/api?{urlencode({'path': target})}")
        assert (answer.status_code, answer.json()) == (502, {"error": "host_not_allowed"})


def test_s121_a_foreign_page_signs_nobody_out(app: Application) -> None:
    browser = sign_in(app.browser())
    for headers in ({"origin": "https://evil.test"}, {"sec_fetch_site": "cross-site"}, {"origin": "null"}):
        assert browser.post("/sign-in/out", **headers).status_code == 403
    assert browser.get("/sign-in/out").status_code == 404
    assert browser.who()["subject"] == "alice"


def test_s125_a_look_ahead_uses_nothing_up(app: Application) -> None:
    browser = app.browser()
    address = urlsplit(answered(browser, "alice"))
    path = f"{address.path}?{address.query}"
    for headers in ({"sec_purpose": "prefetch"}, {"sec_fetch_mode": "no-cors"}, {"sec_fetch_dest": "image"}):
        assert browser.get(path, **headers).status_code == 403
    assert browser.get(path, sec_fetch_mode="navigate", sec_fetch_dest="document").status_code == 303


def test_a_person_who_declines_is_told_so(app: Application) -> None:
    browser = app.browser()
    with Person("alice", declines=True) as person:
        back = person.visit(browser.start("oidc"), until=PUBLIC)
    answer = browser.come_back(back)
    assert answer.status_code == 403
    assert "You declined access" in answer.text
    assert browser.who()["subject"] is None
