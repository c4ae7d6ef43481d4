"""Web sessions in a real PostgreSQL: several servers of one application, and a database that goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from keyfob.core.http import Request, Response
from keyfob.engine import WebPorts
from keyfob.gateway.web import AppRegistration
from keyfob.gateway.web.cookies import SESSION
from keyfob.ports import Transport
from support.oidc_provider import OidcProvider, Person
from support.postgres import Postgres
from support.web_app import PUBLIC, SECRET_KEY, Application, Browser

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
SECRET = "the client's secret"
SERVERS = 3

# One server of the application, as a process: it waits for a line, then needs a new token at once.
SERVER = """
import sys
from pathlib import Path
from keyfob.engine import web_ports
from keyfob.gateway.web import AppRegistration, WebSettings, WebSignIn

url, issuer, secret, key = sys.argv[1:]
app = AppRegistration("oidc", "web", secret, inputs={"issuer": issuer})
web = WebSignIn(WebSettings("https://app.example.test", [app], [key]), url)
(found,) = web.sessions.of_subject("alice")
print("ready", flush=True)
sys.stdin.readline()
print(web.renewals.fresh(found.key, rejected=found.grant.access).grant.generation, flush=True)
web.close()
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


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
    shared.reset()
    return shared


@pytest.fixture
def make(provider: OidcProvider, database: Postgres) -> Callable[..., Application]:
    app = AppRegistration("oidc", "web", SECRET, inputs={"issuer": provider.issuer})
    return lambda **more: Application(database.url, app, **more)


def sign_in(browser: Browser, name: str = "alice") -> Browser:
    with Person(name) as person:
        answer = browser.come_back(person.visit(browser.start("oidc"), until=PUBLIC))
    assert answer.status_code == 303, answer.text
    return browser


def test_what_one_server_begins_another_finishes(make: Callable[..., Application]) -> None:
    with make() as first, make() as second:
        browser = first.browser()
        with Person("carol") as person:
            back = person.visit(browser.start("oidc"), until=PUBLIC)
        assert browser.at(second).come_back(back).status_code == 303
        assert browser.at(first).who()["subject"] == "carol"
        browser.at(second).post("/sign-in/out")
        assert browser.at(first).who()["subject"] is None


def test_of_several_processes_one_renews(
    make: Callable[..., Application], provider: OidcProvider, database: Postgres
) -> None:
    with make() as app:
        browser = sign_in(app.browser())
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, "-c", SERVER, database.url, provider.issuer, SECRET, SECRET_KEY]
        servers = [
            subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(SERVERS)
        ]
        for server in servers:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
        said = [server.communicate(timeout=60)[0] for server in _all_told(servers)]
        assert said == ["1\n"] * SERVERS
        assert provider.counts()["grant refresh_token"] == 1
        assert browser.get("/api?path=/me").json()["email"] == "alice@example.test"
        assert app.web.end_sessions("alice") == 1


def _all_told(servers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Each begins before the first one is waited for."""
    for server in servers:
        assert server.stdin is not None
        server.stdin.write("go\n")
        server.stdin.flush()
    return servers


def test_two_browsers_of_one_person_renew_at_the_same_time(
    make: Callable[..., Application], provider: OidcProvider
) -> None:
    with make() as first, make() as second:
        browsers = [sign_in(first.browser(), "dave"), sign_in(second.browser(), "dave")]
        sessions = first.web.sessions.of_subject("dave")
        assert len({found.key.id for found in sessions}) == 2
        tokens: dict[str, set[str]] = {found.key.id: set() for found in sessions}

        def renew(app: Application, number: int) -> None:
            found = sessions[number]
            assert found.grant is not None
            grant = app.web.renewals.fresh(found.key, rejected=found.grant.access).grant
            assert grant is not None
            tokens[found.key.id].add(grant.access.reveal())

        threads = [
            threading.Thread(target=renew, args=(app, number))
            for app in (first, second) * 3
            for number in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(each) for each in tokens.values()] == [1, 1]
        assert provider.counts()["grant refresh_token"] == 2
        assert [browser.get("/api?path=/me").status_code for browser in browsers] == [200, 200]


@pytest.mark.logs
def test_a_database_that_goes_away_in_a_renewal_loses_no_session(
    make: Callable[..., Application], provider: OidcProvider, database: Postgres
) -> None:
    """It ends after the provider has given the new tokens, and before they are saved."""

    class Cutting:
        def __init__(self, inner: Transport) -> None:
            self._inner = inner

        def send(self, request: Request) -> Response:
            answer = self._inner.send(request)
            if request.purpose == "refresh":
                database.stop()
            return answer

    def cut(ports: WebPorts) -> WebPorts:
        return replace(ports, transport=Cutting(ports.transport))

    with make(ports=cut) as app:
        browser = sign_in(app.browser(), "erin")
        provider.outage("/me", status=401, times=1)
        try:
            # The caller is served with the new token, which is kept in memory.
            assert browser.get("/api?path=/me").json()["email"] == "erin@example.test"
            assert browser.get("/who").status_code == 503
        finally:
            database.start()
        assert browser.get("/api?path=/me").json()["email"] == "erin@example.test"
        assert provider.counts()["grant refresh_token"] == 1
        assert browser.who()["subject"] == "erin"
        assert app.grant_of("erin").generation == 1
        assert SESSION in browser.cookies


@pytest.mark.logs
def test_no_other_server_sends_a_refresh_token_whose_answer_is_not_saved(
    make: Callable[..., Application], provider: OidcProvider, database: Postgres
) -> None:
    """The provider would take that for theft, and end the session."""
    calls: list[str] = []

    class Held:
        def __init__(self, inner: Transport) -> None:
            self._inner = inner

        def send(self, request: Request) -> Response:
            answer = self._inner.send(request)
            if request.purpose == "refresh":
                calls.append("sent")
                with engine.begin() as connection:
                    connection.execute(text("ALTER TABLE web_sessions RENAME COLUMN tokens TO held"))
            return answer

    engine = create_engine(database.url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    with make(ports=lambda ports: replace(ports, transport=Held(ports.transport))) as app, make() as other:
        browser = sign_in(app.browser(), "frank")
        provider.outage("/me", status=401, times=1)
        assert browser.get("/api?path=/me").status_code == 200
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE web_sessions RENAME COLUMN held TO tokens"))
        (found,) = other.web.sessions.of_subject("frank")
        assert found.grant is not None
        assert found.grant.generation == 0
        still = other.web.renewals.fresh(found.key, rejected=found.grant.access)
        assert still.grant == found.grant
        assert provider.counts()["grant refresh_token"] == 1
        app.web.tend()
        renewed = other.web.renewals.fresh(found.key, rejected=found.grant.access)
        assert renewed.grant is not None
        assert renewed.grant.generation == 1
        assert browser.at(other).get("/api?path=/me").json()["email"] == "frank@example.test"
    engine.dispose()
    assert calls == ["sent"]
