"""The client metadata document."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import Usage
from keyfob.core.provider import Provider
from keyfob.protocol.atproto.client_metadata import client_metadata

PROVIDER = Provider("bluesky", "Bluesky", dpop="always", scopes=("atproto", "transition:generic"))
ADDRESS = "https://k.example/client-metadata.json"
LOOPBACK = ["http://127.0.0.1/callback", "http://[::1]/callback"]


def test_a_public_client() -> None:
    assert client_metadata(PROVIDER, ADDRESS, redirect_uris=LOOPBACK, client_uri="https://k.example/") == {
        "client_id": ADDRESS,
        "client_name": "Keyfob",
        "client_uri": "https://k.example/",
        "application_type": "native",
        "redirect_uris": LOOPBACK,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "atproto transition:generic",
        "dpop_bound_access_tokens": True,
        "token_endpoint_auth_method": "none",
    }


def test_a_confidential_client_publishes_public_keys_only() -> None:
    keys = [new_key(), new_key()]
    document = client_metadata(
        replace(PROVIDER, dpop="never"),
        ADDRESS,
        redirect_uris=["https://k.example/cb"],
        scopes=("atproto",),
        keys=keys,
    )
    assert document["token_endpoint_auth_method"] == "private_key_jwt"
    assert document["token_endpoint_auth_signing_alg"] == "ES256"
    assert document["application_type"] == "web"
    assert document["scope"] == "atproto"
    assert document["dpop_bound_access_tokens"] is False
    assert [key["kid"] for key in document["jwks"]["keys"]] == [key.kid for key in keys]
    for key in keys:
        assert json.loads(key.private_jwk.reveal())["d"] not in json.dumps(document)


def test_the_keys_may_be_at_an_address_of_their_own() -> None:
    address = "https://k.example/jwks.json"
    document = client_metadata(
        PROVIDER, ADDRESS, redirect_uris=["https://k.example/cb"], keys=[new_key()], jwks_uri=address
    )
    assert document["jwks_uri"] == address
    assert "jwks" not in document
    public = client_metadata(PROVIDER, ADDRESS, redirect_uris=LOOPBACK, jwks_uri=address)
    assert "jwks_uri" not in public


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/c.json", "https://k.example", "https://k.example/", "https://k.example/c#x",
     "https://localhost/c",
     "ftp://k.example/c", "", "https://u@k.example/c"],
)  # fmt: skip
def test_addresses_that_can_be_no_client_id(address: str) -> None:
    with pytest.raises(Usage):
        client_metadata(PROVIDER, address, redirect_uris=LOOPBACK)


def test_atproto_servers_refuse_a_client_with_keys_and_a_loopback_redirect() -> None:
    key = new_key("ES256")
    atproto = replace(PROVIDER, methods=("atproto",))
    with pytest.raises(Usage, match="loopback redirect"):
        client_metadata(atproto, ADDRESS, redirect_uris=LOOPBACK, keys=[key])
    web = client_metadata(atproto, ADDRESS, redirect_uris=["https://k.example/cb"], keys=[key])
    assert web["token_endpoint_auth_method"] == "private_key_jwt"


def test_a_redirect_is_needed() -> None:
    with pytest.raises(Usage):
        client_metadata(PROVIDER, ADDRESS, redirect_uris=[])
