"""Username and password, where a preset says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, SettingWrong, SignInEnded, Transient, Usage
from keyfob.core.provider import Endpoints, IdentitySource, Provider, Server, TokenAnswer
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.oauth.password import password_params, password_sign_in
from support.playbook import ENV, Answer, Playbook, form_of, json_answer, kept, sends

TOKEN = "https://own.example/token"
FORM = Provider(
    "own",
    "Own server",
    methods=("password",),
    identity=IdentitySource(source="token_answer", map={"subject": "user"}),
)
JSON = replace(
    FORM,
    token_answer=TokenAnswer(request_format="json", access_field="token", token_type_optional=True),
    token_params={"email": "{username}", "pass": "{password}", "device": "Keyfob"},
)
CTX = FlowContext(
    FORM, Server(None, Endpoints(token_endpoint=TOKEN)), Client("c"), ENV, scopes=("read", "write")
)
CANARY = Secret("pässword-canary")


def signed_in(
    book: Playbook, ctx: FlowContext = CTX, username: str = "alice", password: Secret = CANARY
) -> SignInResult:
    return book.perform(
        password_sign_in(
            book.within(ctx), username=username, password=password
        )
    )  # fmt: skip


def test_rfc_6749_section_4_3() -> None:
    book = Playbook(
        kept(
            sends(
                "POST",
                TOKEN,
                gives=json_answer({"access_token": "at", "token_type": "bearer", "user": "u-1"}),
            )
        )
    )
    result = signed_in(book)
    assert form_of(book.requests[0]) == {
        "grant_type": "password", "username": "alice", "password": CANARY.reveal(), "scope": "read write",
        "client_id": "c",
    }  # fmt: skip
    assert (result.grant.access, result.identity.subject) == (Secret("at"), "u-1")
    assert "canary" not in repr(result)


def test_a_json_login() -> None:
    book = Playbook(kept(sends("POST", TOKEN, gives=json_answer({"token": "jwt", "user": 5}))))
    ctx = replace(CTX, provider=JSON, scopes=())
    assert signed_in(book, ctx).grant.access == Secret("jwt")
    body = json.loads(book.requests[0].body or b"")
    assert body == {"email": "alice", "pass": CANARY.reveal(), "device": "Keyfob", "client_id": "c"}


def test_a_username_that_reads_like_a_placeholder_stays_one() -> None:
    params = password_params(replace(CTX, provider=JSON), "{password}", CANARY)
    assert params["email"] == "{password}"


def test_without_scopes_none_are_asked() -> None:
    assert "scope" not in password_params(replace(CTX, scopes=()), "alice", CANARY)


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"error": "invalid_grant"}, 400), json_answer({"message": "wrong"}, 401),
        Answer(401, b"no"),
        json_answer({"message": "wrong"}, 403),
    ],
)  # fmt: skip
def test_a_wrong_password_is_declined_and_sent_once(answer: Answer) -> None:
    book = Playbook(sends("POST", TOKEN, gives=answer))
    with pytest.raises(SignInEnded) as caught:
        signed_in(book)
    assert caught.value.code == "declined"
    assert len(book.requests) == 1
    assert "canary" not in repr(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(503), Transient), (Answer(401, b"<html>sign in to the network"), Transient),
        (json_answer({"error": "invalid_client"}, 401), SettingWrong),
        (json_answer({"error": "x"}, 400), KeyfobError),
        (Transient("no network"), Transient),
    ],
)  # fmt: skip
def test_other_failures_say_nothing_of_the_password(answer: Any, kind: type[KeyfobError]) -> None:
    with pytest.raises(kind) as caught:
        signed_in(Playbook(sends("POST", TOKEN, gives=answer)))
    assert not isinstance(caught.value, SignInEnded)


def test_only_where_the_preset_says_so() -> None:
    with pytest.raises(SettingWrong) as caught:
        signed_in(Playbook(), replace(CTX, provider=replace(FORM, methods=("oauth",))))
    assert caught.value.code == "method_not_offered"


@pytest.mark.parametrize(("username", "password"), [("", CANARY), ("alice", Secret(""))])
def test_both_are_needed(username: str, password: Secret) -> None:
    with pytest.raises(Usage):
        signed_in(Playbook(), username=username, password=password)
