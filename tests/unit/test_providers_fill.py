"""Inputs go into addresses as what they are: a host stays a host, http is for loopback, nothing slips in."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.core.errors import KeyfobError, SettingWrong, Usage
from keyfob.core.provider import Api, ApiKeyProfile, Endpoints, Input, Provider
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.substitute import fill, normalised

CATALOGUE = Catalogue(resources() / "providers")
HOST = Provider(
    "acme", "Acme", inputs=(Input("instance", "Server", "git.example.org", kind="host"),),
    issuer="https://{instance}", endpoints=Endpoints(token_endpoint="https://{instance}/token"),
)  # fmt: skip
TWO_WAYS = Provider(
    "acme", "Acme", methods=("oauth", "api_key"),
    inputs=(Input("email", "Email address", pattern=r"[^@: ]+@[^@: ]+", methods=("api_key",)),),
    api_key=ApiKeyProfile(api=Api(base="https://api.acme.example", placement="basic", name="{email}")),
)  # fmt: skip
URL = Provider(
    "acme", "Acme", inputs=(Input("server", "Server", "https://cloud.example.org", kind="url"),),
    issuer="{server}", endpoints=Endpoints(token_endpoint="{server}/token"),
)  # fmt: skip


def issuer(provider: Provider, value: str) -> str | None:
    name = provider.inputs[0].name
    return fill(provider, {name: value}).issuer


@pytest.mark.parametrize(
    ("typed", "issued"),
    [
        ("git.example.org", "https://git.example.org"),
        ("GIT.Example.ORG", "https://git.example.org"),
        (" git.example.org ", "https://git.example.org"),
        ("https://git.example.org", "https://git.example.org"),
        ("https://git.example.org/", "https://git.example.org"),
        ("git.example.org:8443", "https://git.example.org:8443"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("localhost:3000", "http://localhost:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("192.0.2.7", "https://192.0.2.7"),
    ],
)
def test_a_host_is_made_regular(typed: str, issued: str) -> None:
    assert issuer(HOST, typed) == issued


@pytest.mark.parametrize(
    "typed",
    [
        "", "  ", "https://", "git.example.org/path", "https://git.example.org/path", "user@git.example.org",
        "git.example.org@evil.example", "git.example.org#x", "git.example.org?x", "git example.org",
        "git.example.org:x",
        "git.example.org\\evil", "{instance}", "git..example.org", "-git.example.org", "nodots",
        "ftp://git.example.org",
        "2130706433", "0x7f.1", "127.1", "git.example.org:99999", "a" * 600, "git.example.org\r\nHost: x",
        "%67it.example",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(typed: str) -> None:
    with pytest.raises(Usage) as caught:
        issuer(HOST, typed)
    assert caught.value.message.startswith("Server")


@pytest.mark.parametrize(
    ("typed", "issued", "endpoint"),
    [
        ("https://cloud.example.org", "https://cloud.example.org", "https://cloud.example.org/token"),
        ("https://cloud.example.org/", "https://cloud.example.org/", "https://cloud.example.org/token"),
        ("https://c.example/next", "https://c.example/next", "https://c.example/next/token"),
        ("cloud.example.org", "https://cloud.example.org", "https://cloud.example.org/token"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080/token"),
    ],
)
def test_an_address_keeps_its_path_and_its_slash(typed: str, issued: str, endpoint: str) -> None:
    provider = fill(URL, {"server": typed})
    assert (provider.issuer, provider.endpoints.token_endpoint) == (issued, endpoint)


@pytest.mark.parametrize(
    "typed",
    ["http://cloud.example.org", "https://u:p@cloud.example.org", "https://c.example/?x=1",
     "https://c.example/#x",
     "javascript:alert(1)", "file:///etc/passwd", "https://c.example/a b", "https://",
     "https://c.example/{x}"],
)  # fmt: skip
def test_what_is_no_safe_address_is_refused(typed: str) -> None:
    with pytest.raises(KeyfobError) as caught:
        issuer(URL, typed)
    assert caught.value.code in ("usage", "endpoint_unsafe")


def test_a_default_stands_in_and_a_missing_input_is_named() -> None:
    assert fill(CATALOGUE.get("gitlab"), {}).endpoints.token_endpoint == "https://gitlab.com/oauth/token"
    with pytest.raises(Usage, match=r"Server is needed, such as git\.example\.org"):
        fill(HOST, {})


def test_an_input_left_empty_sends_no_parameter() -> None:
    auth0 = CATALOGUE.get("auth0")
    domain = {"domain": "example.eu.auth0.com"}
    assert "audience" not in fill(auth0, domain).authorize_params
    told = fill(auth0, {**domain, "audience": "https://api.example.org"})
    assert told.authorize_params["audience"] == "https://api.example.org"
    addresses = {"authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t"}
    oauth2 = fill(CATALOGUE.get("oauth2"), {**addresses, "userinfo_endpoint": "https://a.example/u"})
    assert oauth2.scopes == ()
    assert oauth2.api.base is None


def test_what_is_not_declared_is_passed_over() -> None:
    assert fill(CATALOGUE.get("google"), {"instance": "evil.example"}) == CATALOGUE.get("google")


def test_texts_stay_within_their_pattern() -> None:
    microsoft = CATALOGUE.get("microsoft")
    assert fill(microsoft, {"tenant": "contoso.example"}).issuer == (
        "https://login.microsoftonline.com/contoso.example/v2.0"
    )
    assert fill(microsoft, {}).issuer_template == "https://login.microsoftonline.com/{tenantid}/v2.0"
    for typed in ("a/b", "../x", "a?b", "a#b", "a b", "{x}"):
        with pytest.raises(Usage):
            fill(microsoft, {"tenant": typed})


@pytest.mark.parametrize(
    ("typed", "handle"),
    [
        ("@Alice.Bsky.Social", "alice.bsky.social"),
        ("did:plc:abc", "did:plc:abc"),
        ("https://pds.example", "https://pds.example"),
    ],
)
def test_a_handle_loses_its_at_and_its_capitals(typed: str, handle: str) -> None:
    assert normalised(CATALOGUE.get("bluesky").inputs[0], typed) == handle


@pytest.mark.parametrize("typed", ["alice/..", "alice?x", "alice bob", "a@b", "a" * 501, "alice\\x"])
def test_what_is_no_handle_is_refused(typed: str) -> None:
    with pytest.raises(Usage):
        normalised(CATALOGUE.get("bluesky").inputs[0], typed)


def test_the_installation_is_sent_only_where_there_is_one() -> None:
    openai = CATALOGUE.get("openai")
    assert "ext_agent_host_id" not in fill(openai, {}).authorize_params
    one = "00000000-0000-4000-8000-000000000000"
    told = fill(openai, {}, installation=one)
    assert told.authorize_params["ext_agent_host_id"] == f"urn:uuid:{one}"


@pytest.mark.parametrize("provider", CATALOGUE.all(), ids=lambda provider: provider.id)
def test_no_declared_placeholder_is_left_in_ours(provider: Provider) -> None:
    values = {entry.name: entry.example for entry in provider.inputs}
    if provider.id == "stackexchange":
        values["app_key"] = "abcd1234"
    filled = fill(provider, values, installation="0")
    texts = repr(replace(filled, inputs=()))
    assert not [entry.name for entry in provider.inputs if f"{{{entry.name}}}" in texts]


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=40))
def test_whatever_is_typed_the_host_is_all_that_changes(typed: str) -> None:
    try:
        filled = fill(HOST, {"instance": typed})
    except Usage:
        return
    assert filled.endpoints.token_endpoint is not None
    parts = urlsplit(filled.endpoints.token_endpoint)
    assert parts.path == "/token"
    assert not parts.query
    assert not parts.fragment
    assert parts.username is None
    assert parts.netloc.isascii()
    assert (
        parts.scheme == "https" or parts.hostname in ("localhost", "::1") or parts.netloc.startswith("127.")
    )


def test_an_input_of_another_method_is_not_needed() -> None:
    assert fill(TWO_WAYS, {}).api_key == replace(
        TWO_WAYS.api_key or ApiKeyProfile(), api=Api("https://api.acme.example", placement="basic", name=None)
    )
    filled = fill(TWO_WAYS, {"email": "me@example.org"}).api_key
    assert filled is not None
    assert filled.api.name == "me@example.org"
    assert (TWO_WAYS.inputs_for("oauth"), len(TWO_WAYS.inputs_for("api_key"))) == ((), 1)
    with pytest.raises(Usage):
        fill(TWO_WAYS, {"email": "me:x@example.org"})


@pytest.mark.parametrize(("provider", "name"), [(HOST, "instance"), (URL, "server")])
def test_s86_http_is_for_the_host_that_was_allowed(provider: Provider, name: str) -> None:
    typed = "http://nas.local:8123"
    with pytest.raises(SettingWrong) as caught:
        fill(provider, {name: typed})
    assert (caught.value.code, caught.value.facts["server"]) == ("plain_http", "nas.local:8123")
    with pytest.raises(SettingWrong):
        fill(provider, {name: typed}, plain_host="other.local:8123")
    filled = fill(provider, {name: typed}, plain_host="nas.local:8123")
    assert filled.plain_host == "nas.local:8123"
    assert filled.endpoints.token_endpoint == "http://nas.local:8123/token"
    assert fill(provider, {name: "https://git.example.org"}, plain_host="nas.local:8123").plain_host is None


def test_s86_no_host_of_the_internet_does_without_tls() -> None:
    with pytest.raises(SettingWrong):
        fill(URL, {"server": "http://cloud.example.org"}, plain_host="cloud.example.org")
    assert issuer(HOST, "http://git.example.org") == "https://git.example.org"


def test_a_name_without_a_dot_is_for_the_own_network_alone() -> None:
    with pytest.raises(Usage):
        fill(HOST, {"instance": "nas"})
    assert fill(HOST, {"instance": "http://nas"}, plain_host="nas").issuer == "http://nas"
    kept = fill(HOST, {"instance": "nas"}, plain_host="nas")  # as an account keeps it
    assert (kept.issuer, kept.plain_host) == ("http://nas", "nas")
