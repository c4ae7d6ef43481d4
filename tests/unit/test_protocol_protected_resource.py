"""Protected resource metadata (RFC 9728): which document is read, what it must say, and the scopes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient
from keyfob.core.http import Request
from keyfob.protocol.oauth.protected_resource import ProtectedResource, find_resource
from support.playbook import Answer, Playbook, Step, json_answer, sends

URL = "https://mcp.example/v1/mcp"
INSERTED = "https://mcp.example/.well-known/oauth-protected-resource/v1/mcp"
AT_HOST = "https://mcp.example/.well-known/oauth-protected-resource"
ISSUER = "https://id.example"
METADATA: dict[str, Any] = {
    "resource": URL,
    "authorization_servers": [ISSUER, "https://other.example"],
    "scopes_supported": ["read", "write"],
}


def refuses(challenge: str = "Bearer") -> Answer:
    return Answer(401, b"", {"www-authenticate": challenge})


def asked(answer: Answer, *then: Step, url: str = URL) -> ProtectedResource:
    return Playbook(sends("POST", url, gives=answer), *then).perform(find_resource(url))


def reads(url: str = INSERTED, **changes: Any) -> Step:
    document = {name: value for name, value in {**METADATA, **changes}.items() if value is not None}
    return sends("GET", url, gives=json_answer(document))


def missing(url: str) -> Step:
    return sends("GET", url, gives=Answer(404))


def refused(kind: type[KeyfobError], answer: Answer, *then: Step, url: str = URL) -> KeyfobError:
    with pytest.raises(kind) as caught:
        asked(answer, *then, url=url)
    return caught.value


def test_the_address_of_the_challenge_is_read_and_no_other() -> None:
    named = "https://elsewhere.example/about?x=1"
    found = asked(refuses(f'Bearer error="invalid_token", resource_metadata="{named}"'), reads(named))
    assert found == ProtectedResource(URL, ISSUER, ("read", "write"))


def test_without_one_the_well_known_address_has_the_path_inserted() -> None:
    assert asked(refuses(), reads()).issuer == ISSUER
    bare = "https://mcp.example"
    assert asked(refuses(), reads(AT_HOST, resource=f"{bare}/"), url=bare).resource == f"{bare}/"
    queried = "https://mcp.example/mcp?team=7"
    where = f"{AT_HOST}/mcp?team=7"
    assert asked(refuses(), reads(where, resource=queried), url=queried).resource == queried


def test_the_first_request_is_an_mcp_clients_and_carries_no_token() -> None:
    def look(request: Request) -> None:
        assert json.loads(request.body or b"")["method"] == "initialize"
        assert "authorization" not in {name.lower() for name in request.headers}

    book = Playbook(sends("POST", URL, gives=refuses(), check=look), reads())
    assert book.perform(find_resource(URL)).issuer == ISSUER


@pytest.mark.parametrize(
    ("challenge", "scopes"),
    [
        ('Bearer scope="read"', ("read",)),
        ("Bearer realm=x, scope=read", ("read",)),
        ('Basic realm="a, scope=evil", Bearer scope="b a b"', ("b", "a")),
        ('Bearer error_description="say \\"scope=evil\\"", scope="read"', ("read",)),
        ('Bearer realm="scope=evil"', ("read", "write")),
        ("Bearer", ("read", "write")),
    ],
)
def test_the_scopes_are_the_challenges_else_the_metadatas(challenge: str, scopes: tuple[str, ...]) -> None:
    assert asked(refuses(challenge), reads()).scopes == scopes


def test_no_scopes_at_all() -> None:
    assert asked(refuses(), reads(scopes_supported=None)).scopes == ()
    error = refused(PeerFault, refuses(), reads(scopes_supported=["a b"]))
    assert error.code == "metadata_invalid"


@pytest.mark.parametrize(
    "resource",
    ["https://mcp.example", "https://mcp.example/v1/mcp/", "https://mcp.example/v1", "https://MCP.example/v1/mcp",
     "http://mcp.example/v1/mcp", None, 7],
)  # fmt: skip
def test_metadata_of_another_address_is_refused(resource: object) -> None:
    """RFC 9728 §3.3: it must be the address that was asked."""
    error = refused(
        PeerFault, refuses(f'Bearer resource_metadata="{AT_HOST}"'), reads(AT_HOST, resource=resource)
    )
    assert error.code == "resource_mismatch"
    assert error.facts == ({"server": resource} if isinstance(resource, str) else {})


def test_the_metadata_of_the_host_says_which_address_is_meant() -> None:
    host = "https://mcp.example"
    error = refused(PeerFault, refuses(), missing(INSERTED), reads(AT_HOST, resource=host))
    assert (error.code, error.facts) == ("resource_mismatch", {"server": host})


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "does not say how to sign in"), (404, "does not say"), (200, "asks for no sign-in")],
)
def test_a_server_without_metadata(status: int, words: str) -> None:
    error = refused(PeerFault, Answer(status), missing(INSERTED), missing(AT_HOST))
    assert error.code == "metadata_invalid"
    assert words in error.message


def test_a_missing_document_that_was_named_is_an_error() -> None:
    named = "https://mcp.example/meta"
    error = refused(PeerFault, refuses(f'Bearer resource_metadata="{named}"'), missing(named))
    assert "is not at its address" in error.message


@pytest.mark.parametrize("servers", [None, [], "https://id.example", [7]])
def test_no_authorization_server(servers: object) -> None:
    error = refused(PeerFault, refuses(), reads(authorization_servers=servers))
    assert "does not name an authorization server" in error.message


@pytest.mark.parametrize(
    "address",
    ["http://id.example", "https://127.0.0.1:8443", "https://192.168.1.1", "http://localhost:1", "x"],
)
def test_no_address_that_leads_inside_or_is_not_https(address: str) -> None:
    """A server elsewhere leads Keyfob to no service of this computer or its network."""
    assert refused(SettingWrong, refuses(), reads(authorization_servers=[address])).code == "endpoint_unsafe"
    challenge = refuses(f'Bearer resource_metadata="{address}"')
    assert refused(SettingWrong, challenge).code == "endpoint_unsafe"


def test_plain_http_is_for_this_computer_alone() -> None:
    for url in ("http://mcp.example/mcp", "ftp://mcp.example", "https://user@mcp.example/"):
        with pytest.raises(SettingWrong) as caught:
            Playbook().perform(find_resource(url))
        assert caught.value.code == "endpoint_unsafe"
    url = "http://127.0.0.1:8000/mcp"
    where = "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp"
    assert asked(refuses(), reads(where, resource=url), url=url).resource == url


def test_a_server_that_takes_no_token_in_a_header() -> None:
    error = refused(PeerFault, refuses(), reads(bearer_methods_supported=["body"]))
    assert "header" in error.message
    assert asked(refuses(), reads(bearer_methods_supported=["header"])).issuer == ISSUER


@pytest.mark.parametrize("status", [302, 307, 429, 500, 503])
def test_a_server_that_is_busy_or_redirects_has_said_nothing(status: int) -> None:
    refused(Transient, Answer(status))
    if status >= 400:
        refused(Transient, refuses(), sends("GET", INSERTED, gives=Answer(status)))
