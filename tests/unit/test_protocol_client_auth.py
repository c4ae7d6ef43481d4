"""Client authentication: RFC 6749 §2.3, RFC 7523, OpenID Connect Core §9."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote_plus

import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import SettingWrong
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.oauth.client_auth import ASSERTION_TYPE, authenticate
from support.playbook import AT, Playbook

SERVER = Server("https://as.example", Endpoints(token_endpoint="https://as.example/token"))
ENDPOINT = "https://as.example/par"


def applied(client: Client, server: Server = SERVER) -> tuple[dict[str, str], dict[str, str]]:
    book = Playbook()
    params, headers = {"grant_type": "x"}, {"Accept": "a/b"}
    result = authenticate(
        FlowContext(Provider("p", "P"), server, client, book.env), params, headers, ENDPOINT
    )
    assert (params, headers) == ({"grant_type": "x"}, {"Accept": "a/b"}), "what was handed in stays as it is"
    return result


def test_none_puts_the_client_id_into_the_body() -> None:
    assert applied(Client("c")) == ({"grant_type": "x", "client_id": "c"}, {"Accept": "a/b"})


@pytest.mark.parametrize(
    ("client_id", "secret"), [("c", "s"), ("a b:c", "50% + ümlaut & more~"), ("https://x/?y", ":")]
)
def test_basic_is_form_encoded_first(client_id: str, secret: str) -> None:
    body, headers = applied(Client(client_id, "client_secret_basic", Secret(secret)))
    assert body == {"grant_type": "x"}
    scheme, _, encoded = headers["Authorization"].partition(" ")
    name, _, password = base64.b64decode(encoded).decode("ascii").partition(":")
    assert (scheme, unquote_plus(name), unquote_plus(password)) == ("Basic", client_id, secret)


def test_basic_as_in_rfc_6749_section_2_3_1() -> None:
    _, headers = applied(Client("s6BhdRkqt3", "client_secret_basic", Secret("7Fjfp0ZBr1KtDRbnfVdmIw")))
    assert headers["Authorization"] == "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"


def test_post_puts_both_into_the_body() -> None:
    body, headers = applied(Client("c", "client_secret_post", Secret("s")))
    assert body == {"grant_type": "x", "client_id": "c", "client_secret": "s"}
    assert headers == {"Accept": "a/b"}


def test_basic_empty_is_the_id_with_no_password() -> None:
    body, headers = applied(Client("c", "basic_empty"))
    assert body == {"grant_type": "x"}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"c:"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_private_key_jwt_has_rfc_7523_s_claims(alg: str) -> None:
    key = new_key(alg)
    body, headers = applied(Client("c", "private_key_jwt", key=key))
    assert headers == {"Accept": "a/b"}
    assert set(body) == {"grant_type", "client_id", "client_assertion_type", "client_assertion"}
    assert body["client_assertion_type"] == ASSERTION_TYPE
    public = jwt.PyJWK(dict(key.public_jwk), algorithm=alg)
    claims: dict[str, Any] = jwt.decode(
        body["client_assertion"],
        public.key,
        algorithms=[alg],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    at = int(AT.timestamp())
    assert claims == {
        "iss": "c",
        "sub": "c",
        "aud": "https://as.example",
        "jti": "id-1",
        "iat": at,
        "exp": at + 60,
    }
    assert jwt.get_unverified_header(body["client_assertion"]) == {"typ": "JWT", "alg": alg, "kid": key.kid}


@pytest.mark.parametrize(
    ("server", "audience"),
    [
        (Server(None, Endpoints(token_endpoint="https://as.example/token")), "https://as.example/token"),
        (Server(None, Endpoints()), ENDPOINT),
    ],
)
def test_without_an_issuer_the_audience_is_the_token_endpoint(server: Server, audience: str) -> None:
    body, _ = applied(Client("c", "private_key_jwt", key=new_key()), server)
    assert jwt.decode(body["client_assertion"], options={"verify_signature": False})["aud"] == audience


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (Client(None), "client_missing"),
        (Client("c", "client_secret_basic"), "client_missing"),
        (Client("c", "client_secret_post", Secret("")), "client_missing"),
        (Client("c", "private_key_jwt", Secret("s")), "client_missing"),
    ],
)
def test_what_is_missing_is_said(client: Client, code: str) -> None:
    with pytest.raises(SettingWrong) as caught:
        applied(client)
    assert caught.value.code == code
