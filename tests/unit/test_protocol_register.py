"""RFC 7591 and 7592, and Mastodon's registration."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.quirks import QUIRKS, QuirkName
from keyfob.core.secret import Secret
from keyfob.protocol.oauth.provider_quirks import own_registration
from keyfob.protocol.oauth.register import Registered, register, register_mastodon, unregister
from support.playbook import Answer, Playbook, json_answer, sends

ENDPOINT = "https://as.example/register"
MINE = "https://as.example/register/c-1"
REDIRECT = "http://127.0.0.1:9876/callback"
WANTED: dict[str, Any] = {
    "client_name": "Keyfob",
    "redirect_uris": [REDIRECT],
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "none",
}


def given(**changes: Any) -> Answer:
    data = {**WANTED, "client_id": "c-1", **changes}
    return json_answer({k: v for k, v in data.items() if v is not None}, 201)


def registered(answer: Answer | Exception, wanted: dict[str, Any] | None = None, **more: Any) -> Registered:
    book = Playbook(sends("POST", ENDPOINT, gives=answer))
    return book.perform(register(ENDPOINT, WANTED if wanted is None else wanted, **more))


def test_s61_what_was_asked_for_is_given() -> None:
    book = Playbook(sends("POST", ENDPOINT, gives=given()))
    assert book.perform(register(ENDPOINT, WANTED)) == Registered("c-1", "none")
    assert json.loads(book.requests[0].body or b"") == WANTED
    assert "Authorization" not in book.requests[0].headers


def test_a_server_that_repeats_nothing_has_changed_nothing() -> None:
    answer = json_answer({"client_id": "c-1"}, 201)
    assert registered(answer) == Registered("c-1", "none")


def test_an_initial_access_token_goes_along() -> None:
    book = Playbook(sends("POST", ENDPOINT, gives=given()))
    book.perform(register(ENDPOINT, WANTED, initial_access=Secret("iat")))
    assert book.requests[0].headers["Authorization"] == "Bearer iat"


@pytest.mark.parametrize(
    "redirects",
    [
        [],
        [REDIRECT, "https://evil.example/"],
        ["https://evil.example/"],
        ["http://127.0.0.1:9877/callback"],
        REDIRECT,
        [1],
        {},
    ],
)
def test_s61_another_redirect_is_noticed(redirects: Any) -> None:
    with pytest.raises(PeerFault) as caught:
        registered(given(redirect_uris=redirects))
    assert caught.value.code == "registration_changed"


@pytest.mark.parametrize("grants", [[], ["implicit"], ["refresh_token"], "authorization_code"])
def test_s61_another_grant_is_noticed(grants: Any) -> None:
    with pytest.raises(PeerFault) as caught:
        registered(given(grant_types=grants))
    assert caught.value.code == "registration_changed"


def test_a_server_without_refresh_tokens_is_taken() -> None:
    assert registered(given(grant_types=["authorization_code"])).client_id == "c-1"


@pytest.mark.parametrize(
    ("asked", "told", "secret"),
    [
        ("none", "private_key_jwt", None), ("none", "client_secret_jwt", "s"),
        ("none", "client_secret_basic", None),
        ("private_key_jwt", "none", None), ("private_key_jwt", "client_secret_post", "s"),
        ("client_secret_basic", "none", "s"), ("client_secret_basic", "client_secret_basic", None),
        ("none", ["none"], None),
    ],
)  # fmt: skip
def test_s61_another_proof_of_identity_is_noticed(asked: str, told: Any, secret: str | None) -> None:
    wanted = {**WANTED, "token_endpoint_auth_method": asked}
    with pytest.raises(PeerFault) as caught:
        registered(given(token_endpoint_auth_method=told, client_secret=secret), wanted)
    assert caught.value.code == "registration_changed"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("none", "client_secret_basic"), ("none", "client_secret_post"),
        ("client_secret_post", "client_secret_basic"), ("client_secret_basic", "client_secret_basic"),
    ],
)  # fmt: skip
def test_s61_a_secret_that_comes_is_used_as_the_server_says(asked: str, told: str) -> None:
    wanted = {**WANTED, "token_endpoint_auth_method": asked}
    result = registered(given(token_endpoint_auth_method=told, client_secret="s"), wanted)
    assert (result.auth, result.client_secret) == (told, Secret("s"))


def test_without_a_word_the_method_is_basic() -> None:
    wanted = {k: v for k, v in WANTED.items() if k != "token_endpoint_auth_method"}
    result = registered(given(token_endpoint_auth_method=None, client_secret="s"), wanted)
    assert result.auth == "client_secret_basic"


def test_a_client_with_a_key_stays_one() -> None:
    wanted = {**WANTED, "token_endpoint_auth_method": "private_key_jwt"}
    assert registered(given(token_endpoint_auth_method="private_key_jwt"), wanted).auth == "private_key_jwt"


@pytest.mark.parametrize(
    ("told", "scopes"), [("read", ("read",)), ("", ()), (None, None), (["read"], None), ("a  b", ("a", "b"))]
)
def test_s61_narrower_scopes_are_told(told: Any, scopes: tuple[str, ...] | None) -> None:
    assert registered(given(scope=told)).scopes == scopes


@pytest.mark.parametrize(
    ("told", "expires_at"),
    [
        (2_000_000_000, datetime(2033, 5, 18, 3, 33, 20, tzinfo=UTC)), (0, None), (None, None), (True, None),
        ("2000000000", None), (-5, None), (1e300, None),
    ],
)  # fmt: skip
def test_s61_the_secret_s_expiry_is_kept(told: Any, expires_at: datetime | None) -> None:
    answer = given(
        client_secret="s", client_secret_expires_at=told, token_endpoint_auth_method="client_secret_post"
    )
    assert registered(answer).secret_expires_at == expires_at


def test_s61_a_secret_that_has_expired_already_is_refused() -> None:
    with pytest.raises(PeerFault, match="expired"):
        registered(
            given(
                client_secret="s", client_secret_expires_at=1, token_endpoint_auth_method="client_secret_post"
            )
        )


@pytest.mark.parametrize(
    ("uri", "token", "managed"),
    [
        (MINE, "canary", True), (MINE, None, False), (None, "canary", False), (7, "canary", False),
        ("http://as.example/x", "canary", False), ("https://evil.example/x", "canary", False),
    ],
)  # fmt: skip
def test_the_registration_s_own_token_stays_at_its_server(uri: Any, token: Any, managed: bool) -> None:
    result = registered(given(registration_client_uri=uri, registration_access_token=token))
    assert result.registration_client_uri == (MINE if managed else None)
    if managed:
        assert result.registration_access_token == Secret("canary")
    assert "canary" not in repr(result)


@pytest.mark.parametrize("client_id", [None, "", 5, "x" * 3000, "a\nb"])
def test_no_client_id_is_a_fault(client_id: Any) -> None:
    with pytest.raises(PeerFault) as caught:
        registered(given(client_id=client_id))
    assert caught.value.code == "response_invalid"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (json_answer({"error": "invalid_redirect_uri"}, 400), PeerFault),
        (Answer(503, b""), Transient),
        (Answer(302, b"", {"location": "https://evil.example"}), Transient),
        (Transient("no network"), Transient),
    ],
)
def test_refusals(answer: Answer | Exception, kind: type[KeyfobError]) -> None:
    with pytest.raises(kind):
        registered(answer)


def test_unsafe_endpoints_are_not_used() -> None:
    for endpoint in (None, "http://as.example/register"):
        with pytest.raises(SettingWrong):
            Playbook().perform(register(endpoint, WANTED))


@pytest.mark.parametrize(
    ("status", "gone"),
    [(204, True), (200, True), (401, True), (410, True), (403, False), (404, False), (405, False)],
)
def test_unregister(status: int, gone: bool) -> None:
    book = Playbook(sends("DELETE", MINE, gives=Answer(status)))
    assert book.perform(unregister(MINE, Secret("rat"))) is gone
    assert book.requests[0].headers == {"Authorization": "Bearer rat"}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_unregister_later(status: int) -> None:
    with pytest.raises(Transient):
        Playbook(sends("DELETE", MINE, gives=Answer(status))).perform(unregister(MINE, Secret("rat")))


class TestMastodon:
    APPS = "https://social.example/api/v1/apps"

    @pytest.mark.parametrize("issuer", ["https://social.example", None])
    def test_the_quirk_has_a_registration_of_its_own(self, issuer: str | None) -> None:
        provider = Provider("m", "M", issuer="https://social.example", quirks=("mastodon_apps",))
        flow = own_registration(provider, Server(issuer, Endpoints()), REDIRECT, ["read"])
        assert flow is not None
        answer = json_answer({"client_id": "c", "redirect_uri": REDIRECT})
        form = {"client_name": "Keyfob", "redirect_uris": REDIRECT, "scopes": "read"}
        assert Playbook(sends("POST", self.APPS, form=form, gives=answer)).perform(flow).client_id == "c"

    def test_without_the_quirk_there_is_none(self) -> None:
        assert own_registration(Provider("m", "M"), Server(None, Endpoints()), REDIRECT, []) is None

    def registered(self, **changes: Any) -> Registered:
        data = {"client_id": "c", "client_secret": "s", "redirect_uri": REDIRECT, **changes}
        answer = json_answer({k: v for k, v in data.items() if v is not None})
        form = {
            "client_name": "Keyfob",
            "redirect_uris": REDIRECT,
            "scopes": "read profile",
            "website": "https://k.example",
        }
        book = Playbook(sends("POST", self.APPS, form=form, gives=answer))
        return book.perform(
            register_mastodon(
                "https://social.example/", client_name="Keyfob", redirect_uri=REDIRECT,
                scopes=("read", "profile"), website="https://k.example",
            )
        )  # fmt: skip

    def test_an_older_server(self) -> None:
        assert self.registered() == Registered("c", "client_secret_post", Secret("s"))

    def test_mastodon_4_3(self) -> None:
        result = self.registered(redirect_uris=[REDIRECT], scopes=["read"], client_secret_expires_at=0)
        assert result == Registered("c", "client_secret_post", Secret("s"), scopes=("read",))

    def test_without_a_secret_the_client_is_public(self) -> None:
        assert self.registered(client_secret=None).auth == "none"

    @pytest.mark.parametrize("scopes", ["read", [1], None])
    def test_scopes_of_another_shape_say_nothing(self, scopes: Any) -> None:
        assert self.registered(scopes=scopes).scopes is None

    @pytest.mark.parametrize("redirect", ["https://evil.example/", f"{REDIRECT} https://evil.example/"])
    def test_s61_another_redirect_is_noticed(self, redirect: str) -> None:
        with pytest.raises(PeerFault) as caught:
            self.registered(redirect_uri=redirect)
        assert caught.value.code == "registration_changed"


@pytest.mark.parametrize("name", QUIRKS)
def test_a_quirk_registers_the_client_exactly_if_it_is_declared_to(name: QuirkName) -> None:
    preset = Provider("acme", "Acme", issuer="https://social.example", quirks=(name,))
    flow = own_registration(preset, Server(None, Endpoints()), REDIRECT, ("read",))
    assert (flow is not None) == (QUIRKS[name].client == "registered")
