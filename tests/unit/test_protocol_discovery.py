"""What a server says of itself, taken only where it fits (S-1, S-2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.protocol.oauth.discovery import discover, metadata_url
from support.playbook import Answer, Playbook, json_answer, sends

ISSUER = "https://id.example/tenant"
WHERE = f"{ISSUER}/.well-known/openid-configuration"
PROVIDER = Provider("demo", "Demo", issuer=ISSUER, discovery="openid")
METADATA: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
    "scopes_supported": ["openid"],
    "refresh_endpoint": "https://elsewhere.example/steal",
}


def found(metadata: Any, provider: Provider = PROVIDER, where: str = WHERE) -> Server:
    answer = metadata if isinstance(metadata, Answer | Exception) else json_answer(metadata)
    return Playbook(sends("GET", where, gives=answer)).perform(discover(provider))


def refused(metadata: Any, kind: type[KeyfobError], provider: Provider = PROVIDER, where: str = WHERE) -> str:
    with pytest.raises(kind) as error:
        found(metadata, provider, where)
    return error.value.code


def test_oidcc_client_test_discovery_openid_config() -> None:
    server = found(METADATA)
    assert server.issuer == ISSUER
    assert server.endpoints.token_endpoint == f"{ISSUER}/token"
    assert server.endpoints.jwks_uri == f"{ISSUER}/jwks"
    assert server.endpoints.userinfo_endpoint is None
    assert server.code_challenge_methods_supported == ("S256",)
    assert server.authorization_response_iss_parameter_supported
    assert server.token_endpoint_auth_methods_supported is None
    assert not server.require_pushed_authorization_requests


@pytest.mark.parametrize(
    ("issuer", "discovery", "where"),
    [
        ("https://id.example", "openid", "https://id.example/.well-known/openid-configuration"),
        ("https://id.example/", "openid", "https://id.example/.well-known/openid-configuration"),
        ("https://id.example/a/b", "openid", "https://id.example/a/b/.well-known/openid-configuration"),
        ("https://id.example/a/", "openid", "https://id.example/a/.well-known/openid-configuration"),
        ("https://id.example", "oauth", "https://id.example/.well-known/oauth-authorization-server"),
        ("https://id.example/a/b", "oauth", "https://id.example/.well-known/oauth-authorization-server/a/b"),
        ("http://127.0.0.1:9", "openid", "http://127.0.0.1:9/.well-known/openid-configuration"),
        (None, "https://id.example/meta.json", "https://id.example/meta.json"),
    ],
)
def test_where_the_metadata_is(issuer: str | None, discovery: str, where: str) -> None:
    assert metadata_url(replace(PROVIDER, issuer=issuer, discovery=discovery)) == where


@pytest.mark.parametrize(
    "issuer", [None, "http://id.example", "https://id.example?x=1", "https://id.example#x", "file:///x"]
)
def test_s2_an_issuer_that_is_none_is_not_asked(issuer: str | None) -> None:
    book = Playbook()
    with pytest.raises(SettingWrong):
        book.perform(discover(replace(PROVIDER, issuer=issuer)))
    assert book.requests == []


@pytest.mark.parametrize(
    "issuer",
    [ISSUER + "/", "https://id.example", "https://evil.example/tenant", "http://id.example/tenant",
     "https://ID.example/tenant", "https://id.example:443/tenant", " " + ISSUER],
    ids=["slash", "shorter", "oidcc-client-test-discovery-issuer-mismatch", "http", "case", "port", "blank"],
)  # fmt: skip
def test_s2_the_issuer_is_exact(issuer: str) -> None:
    assert refused({**METADATA, "issuer": issuer}, PeerFault) == "issuer_mismatch"


@pytest.mark.parametrize("issuer", [None, "", 7, [ISSUER]])
def test_s2_no_issuer(issuer: Any) -> None:
    assert refused({**METADATA, "issuer": issuer}, PeerFault) == "metadata_invalid"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 403, 404])
def test_s2_a_redirect_or_nothing_there(status: int) -> None:
    assert (
        refused(Answer(status, b"", {"location": "https://evil.example/"}), PeerFault) == "metadata_invalid"
    )


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(503),
        Answer(429),
        Answer(408),
        Answer(200, b"<html>"),
        Answer(200, b"{"),
        Transient("x"),
    ],
)
def test_what_may_pass(answer: Answer | Exception) -> None:
    refused(answer, Transient)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri",
                                  "revocation_endpoint", "pushed_authorization_request_endpoint",
                                  "device_authorization_endpoint", "registration_endpoint"])  # fmt: skip
@pytest.mark.parametrize("url", ["http://id.example/x", "file:///etc/passwd", "--flag",
    "https://u@id.example/",
                                 "https://id.example/ x", "https://127.0.0.1/x", "http://localhost:80/x",
                                 "https://192.168.1.1/x", "https://[::ffff:127.0.0.1]/x"])  # fmt: skip
def test_s1_each_endpoint_is_fit(name: str, url: str) -> None:
    assert refused({**METADATA, name: url}, SettingWrong) == "endpoint_unsafe"


def test_a_server_on_this_machine_may_have_its_endpoints_here() -> None:
    issuer = "http://127.0.0.1:9000"
    provider = replace(PROVIDER, issuer=issuer)
    metadata = {"issuer": issuer, "token_endpoint": f"{issuer}/token"}
    where = f"{issuer}/.well-known/openid-configuration"
    assert found(metadata, provider, where).endpoints.token_endpoint == f"{issuer}/token"


@pytest.mark.parametrize("change", [
    {"token_endpoint": 7}, {"jwks_uri": ["x"]}, {"code_challenge_methods_supported": "S256"},
    {"scopes_supported": [7]}, {"authorization_response_iss_parameter_supported": "true"},
    {"require_pushed_authorization_requests": 1},
], ids=str)  # fmt: skip
def test_values_of_the_wrong_type(change: dict[str, Any]) -> None:
    assert refused({**METADATA, **change}, PeerFault) == "metadata_invalid"


def test_what_the_preset_names_stands_and_the_metadata_fills_in() -> None:
    own = Endpoints(token_endpoint="https://own.example/token", refresh_endpoint="https://own.example/renew")
    endpoints = found(METADATA, replace(PROVIDER, endpoints=own)).endpoints
    assert endpoints.token_endpoint == "https://own.example/token"
    assert endpoints.refresh_endpoint == "https://own.example/renew"
    assert endpoints.authorization_endpoint == f"{ISSUER}/authorize"
    # Not a word of RFC 8414: metadata cannot send our refresh tokens elsewhere by it.
    assert found(METADATA).endpoints.refresh_endpoint is None


def test_no_discovery() -> None:
    provider = Provider("x", "X", endpoints=Endpoints(token_endpoint="https://x.example/token"))
    assert Playbook().perform(discover(provider)) == Server(None, provider.endpoints)
    unfit = replace(provider, endpoints=Endpoints(token_endpoint="http://x.example/token"))
    with pytest.raises(SettingWrong):
        Playbook().perform(discover(unfit))


TEMPLATE = "https://login.example/{tenantid}/v2.0"
MICROSOFT = Provider(
    "ms", "MS", issuer="https://login.example/common/v2.0", issuer_template=TEMPLATE, discovery="openid"
)
MS_WHERE = "https://login.example/common/v2.0/.well-known/openid-configuration"


@pytest.mark.parametrize(("issuer", "fits"), [
    (TEMPLATE, True),
    ("https://login.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", True),
    ("https://login.example/a/b/v2.0", False),
    ("https://login.example//v2.0", False),
    ("https://login.example/x/v1.0", False),
    ("https://evil.example/{tenantid}/v2.0", False),
    ("https://v2.0", False),
])  # fmt: skip
def test_s2_template_issuers(issuer: str, fits: bool) -> None:
    metadata = {"issuer": issuer, "token_endpoint": "https://login.example/token"}
    if fits:
        assert found(metadata, MICROSOFT, MS_WHERE).issuer == issuer
    else:
        assert refused(metadata, PeerFault, MICROSOFT, MS_WHERE) == "issuer_mismatch"


@pytest.mark.parametrize(("where", "fits"), [
    ("https://id.example/tenant/.well-known/openid-configuration", True),
    ("https://id.example/.well-known/openid-configuration/tenant", True),
    ("https://id.example/.well-known/oauth-authorization-server/tenant", True),
    ("https://evil.example/.well-known/openid-configuration", False),
    ("https://id.example/meta.json", False),
])  # fmt: skip
def test_s2_an_address_alone_must_be_its_issuers_own(where: str, fits: bool) -> None:
    provider = Provider("x", "X", discovery=where)
    if fits:
        assert found(METADATA, provider, where).issuer == ISSUER
    else:
        assert refused(METADATA, PeerFault, provider, where) == "issuer_mismatch"
    assert refused({**METADATA, "issuer": "no address"}, PeerFault, provider, where) == "issuer_mismatch"


def test_an_address_of_the_metadata_with_a_known_issuer() -> None:
    where = "https://id.example/meta.json"
    assert found(METADATA, replace(PROVIDER, discovery=where), where).issuer == ISSUER
