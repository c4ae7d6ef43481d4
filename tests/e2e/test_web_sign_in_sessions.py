"""The life of web sessions at a real authorization server: renewed ahead, ended, revoked, saved."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyfob.adapters.network.transport import HttpTransport
from keyfob.engine import WebPorts
from keyfob.gateway.web import AppRegistration
from keyfob.gateway.web.cookies import SESSION
from support.oidc_provider import OidcProvider, Person
from support.web_app import PUBLIC, SECRET_KEY, Application, Browser

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
SECRET = "the client's secret"
NEW_KEY = "another secret key for tests, also long"


@pytest.fixture(scope="module")
def shared() -> Iterator[OidcProvider]:
    with OidcProvider(DPOP_NONCES="0") as server:
        server.add_client(
            client_id="web",
            client_secret=SECRET,
            application_type="web",
            redirect_uris=[f"{PUBLIC}/sign-in/callback"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="client_secret_basic",
        )
        yield server


@pytest.fixture
def provider(shared: OidcProvider) -> OidcProvider:
    shared.revoke("alice")
    shared.reset()
    shared.ttl(AccessToken=3600)
    return shared


@pytest.fixture
def ahead() -> list[timedelta]:
    return [timedelta(0)]


@pytest.fixture
def make(provider: OidcProvider, tmp_path: Path, ahead: list[timedelta]) -> Callable[..., Application]:
    def clock() -> datetime:
        return datetime.now(UTC) + ahead[0]

    def later(ports: WebPorts) -> WebPorts:
        return replace(ports, clock=clock, transport=HttpTransport(clock), api=HttpTransport(clock))

    def made(**settings: object) -> Application:
        registration = AppRegistration("oidc", "web", SECRET, inputs={"issuer": provider.issuer})
        return Application(tmp_path / "web.db", registration, ports=later, **settings)  # type: ignore[arg-type]

    return made


@pytest.fixture
def app(make: Callable[..., Application]) -> Iterator[Application]:
    with make() as application:
        yield application


def sign_in(browser: Browser, name: str = "alice") -> Browser:
    with Person(name) as person:
        answer = browser.come_back(person.visit(browser.start("oidc"), until=PUBLIC))
    assert answer.status_code == 303, answer.text
    return browser


def execute(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "web.db")) as database, database:
        database.execute(statement, values)


def test_a_session_in_use_is_renewed_ahead(
    app: Application, provider: OidcProvider, ahead: list[timedelta]
) -> None:
    provider.ttl(AccessToken=20)
    browser = sign_in(app.browser())
    app.web.tend()
    assert "grant refresh_token" not in provider.counts()
    ahead[0] = timedelta(seconds=17)  # less than a fifth of its life is left
    app.web.tend()
    app.web.tend()
    assert provider.counts()["grant refresh_token"] == 1
    assert [event.kind for event in app.events] == ["created", "updated"]
    assert browser.get("/api?path=/me").status_code == 200
    assert provider.counts()["grant refresh_token"] == 1


def test_a_session_that_nobody_uses_is_renewed_once_a_day(
    app: Application, provider: OidcProvider, tmp_path: Path, ahead: list[timedelta]
) -> None:
    provider.ttl(AccessToken=20)
    sign_in(app.browser())
    (found,) = app.web.sessions.of_subject("alice")
    assert found.grant is not None
    hours_ago = found.used_at - timedelta(hours=3)
    idle = app.web.renewals.due(found.key, found.grant, hours_ago)
    used = app.web.renewals.due(found.key, found.grant, found.used_at)
    assert idle is not None
    assert used is not None
    assert idle == found.grant.obtained_at + timedelta(days=1)
    assert used < found.grant.obtained_at + timedelta(seconds=20)


def test_what_nobody_used_for_long_is_ended_and_revoked(
    app: Application, provider: OidcProvider, tmp_path: Path
) -> None:
    browser = sign_in(app.browser())
    long_ago = datetime.now(UTC) - timedelta(days=91)
    execute(tmp_path, "UPDATE web_sessions SET used_at = ?", long_ago.strftime("%Y-%m-%d %H:%M:%S.%f"))
    assert provider.live("alice") != []
    app.web.tend()
    assert provider.live("alice") == []
    assert [(event.kind, event.why) for event in app.events] == [("created", None), ("deleted", "unused")]
    assert browser.who()["ended"] == "unused"
    assert browser.who() == {"subject": None, "ended": None}
    assert SESSION not in browser.cookies


def test_an_older_format_leads_to_one_new_sign_in_with_the_reason(app: Application, tmp_path: Path) -> None:
    browser = sign_in(app.browser())
    execute(tmp_path, "UPDATE web_sessions SET format = 0")
    assert "This server was updated" in browser.get("/sign-in").text
    assert browser.who() == {"subject": None, "ended": None}
    assert app.events[-1].why == "older_format"
    assert sign_in(browser).who()["subject"] == "alice"


def test_a_newer_servers_session_is_left_alone(app: Application, tmp_path: Path) -> None:
    browser = sign_in(app.browser())
    execute(tmp_path, "UPDATE web_sessions SET format = 99")
    assert browser.who() == {"subject": None, "ended": None}
    execute(tmp_path, "UPDATE web_sessions SET format = 1")
    assert browser.who()["subject"] == "alice"


def test_a_session_that_the_provider_ended(app: Application, provider: OidcProvider) -> None:
    browser = sign_in(app.browser())
    provider.revoke("alice")
    assert browser.get("/api?path=/me").json() == {"error": "grant_ended"}
    assert browser.who()["ended"] == "provider"
    assert app.events[-1].why == "provider"


def test_a_token_that_the_api_refuses_is_replaced_once(app: Application, provider: OidcProvider) -> None:
    browser = sign_in(app.browser())
    provider.outage("/me", status=401, times=1)
    assert browser.get("/api?path=/me").json()["email"] == "alice@example.test"
    assert provider.counts()["grant refresh_token"] == 1
    provider.outage("/me", status=401)
    assert browser.get("/api?path=/me").status_code == 401
    assert provider.counts()["grant refresh_token"] == 2


def test_a_provider_that_is_down_ends_nothing(
    app: Application, provider: OidcProvider, ahead: list[timedelta]
) -> None:
    provider.ttl(AccessToken=20)
    browser = sign_in(app.browser())
    provider.outage("/token")
    ahead[0] = timedelta(seconds=17)
    app.web.tend()
    assert browser.get("/api?path=/me").status_code == 200, "the old token lives"
    ahead[0] = timedelta(seconds=25)
    assert browser.get("/api?path=/me").json() == {"error": "provider_unavailable"}
    provider.outage("/token", times=0)
    assert browser.get("/api?path=/me").status_code == 200
    assert browser.who()["subject"] == "alice"


@pytest.mark.logs
def test_a_renewal_that_cannot_be_saved_is_kept_and_saved_later(
    app: Application, provider: OidcProvider, tmp_path: Path
) -> None:
    browser = sign_in(app.browser())
    before = app.grant_of("alice")
    provider.outage("/me", status=401, times=1)
    execute(
        tmp_path,
        "CREATE TRIGGER full BEFORE UPDATE OF tokens ON web_sessions BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    assert browser.get("/api?path=/me").status_code == 200
    assert app.grant_of("alice") == before
    execute(tmp_path, "DROP TRIGGER full")
    assert browser.get("/api?path=/me").status_code == 200
    assert app.grant_of("alice").generation == before.generation + 1
    assert provider.counts()["grant refresh_token"] == 1


def test_a_sign_in_that_cannot_be_saved_gives_its_tokens_back(
    app: Application, provider: OidcProvider, tmp_path: Path
) -> None:
    execute(
        tmp_path, "CREATE TRIGGER full BEFORE INSERT ON web_sessions BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    browser = app.browser()
    with Person("alice") as person:
        answer = browser.come_back(person.visit(browser.start("oidc"), until=PUBLIC))
    assert answer.status_code == 503
    assert SESSION not in browser.cookies
    assert provider.live("alice") == []


def test_a_database_that_is_gone_is_said(app: Application, tmp_path: Path) -> None:
    browser = sign_in(app.browser())
    execute(tmp_path, "ALTER TABLE web_sessions RENAME TO elsewhere")
    assert browser.get("/who").status_code == 503
    assert app.browser().get("/who").status_code == 200, "without a cookie nothing is asked"


def test_the_secret_key_changes(make: Callable[..., Application]) -> None:
    with make() as app:
        browser = sign_in(app.browser())
        old = browser.cookies[SESSION]
    with make(secret_keys=(NEW_KEY, SECRET_KEY)) as app:
        assert browser.at(app).who()["subject"] == "alice"
        assert browser.cookies[SESSION] != old, "it is set again, under the new key"
        app.web.tend()
        assert app.web.sessions.reseal(10) == 0
    with make(secret_keys=(NEW_KEY,)) as app:
        assert browser.at(app).who()["subject"] == "alice"
        assert browser.get("/api?path=/me").status_code == 200
        stale = app.browser()
        stale.cookies[SESSION] = old
        assert stale.who()["subject"] is None


def test_all_sessions_of_one_person_end(app: Application, provider: OidcProvider) -> None:
    first, second, other = (sign_in(app.browser(), name) for name in ("alice", "alice", "bob"))
    assert app.web.end_sessions("alice") == 2
    app.web.executor.submit(lambda: None).result()
    assert [browser.who()["ended"] for browser in (first, second)] == ["ended", "ended"]
    assert other.who()["subject"] == "bob"


def test_a_revocation_that_fails_is_tried_again(
    app: Application, provider: OidcProvider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    browser = sign_in(app.browser())
    provider.outage("/token/revocation")
    browser.post("/sign-in/out")
    app.web.tend()
    assert provider.live("alice") != []
    provider.outage("/token/revocation", times=0)
    app.web.tend()
    assert provider.live("alice") != [], "it waits a while"
    execute(tmp_path, "UPDATE web_sessions SET due_at = NULL")
    app.web.tend()
    assert provider.live("alice") == []
