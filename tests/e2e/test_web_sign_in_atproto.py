"""A web application signs people in at Bluesky's own data server, as a confidential client.

The data server fetches the application's metadata document and keys over https, as it would on the internet.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from keyfob.adapters.network.transport import HttpTransport
from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import SettingWrong
from keyfob.core.grant import SigningKey
from keyfob.engine import WebPorts
from keyfob.gateway.web import AppRegistration, ClientKeySet
from keyfob.gateway.web.cookies import SESSION
from support.atproto import AtprotoServer
from support.atproto_pages import sign_in_at
from support.certificates import Authority
from support.chromium import chromium
from support.running import free_port
from support.tls_app import served
from support.web_app import Application, Browser

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.network,
    pytest.mark.timeout(1200),
]
DOMAIN = "keyfob-tests.org"  # the server refuses names for examples and tests; this one is found here alone
ALICE = ("alice.test", "alice's password")
SECONDS = 20
OLD_KEY, KEY = new_key("ES256"), new_key("ES256")


@dataclass
class World:
    server: AtprotoServer
    browser: webdriver.Chrome
    authority: Authority
    port: int
    alice: str
    host: str = ""

    @property
    def public(self) -> str:
        return f"https://{self.host}:{self.port}"

    def application(
        self,
        folder: Path,
        *keys: SigningKey,
        ahead: list[timedelta] | None = None,
        made: dict[str, datetime] | None = None,
    ) -> Application:
        def ports(made: WebPorts) -> WebPorts:
            made = replace(made, dns_txt=self.server.dns_txt)
            if ahead is None:
                return made

            def clock() -> datetime:
                return datetime.now(UTC) + ahead[0]

            return replace(made, clock=clock, transport=HttpTransport(clock), api=HttpTransport(clock))

        return Application(
            folder / "web.db",
            AppRegistration("bluesky", inputs={"plc": self.server.plc}),
            keys=ClientKeySet(keys, made or {}),
            ports=ports,
            public=self.public,
        )

    def serve(self, app: Application) -> AbstractContextManager[None]:
        return served(app.app, self.authority.server(self.host), self.port)

    def sign_in(self, browser: Browser) -> Browser:
        """Alice signs in; her pages are shown by Chromium, and then it is `browser` that comes back."""
        self.browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
        sign_in_at(self.browser, browser.start("bluesky", handle=ALICE[0]), *ALICE)
        WebDriverWait(self.browser, SECONDS).until(lambda b: b.current_url.startswith(self.public))
        answer = browser.come_back(self.browser.current_url)
        assert answer.status_code == 303, answer.text
        return browser


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("atproto-web")
    authority = Authority(folder)
    hosts = {f"*.{DOMAIN}": "127.0.0.1"}
    with (
        AtprotoServer(folder / "pds", hosts=hosts, authority=authority.bundle) as server,
        chromium(
            folder / "chromium", f"host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1", "ignore-certificate-errors"
        ) as browser,
    ):
        alice = server.add(*ALICE, display_name="Alice")
        yield World(server, browser, authority, free_port(), alice)


@pytest.fixture(autouse=True)
def another_application(world: World) -> Iterator[None]:
    """Each test is another client: the server keeps what it read of one for ten minutes."""
    world.host = f"{secrets.token_hex(4)}.{DOMAIN}"
    yield
    world.server.go_ahead(timedelta(0))


def test_a_person_signs_in_with_a_real_browser(world: World, tmp_path: Path) -> None:
    with world.application(tmp_path, KEY) as app, world.serve(app):
        browser = world.browser
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
        browser.get(f"{world.public}/sign-in?return_to=/who")
        browser.find_element(By.NAME, "handle").send_keys(ALICE[0])
        browser.find_element(By.TAG_NAME, "button").click()
        WebDriverWait(browser, SECONDS).until(lambda b: b.current_url.startswith(world.server.pds))
        sign_in_at(browser, browser.current_url, *ALICE)
        WebDriverWait(browser, SECONDS).until(lambda b: b.current_url == f"{world.public}/who")
        shown = json.loads(browser.find_element(By.TAG_NAME, "body").text)
        assert (shown["subject"], shown["name"]) == (world.alice, "Alice")
        browser.get(f"{world.public}/api?path=/xrpc/com.atproto.server.getSession")
        assert json.loads(browser.find_element(By.TAG_NAME, "body").text)["did"] == world.alice
        cookies = {each["name"]: each for each in browser.get_cookies()}
        assert set(cookies) == {SESSION, "__Host-keyfob-browser"}
        assert cookies[SESSION]["httpOnly"]
        assert browser.execute_script("return document.cookie") == ""
        browser.get(f"{world.public}/sign-in")
        browser.find_element(By.TAG_NAME, "button").click()
        WebDriverWait(browser, SECONDS).until(lambda b: b.current_url == f"{world.public}/")
        assert json.loads(browser.find_element(By.TAG_NAME, "body").text)["subject"] is None


def test_the_client_is_confidential_and_its_session_outlives_a_public_ones(
    world: World, tmp_path: Path
) -> None:
    """The server states two weeks for a public client, and two years for a confidential one."""
    lasted: dict[str, list[int]] = {}
    for kind, keys in (("confidential", (KEY,)), ("public", ())):
        world.host = f"{kind}.{DOMAIN}"
        ahead = [timedelta(0)]
        folder = tmp_path / kind
        folder.mkdir()
        lasted[kind] = []
        with world.application(folder, *keys, ahead=ahead) as app, world.serve(app):
            browser = world.sign_in(app.browser())
            for days in (1, 13, 20, 75, 140):
                ahead[0] = timedelta(days=days)
                world.server.go_ahead(ahead[0])
                answer = browser.get("/api?path=/xrpc/com.atproto.server.getSession")
                if answer.status_code != 200:
                    assert answer.json() == {"error": "grant_ended"}
                    assert browser.who()["ended"] == "provider"
                    break
                lasted[kind].append(days)
        world.server.go_ahead(timedelta(0))
    assert lasted == {"confidential": [1, 13, 20, 75, 140], "public": [1, 13]}


def test_the_documents_are_what_the_server_reads(world: World, tmp_path: Path) -> None:
    with world.application(tmp_path, KEY, OLD_KEY) as app:
        browser = app.browser()
        document = browser.get("/sign-in/client-metadata.json").json()
        keys = browser.get("/sign-in/jwks.json").json()["keys"]
    assert document["client_id"] == f"{world.public}/sign-in/client-metadata.json"
    assert document["token_endpoint_auth_method"] == "private_key_jwt"
    assert document["token_endpoint_auth_signing_alg"] == "ES256"
    assert document["jwks_uri"] == f"{world.public}/sign-in/jwks.json"
    assert document["dpop_bound_access_tokens"] is True
    assert [key["kid"] for key in keys] == [KEY.kid, OLD_KEY.kid]
    assert all("d" not in key for key in keys)


@pytest.mark.logs
def test_a_session_keeps_the_key_that_it_began_with(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new key is published first. It signs when the server must have read it; older sessions keep
    theirs.
    """
    ahead = [timedelta(0)]
    with world.application(tmp_path, OLD_KEY, ahead=ahead) as app, world.serve(app):
        browser = world.sign_in(app.browser())
        before = app.grant_of(world.alice)
    made = {KEY.kid: datetime.now(UTC)}
    with world.application(tmp_path, KEY, OLD_KEY, ahead=ahead, made=made) as app, world.serve(app):
        browser.at(app)
        (found,) = app.web.sessions.of_subject(world.alice)
        world.sign_in(app.browser())
        assert app.web.bound_sessions() == {OLD_KEY.kid: 2}
        ahead[0] = timedelta(minutes=16)
        world.server.go_ahead(ahead[0])
        newer = world.sign_in(app.browser())
        assert newer.who()["subject"] == world.alice
        assert app.web.bound_sessions() == {OLD_KEY.kid: 2, KEY.kid: 1}
        renewed = app.web.renewals.fresh(found.key, rejected=before.access)
        assert renewed.grant is not None
        assert renewed.grant.generation == before.generation + 1
        assert renewed.client_key == OLD_KEY.kid
    caplog.clear()
    with world.application(tmp_path, KEY) as app:
        assert "is not in the set" in caplog.text
        assert OLD_KEY.kid in caplog.text
        # Nothing is sent without it: the key may come back.
        with pytest.raises(SettingWrong):
            app.web.renewals.fresh(found.key, rejected=renewed.grant.access)
        assert len(app.web.sessions.of_subject(world.alice)) == 3


def test_two_browsers_of_one_person_and_parallel_renewals(world: World, tmp_path: Path) -> None:
    """Each browser has its own tokens; of many requests, on two servers, one renews."""
    with world.application(tmp_path, KEY) as app, world.application(tmp_path, KEY) as other, world.serve(app):
        first, second = world.sign_in(app.browser()), world.sign_in(app.browser())
        sessions = {found.key.id: found for found in app.web.sessions.of_subject(world.alice)}
        assert len(sessions) == 2
        renewed: dict[str, set[str]] = {key: set() for key in sessions}

        def renew(web: Application, key: str) -> None:
            found = sessions[key]
            assert found.grant is not None
            after = web.web.renewals.fresh(found.key, rejected=found.grant.access)
            assert after.grant is not None
            renewed[key].add(after.grant.access.reveal())
            assert after.grant.generation == found.grant.generation + 1

        threads = [
            threading.Thread(target=renew, args=(web, key)) for key in sessions for web in (app, other) * 5
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(tokens) for tokens in renewed.values()] == [1, 1]
        for browser in (first, second):
            assert browser.get("/api?path=/xrpc/com.atproto.server.getSession").json()["did"] == world.alice
        first.post("/sign-in/out")
        assert second.get("/api?path=/xrpc/com.atproto.server.getSession").status_code == 200


def test_signing_out_revokes_at_the_server(world: World, tmp_path: Path) -> None:
    with world.application(tmp_path, KEY) as app, world.serve(app):
        browser = world.sign_in(app.browser())
        grant = app.grant_of(world.alice)
        stolen = app.web.sessions.of_subject(world.alice)[0]
        browser.post("/sign-in/out")
        app.web.executor.shutdown(wait=True)
        assert grant.refresh is not None
        answer = httpx.post(
            f"{world.server.pds}/oauth/token",
            data={"grant_type": "refresh_token", "refresh_token": grant.refresh.reveal()},
            trust_env=False,
        )
        assert answer.status_code in (400, 401)
        assert app.web.sessions.get(stolen.key).grant is None  # type: ignore[union-attr]


def test_no_handle_leads_to_the_servers_own_network(tmp_path: Path) -> None:
    with Application(tmp_path / "web.db", AppRegistration("bluesky")) as app:
        for handle in (
            "http://127.0.0.1:8000",
            "https://10.0.0.1",
            "localhost:3000",
            "did:web:localhost%3A3000",
        ):
            answer = app.browser().get(f"/sign-in/start/bluesky?handle={handle.replace('%', '%25')}")
            assert answer.status_code in (400, 502), handle
            assert "location" not in answer.headers
