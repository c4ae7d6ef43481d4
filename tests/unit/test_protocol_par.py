"""RFC 9126: pushed authorization requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth.par import push
from support.playbook import ENV, Answer, Playbook, form_of, json_answer, sends

PAR = "https://as.example/par"
SERVER = Server("https://as.example", Endpoints(pushed_authorization_request_endpoint=PAR))
CTX = FlowContext(Provider("p", "P"), SERVER, Client("c"), ENV)
PARAMS = {"response_type": "code", "client_id": "c", "state": "a b&c"}
URN = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"  # RFC 9126 §2.2's example
GOOD = json_answer({"request_uri": URN, "expires_in": 60}, 201)


def pushed(book: Playbook, ctx: FlowContext = CTX, params: dict[str, str] | None = None) -> str:
    flow = push(book.within(ctx), PARAMS if params is None else params)
    return book.perform(flow)


def test_s54_the_parameters_go_in_the_body_and_the_reference_comes_back() -> None:
    book = Playbook(sends("POST", PAR, gives=GOOD))
    assert pushed(book) == URN
    assert form_of(book.requests[0]) == PARAMS
    assert book.requests[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_the_client_proves_itself_as_at_the_token_endpoint() -> None:
    ctx = replace(CTX, client=Client("c", "client_secret_post", Secret("s")))
    book = Playbook(sends("POST", PAR, form={"client_secret": "s"}, gives=GOOD))
    assert pushed(book, ctx) == URN


def test_s54_with_dpop_the_push_is_signed_and_a_challenge_answered() -> None:
    ctx = replace(CTX, dpop_key=new_key())
    refused = Answer(400, b'{"error":"use_dpop_nonce"}', {"dpop-nonce": "n-1"})
    book = Playbook(sends("POST", PAR, gives=refused), sends("POST", PAR, gives=GOOD))
    assert pushed(book, ctx) == URN
    proofs = [jwt.decode(sent.headers["DPoP"], options={"verify_signature": False}) for sent in book.requests]
    assert [proof.get("nonce") for proof in proofs] == [None, "n-1"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"request_uri": URN},
        {"expires_in": 60},
        {"request_uri": 1, "expires_in": 60},
        {"request_uri": "", "expires_in": 60},
        {"request_uri": "u" * 3000, "expires_in": 60},
        {"request_uri": "urn:\n", "expires_in": 60},
        {"request_uri": URN, "expires_in": 0},
        {"request_uri": URN, "expires_in": -1},
        {"request_uri": URN, "expires_in": True},
        {"request_uri": URN, "expires_in": "60"},
        {"request_uri": URN, "expires_in": 1e9},
    ],
)
def test_an_answer_without_a_reference_and_its_life_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(PeerFault) as caught:
        pushed(Playbook(sends("POST", PAR, gives=json_answer(data, 201))))
    assert caught.value.code == "response_invalid"


def test_s54_a_reference_that_expired_on_the_way_is_refused() -> None:
    book = Playbook(sends("POST", PAR, gives=GOOD))
    flow = push(replace(CTX, env=FlowEnv(book.new_id, lambda: book.time + timedelta(seconds=60))), PARAMS)
    with pytest.raises(PeerFault, match="expired"):
        book.perform(flow)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (json_answer({"error": "invalid_client"}, 401), SettingWrong),
        (json_answer({"error": "invalid_scope"}, 400), SettingWrong),
        (json_answer({"error": "invalid_request"}, 400), PeerFault),
        (Answer(503, b"down"), Transient),
        (Answer(307, b"", {"location": "https://evil.example/"}), Transient),
        (Answer(404, b""), Transient),
        (Answer(201, b"<html>"), Transient),
        (Transient("no network"), Transient),
    ],
)
def test_s54_a_failure_never_falls_back_to_the_plain_query(
    answer: Answer | Exception, kind: type[KeyfobError]
) -> None:
    book = Playbook(sends("POST", PAR, gives=answer))
    with pytest.raises(kind):
        pushed(book)
    assert len(book.effects) == 1, "nothing more is sent, and no browser opened"


def test_unsafe_or_absent_addresses_are_refused() -> None:
    for endpoint, code in ((None, "preset_faulty"), ("http://as.example/par", "endpoint_unsafe")):
        server = Server("https://as.example", Endpoints(pushed_authorization_request_endpoint=endpoint))
        with pytest.raises(SettingWrong) as caught:
            pushed(Playbook(), replace(CTX, server=server))
        assert caught.value.code == code


def test_a_request_uri_is_not_pushed() -> None:
    with pytest.raises(ValueError, match="request_uri"):
        pushed(Playbook(), params={"request_uri": URN})


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_without_a_word_is_about_the_client_and_not_the_weather(status: int) -> None:
    with pytest.raises(SettingWrong) as caught:
        pushed(Playbook(sends("POST", PAR, gives=Answer(status))))
    assert caught.value.code == "client_refused"


@pytest.mark.parametrize(
    "answer",
    [Answer(403, b"<html>blocked</html>"), Answer(403, b"", {"cf-mitigated": "challenge"}), Answer(503)],
)
def test_a_firewall_or_an_outage_is_not(answer: Answer) -> None:
    with pytest.raises(Transient):
        pushed(Playbook(sends("POST", PAR, gives=answer)))
