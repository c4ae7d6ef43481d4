"""`keyfob serve --public-url` signs people in, and an application beside it knows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from keyfob.adapters.system.keys import new_key
from keyfob.gateway.web import AppRegistration, ClientKeySet
from keyfob.gateway.web.cookies import BROWSER, SESSION
from keyfob.protocol.jws import published_jwk
from support.oidc_provider import OidcProvider, Person
from support.running import KEYFOB, Processes
from support.web_app import PUBLIC, Application

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
KEY, OLDER = new_key("EdDSA"), new_key("EdDSA")
HOSTED_KEY = "a-secret-key-for-tests-32-or-longer"


def private_set(*keys: object) -> str:
    return json.dumps(
        {"keys": [json.loads(key.private_jwk.reveal()) | {"kid": key.kid} for key in keys]}  # type: ignore[attr-defined]
    )


@contextmanager
def serving(folder: Path, config: object, **more: str) -> Iterator[str]:
    """The address at which the command listens."""
    file = folder / "sign-in.yaml"
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o600)
    env = {
        "KEYFOB_HOME": str(folder / "home"),
        "KEYFOB_DATABASE_URL": f"sqlite:///{folder / 'web.db'}",
        "KEYFOB_WEB_SECRET_KEYS": "x" * 40,
        **more,
    }
    with Processes() as processes:
        words = [*KEYFOB, "serve", "--port", "0", "--public-url", PUBLIC, "--sign-in", str(file)]
        process = processes.start(words, env)
        assert process.stdout is not None
        found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert found
        yield found[1]
        process.terminate()
        assert process.wait(60) == 0


def test_a_person_signs_in_and_the_application_knows_it(tmp_path: Path) -> None:
    with OidcProvider() as provider:
        provider.add_client(
            client_id="web",
            application_type="web",
            redirect_uris=[f"{PUBLIC}/sign-in/callback"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg="EdDSA",
            jwks={"keys": [published_jwk(KEY)]},
        )
        app = {
            "provider": "oidc",
            "name": "work",
            "client_id": "web",
            "client_auth": "private_key_jwt",
            "inputs": {"issuer": provider.issuer},
        }
        keys = {
            "KEYFOB_WEB_SECRET_KEYS": HOSTED_KEY,
            "KEYFOB_WEB_CLIENT_KEYS": private_set(KEY),
        }
        host = {"Host": "app.example.test"}  # as the server with TLS in front of it asks
        with (
            serving(tmp_path, {"apps": [app]}, **keys) as server,
            httpx.Client(base_url=server, headers=host, trust_env=False) as http,
        ):
            begun = http.get("/sign-in/start/work?return_to=/who")
            assert begun.status_code == 303, begun.text
            browser = begun.headers["set-cookie"].partition(";")[0]
            with Person("alice") as person:
                back = urlsplit(person.visit(begun.headers["location"], until=PUBLIC))
            ended = http.get(f"{back.path}?{back.query}", headers={"Cookie": browser})
            assert (ended.status_code, ended.headers["location"]) == (303, "/who"), ended.text
            session = ended.headers["set-cookie"].partition(";")[0]
            assert browser.startswith(BROWSER)
            assert "alice" in http.get("/sign-in", headers={"Cookie": session}).text.lower()
            # A session is no key of the gateway, which is not there under the public name at all.
            assert http.get("/oidc/alice/me", headers={"Cookie": session}).status_code == 421
            own = {"Cookie": session, "Host": urlsplit(server).netloc}
            assert http.get("/oidc/alice/me", headers=own).status_code == 401
            beside = Application(
                tmp_path / "web.db",
                AppRegistration(
                    "oidc", "web", client_auth="private_key_jwt", name="work",
                    inputs={"issuer": provider.issuer},
                ),
                secret_keys=(HOSTED_KEY,),
                keys=ClientKeySet([KEY]),
            )  # fmt: skip
            with beside as application:
                visitor = application.browser()
                visitor.cookies[SESSION] = session.partition("=")[2]
                assert visitor.who()["subject"] == "alice"
            out = http.post("/sign-in/out", headers={"Cookie": session, "Origin": PUBLIC})
            assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
            assert "Sign in with" in http.get("/sign-in", headers={"Cookie": session}).text


def test_the_documents(tmp_path: Path) -> None:
    with serving(tmp_path, {"client_name": "My App", "apps": [{"provider": "bluesky"}]}) as server:
        assert httpx.get(f"{server}/sign-in/jwks.json", trust_env=False).json() == {"keys": []}
        document = httpx.get(f"{server}/sign-in/client-metadata.json", trust_env=False).json()
        assert (document["client_name"], document["token_endpoint_auth_method"]) == ("My App", "none")
    es256 = new_key("ES256")
    with serving(
        tmp_path, {}, KEYFOB_WEB_SECRET_KEYS="x" * 40, KEYFOB_WEB_CLIENT_KEYS=private_set(es256, OLDER)
    ) as server:
        keys = httpx.get(f"{server}/sign-in/jwks.json", trust_env=False).json()["keys"]
        assert [key["kid"] for key in keys] == [es256.kid, OLDER.kid]
        assert all("d" not in key for key in keys)
        document = httpx.get(f"{server}/sign-in/client-metadata.json", trust_env=False).json()
        assert document["token_endpoint_auth_signing_alg"] == "ES256"
