"""Web sign-in's parts that need no provider: redirect targets, cookies, sealing, keys, settings, pages."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.gateway.web import AppRegistration, ClientKeySet, WebSettings, read_keys
from keyfob.gateway.web.cookies import BROWSER, SESSION, Cookies, clearing
from keyfob.gateway.web.sealing import SealedError, Sealer
from keyfob.gateway.web.targets import is_own_path
from support.web_app import PUBLIC, Application

OLD, NEW = (
    Secret("an old secret key, long enough to be one"),
    Secret("a new secret key, long enough to be one"),
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class TestTargets:
    @pytest.mark.parametrize(
        "target", ["/", "/who", "/a/b?c=d&e=%20f", "/search?q=http://x", "/@who", "/a//b"]
    )
    def test_a_path_of_this_server(self, target: str) -> None:
        assert is_own_path(target, PUBLIC)

    @pytest.mark.parametrize(
        "target",
        [
            "", "who", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "\\/evil.test",
            "https:evil.test", "https://evil.test", "https://app.example.test.evil.test/",
            "javascript:alert(1)",
            "/\t/evil.test", "/\n/evil.test", " //evil.test", "/ /evil", "/%2fevil.test", "/%2Fevil.test",
            "/%252fevil.test", "/%5cevil.test", "/%5c%5cevil.test", "/a%0d%0aSet-Cookie:x", "/a%00", "/ü",
            "/" + "a" * 3000, "http:///evil.test", "/%25255cevil.test",
        ],
    )  # fmt: skip
    def test_s122_no_redirect_leads_elsewhere(self, target: str) -> None:
        assert not is_own_path(target, PUBLIC)

    @given(st.text(alphabet="/\\%25fFcC:@.#?evil\t\n ", max_size=12))
    def test_s122_nothing_that_is_taken_has_a_host(self, text: str) -> None:
        if is_own_path("/" + text, PUBLIC):
            assert not text.startswith(("/", "\\"))
            assert "\\" not in text


class TestCookies:
    def test_an_id_comes_back_and_is_not_to_be_seen(self) -> None:
        cookies = Cookies([NEW])
        line = cookies.setting(SESSION, "the session id", 60)
        value = line.partition(";")[0].partition("=")[2]
        assert "session id" not in line
        found = cookies.read(f"a=b; {SESSION}={value}", SESSION)
        assert found is not None
        assert (found.id, found.old) == ("the session id", False)

    def test_s123_a_changed_cookie_is_none(self) -> None:
        cookies = Cookies([NEW])
        value = cookies.setting(SESSION, "id", 60).partition(";")[0].partition("=")[2]
        for place in range(len(value)):
            other = "A" if value[place] != "A" else "B"
            changed = value[:place] + other + value[place + 1 :]
            found = cookies.read(f"{SESSION}={changed}", SESSION)
            # The last character of base64 may have bits that mean nothing.
            assert found is None or (place == len(value) - 1 and found.id == "id")
        for other in ("", "x", "A" * 40, value + "A" * 500, "é"):
            assert cookies.read(f"{SESSION}={other}", SESSION) is None

    def test_s123_one_cookie_is_not_another(self) -> None:
        cookies = Cookies([NEW])
        value = cookies.setting(BROWSER, "id", 60).partition(";")[0].partition("=")[2]
        assert cookies.read(f"{SESSION}={value}", SESSION) is None

    def test_s121_two_of_one_name_are_none(self) -> None:
        cookies = Cookies([NEW])
        first = cookies.setting(SESSION, "one", 60).partition(";")[0]
        second = cookies.setting(SESSION, "two", 60).partition(";")[0]
        assert cookies.read(f"{first}; {second}", SESSION) is None

    def test_an_older_key_still_opens(self) -> None:
        old = Cookies([OLD]).setting(SESSION, "id", 60).partition(";")[0]
        found = Cookies([NEW, OLD]).read(old, SESSION)
        assert found is not None
        assert found.old
        assert Cookies([NEW]).read(old, SESSION) is None

    def test_a_cookie_is_for_this_host_https_and_no_script(self) -> None:
        for line in (Cookies([NEW]).setting(SESSION, "id", 60), clearing(SESSION)):
            assert line.startswith("__Host-")
            assert line.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")


class TestSealing:
    def test_s124_what_is_sealed_opens_in_its_place_alone(self) -> None:
        sealer = Sealer([NEW], "database")
        sealed = sealer.seal(b"tokens", "table", "row 1", "4")
        assert sealer.open(sealed, "table", "row 1", "4") == b"tokens"
        for place in (
            ("table", "row 2", "4"),
            ("table", "row 1", "3"),
            ("table", "row 1"),
            ("tablerow 1", "4"),
        ):
            with pytest.raises(SealedError):
                sealer.open(sealed, *place)
        with pytest.raises(SealedError):
            Sealer([NEW], "cookie").open(sealed, "table", "row 1", "4")

    def test_a_key_must_be_long(self) -> None:
        for keys in ([], [Secret("short")], [NEW, Secret("short")]):
            with pytest.raises(SettingWrong):
                Sealer(keys, "database")


class TestClientKeys:
    def test_a_set_and_a_single_key(self) -> None:
        first, second = new_key("ES256"), new_key("EdDSA")
        bodies = [json.loads(key.private_jwk.reveal()) | {"kid": key.kid} for key in (first, second)]
        keys = read_keys(Secret(json.dumps({"keys": bodies})))
        assert [key.kid for key in keys.keys] == [first.kid, second.kid]
        newest, eddsa = keys.newest(NOW), keys.newest(NOW, "EdDSA")
        assert newest is not None
        assert newest.kid == first.kid
        assert eddsa is not None
        assert (eddsa.kid, eddsa.alg) == (second.kid, "EdDSA")
        assert keys.newest(NOW, "RS256") is None
        assert len(read_keys(Secret(json.dumps(bodies[0]))).keys) == 1

    def test_what_is_published_has_no_private_half(self) -> None:
        key = new_key("RS256")
        body = json.loads(key.private_jwk.reveal()) | {"kid": "k1", "use": "sig"}
        (published,) = read_keys(Secret(json.dumps(body))).published()["keys"]
        assert published == {
            "kty": "RSA", "n": body["n"], "e": body["e"], "kid": "k1", "use": "sig", "alg": "RS256",
        }  # fmt: skip
        assert read_keys(Secret('{"keys": []}')).published() == {"keys": []}

    @pytest.mark.parametrize(
        "change",
        [
            {"kid": None},
            {"d": None},
            {"crv": "P-384"},
            {"alg": "RS256"},
            {"d": "AAAA"},
            {"kty": "oct"},
            {"x": None},
        ],
    )
    def test_an_unfit_key_is_refused_without_a_part_of_it(self, change: dict[str, str | None]) -> None:
        body = json.loads(new_key("ES256").private_jwk.reveal()) | {"kid": "k1"} | change
        text = json.dumps({name: value for name, value in body.items() if value is not None})
        with pytest.raises(SettingWrong) as refused:
            read_keys(Secret(text))
        assert body["d"] is None or body["d"] not in str(refused.value)

    @pytest.mark.parametrize("text", ["", "[]", '"x"', '{"keys": {}}', '{"keys": [1]}'])
    def test_what_is_no_key(self, text: str) -> None:
        with pytest.raises(SettingWrong):
            read_keys(Secret(text))

    def test_a_new_key_signs_when_servers_know_it(self) -> None:
        first, second = new_key("ES256"), new_key("ES256")
        bodies = [json.loads(key.private_jwk.reveal()) | {"kid": key.kid} for key in (second, first)]
        bodies[0]["iat"] = int(NOW.timestamp())
        keys = read_keys(Secret(json.dumps({"keys": bodies})))

        def signs(minutes: int, keys: ClientKeySet = keys) -> str:
            found = keys.newest(NOW + timedelta(minutes=minutes))
            assert found is not None
            return found.kid

        assert (signs(0), signs(14), signs(15)) == (first.kid, first.kid, second.kid)
        assert [key["kid"] for key in keys.published()["keys"]] == [second.kid, first.kid]
        assert signs(0, read_keys(Secret(json.dumps(bodies[0])))) == second.kid
        for unfit in (10**30, -(10**30)):
            with pytest.raises(SettingWrong):
                read_keys(Secret(json.dumps(bodies[0] | {"iat": unfit})))

    def test_two_keys_need_two_names(self) -> None:
        body = json.loads(new_key("ES256").private_jwk.reveal()) | {"kid": "k1"}
        with pytest.raises(SettingWrong):
            read_keys(Secret(json.dumps({"keys": [body, body]})))


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        ["http://app.example.test", "https://localhost", "https://127.0.0.1", "https://app.example.test/path",
         "https://app.example.test?x", "https://user@app.example.test", "app.example.test"],
    )  # fmt: skip
    def test_a_public_address_is_https_and_public(self, url: str) -> None:
        with pytest.raises(SettingWrong):
            WebSettings(url, [], [NEW])

    @pytest.mark.parametrize("prefix", ["", "/", "sign-in", "/a//b", "/a?b", "//evil"])
    def test_a_prefix_is_a_path(self, prefix: str) -> None:
        with pytest.raises(SettingWrong):
            WebSettings(PUBLIC, [], [NEW], prefix=prefix)

    def test_names_differ(self) -> None:
        one = AppRegistration("github", "id")
        with pytest.raises(SettingWrong):
            WebSettings(PUBLIC, [one, one], [NEW])
        with pytest.raises(SettingWrong):
            AppRegistration("github", "id", name="no name")

    def test_the_addresses(self) -> None:
        settings = WebSettings("https://app.example.test:443/", [], [NEW], prefix="/auth")
        assert settings.callback_url == f"{PUBLIC}/auth/callback"
        assert settings.client_id == f"{PUBLIC}/auth/client-metadata.json"

    def test_secrets_are_not_shown(self) -> None:
        app = AppRegistration("github", "id", "the client secret")
        shown = repr(WebSettings(PUBLIC, [app], [NEW, "another long key of 32 characters"])) + repr(app)
        assert "client secret" not in shown
        assert "another long key" not in shown


class TestPages:
    def test_the_choice_names_each_provider_and_asks_for_what_it_needs(self, tmp_path: Path) -> None:
        with Application(
            tmp_path / "web.db", AppRegistration("bluesky"), AppRegistration("github", "id")
        ) as app:
            page = app.browser().get("/sign-in?return_to=/who")
        assert page.status_code == 200
        assert "Sign in with Bluesky" in page.text
        assert "Sign in with GitHub" in page.text
        assert 'name="handle"' in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"

    def test_the_documents(self, tmp_path: Path) -> None:
        with Application(tmp_path / "web.db", AppRegistration("bluesky"), client_name="My App") as app:
            browser = app.browser()
            assert browser.get("/sign-in/jwks.json").json() == {"keys": []}
            document = browser.get("/sign-in/client-metadata.json").json()
        assert document["client_id"] == f"{PUBLIC}/sign-in/client-metadata.json"
        assert (document["client_name"], document["application_type"]) == ("My App", "web")
        assert document["redirect_uris"] == [f"{PUBLIC}/sign-in/callback"]
        assert document["token_endpoint_auth_method"] == "none"
        assert "jwks_uri" not in document

    def test_without_an_app_that_needs_it_there_is_no_document(self, tmp_path: Path) -> None:
        with Application(tmp_path / "web.db", AppRegistration("github", "id")) as app:
            assert app.browser().get("/sign-in/client-metadata.json").status_code == 404

    @pytest.mark.parametrize("path", ["/sign-in/nothing", "/sign-in/start/nothing", "/sign-in/start"])
    def test_an_unknown_page(self, path: str, tmp_path: Path) -> None:
        with Application(tmp_path / "web.db", AppRegistration("bluesky")) as app:
            answer = app.browser().get(path)
        assert answer.status_code == 404
        assert "Try again" in answer.text

    def test_an_app_registration_of_an_unknown_preset(self, tmp_path: Path) -> None:
        from keyfob.core.errors import NotFound

        with pytest.raises(NotFound), Application(tmp_path / "web.db", AppRegistration("nothing")):
            pass


def test_the_tables_have_a_version_of_their_own(tmp_path: Path) -> None:
    with Application(tmp_path / "web.db", AppRegistration("bluesky")):
        pass
    with closing(sqlite3.connect(tmp_path / "web.db")) as database:
        names = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"web_states", "web_sessions", "web_clients", "web_version"}
