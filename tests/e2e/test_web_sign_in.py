"""Web sign-in against real authorization servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.gateway.web import AppRegistration
from keyfob.gateway.web.client_keys import ClientKeySet
from keyfob.protocol.jws import published_jwk
from support.oidc_provider import OidcProvider, Person
from support.web_app import PUBLIC, Application, Browser

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
CALLBACK = f"{PUBLIC}/sign-in/callback"
KEY = new_key("ES256")


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as server:
        server.add_client(
            client_id="web",
            application_type="web",
            redirect_uris=[CALLBACK],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg="ES256",
            jwks={"keys": [published_jwk(KEY)]},
        )
        yield server


def registration(provider: OidcProvider) -> AppRegistration:
    return AppRegistration(
        "oidc", client_id="web", client_auth="private_key_jwt", inputs={"issuer": provider.issuer}
    )


def signed_in(browser: Browser, name: str = "alice") -> Browser:
    with Person(name) as person:
        back = person.visit(browser.start("oidc"), until=PUBLIC)
    answer = browser.come_back(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/who"), answer.text
    return browser


def test_a_confidential_client_signs_a_person_in_and_calls_the_api(
    provider: OidcProvider, tmp_path: Path
) -> None:
    with Application(tmp_path / "web.db", registration(provider), keys=ClientKeySet([KEY])) as app:
        browser = signed_in(app.browser())
        assert browser.who()["subject"] == "alice"
        assert browser.get("/api?path=/me").json()["email"] == "alice@example.test"
        assert [event.kind for event in app.events] == ["created"]
        browser.post("/sign-in/out", origin=PUBLIC, sec_fetch_site="same-origin")
        assert browser.who() == {"subject": None, "ended": None}
    assert provider.live("alice") == []
