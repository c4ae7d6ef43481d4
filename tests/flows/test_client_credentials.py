"""Service accounts: RFC 6749 §4.4, from the first token to the next one, and what becomes of failures."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.grant import Grant, seal, unseal
from keyfob.core.provider import ClientCredentials, Endpoints, Provider, Server
from keyfob.core.renewal import renews_at
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.oauth.client_credentials import ask_again, client_credentials
from support.playbook import AT, ENV, Answer, Playbook, form_of, json_answer, kept, sends

TOKEN = "https://as.example/token"
PROVIDER = Provider(
    "p",
    "Example",
    methods=("client_credentials",),
    client_credentials=ClientCredentials(params={"audience": "https://api.example"}),
)
CLIENT = Client("service-1", "client_secret_basic", Secret("canary-secret"))
CTX = FlowContext(
    PROVIDER, Server(None, Endpoints(token_endpoint=TOKEN)), CLIENT, ENV, scopes=("read", "write")
)
GIVEN: dict[str, Any] = {"access_token": "at-1", "token_type": "Bearer", "expires_in": 600, "scope": "read"}
OLD = Grant(Secret("at-1"), AT, expires_at=AT + timedelta(seconds=600), scopes=("read",), by_client=True)


def test_the_client_gets_a_token_with_its_own_secret_and_is_the_account() -> None:
    book = Playbook(kept(sends("POST", TOKEN, gives=json_answer(GIVEN))))
    result = book.perform(client_credentials(book.within(CTX)))
    (request,) = book.requests
    assert form_of(request) == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "audience": "https://api.example",
    }
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == "service-1:canary-secret"
    assert (result.identity.subject, result.identity.username) == ("service-1", "service-1")
    assert result.grant == replace(OLD, generation=result.grant.generation)
    assert renews_at(result.grant, timedelta(minutes=5), 0.0) is not None


def test_a_resource_is_asked_for_and_scopes_only_if_there_are_some() -> None:
    """RFC 8707 §2."""
    ctx = replace(CTX, scopes=(), resource="https://api.example/v1")
    book = Playbook(kept(sends("POST", TOKEN, gives=json_answer(GIVEN))))
    book.perform(client_credentials(book.within(ctx)))
    assert form_of(book.requests[0]) == {
        "grant_type": "client_credentials",
        "resource": "https://api.example/v1",
        "audience": "https://api.example",
    }


def test_a_refresh_token_that_should_not_be_there_is_not_used() -> None:
    """RFC 6749 §4.4.3: none SHOULD be included."""
    book = Playbook(kept(sends("POST", TOKEN, gives=json_answer({**GIVEN, "refresh_token": "rt"}))))
    grant = book.perform(client_credentials(book.within(CTX))).grant
    assert (grant.refresh, grant.renewable) == (None, True)


def test_it_asks_again_when_a_token_ends() -> None:
    given = {**GIVEN, "access_token": "at-2", "scope": None, "refresh_token": "rt"}
    book = Playbook(kept(sends("POST", TOKEN, gives=json_answer({k: v for k, v in given.items() if v}))))
    renewed = book.perform(ask_again(book.within(CTX), OLD))
    assert form_of(book.requests[0])["grant_type"] == "client_credentials"
    assert renewed == replace(OLD, access=Secret("at-2"), generation=1)
    assert book.kept[-1] == renewed


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (json_answer({"error": "invalid_client"}, 401), SettingWrong, "client_refused"),
        (json_answer({"error": "access_denied"}, 403), PeerFault, "protocol_violation"),
        (json_answer({"token_type": "Bearer"}), PeerFault, "protocol_violation"),
        (json_answer({**GIVEN, "token_type": "mac"}), PeerFault, "protocol_violation"),
        (Answer(503, b""), Transient, "provider_unavailable"),
    ],
)
def test_a_renewal_that_fails_keeps_nothing(answer: Answer, kind: type[KeyfobError], code: str) -> None:
    book = Playbook(sends("POST", TOKEN, gives=answer))
    with pytest.raises(kind) as caught:
        book.perform(ask_again(book.within(CTX), OLD))
    assert caught.value.code == code
    assert book.kept == []


def test_a_refusal_at_the_first_token_is_not_an_ended_sign_in() -> None:
    book = Playbook(sends("POST", TOKEN, gives=json_answer({"error": "invalid_grant"}, 400)))
    with pytest.raises(SignInEnded, match="gives this service account no token"):
        book.perform(client_credentials(book.within(CTX)))


def test_without_a_client_nothing_is_sent() -> None:
    with pytest.raises(SettingWrong):
        Playbook().perform(client_credentials(replace(CTX, client=Client(None))))


def test_the_keychain_entry_says_how_it_is_renewed() -> None:
    assert unseal(seal(OLD)) == OLD
    user = replace(OLD, refresh=Secret("rt"), by_client=False)
    assert unseal(seal(user)) == user
    assert "by_client" not in seal(user).reveal()
