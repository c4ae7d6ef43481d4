"""RFC 8628: the device authorization grant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.provider import (
    DeviceProfile,
    Endpoints,
    IdentitySource,
    Provider,
    Server,
    TokenAnswer,
)
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.effects import Send, ShowCode, Wait
from keyfob.protocol.oauth.device import GRANT_TYPE, device_code
from support.playbook import (
    AT,
    ENV,
    Answer,
    Playbook,
    Step,
    enters,
    fails,
    form_of,
    json_answer,
    kept,
    sends,
    shows,
    waits,
)

DEVICE = "https://as.example/device"
TOKEN = "https://as.example/token"
ME = "https://api.example/me"
# RFC 8628 §3.2's own example.
BEGUN: dict[str, Any] = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}
SHOWN = ShowCode(
    "WDJB-MJHT",
    "https://example.com/device",
    BEGUN["verification_uri_complete"],
    AT + timedelta(seconds=1800),
)
PROVIDER = Provider(
    "p",
    "Example",
    methods=("device",),
    identity=IdentitySource(source="request", url=ME, map={"subject": "id"}),
)
SERVER = Server(None, Endpoints(device_authorization_endpoint=DEVICE, token_endpoint=TOKEN))
CTX = FlowContext(PROVIDER, SERVER, Client("c"), ENV, scopes=("read", "write"))
TOKENS = json_answer({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt", "expires_in": 60})
IDENTITY = sends("GET", ME, gives=json_answer({"id": 7, "name": "Alice"}))


def error(code: str, status: int = 400, **more: Any) -> Answer:
    return json_answer({"error": code, **more}, status)


def asks(gives: Answer | Exception) -> Any:
    step = sends(
        "POST", TOKEN, gives=gives, form={"grant_type": GRANT_TYPE, "device_code": BEGUN["device_code"]}
    )
    return (
        (*kept(step), enters("checking"))
        if isinstance(gives, Answer) and b"access_token" in gives.body
        else step
    )


def begins(**changes: Any) -> Step:
    data = {k: v for k, v in {**BEGUN, **changes}.items() if v is not None}
    return sends("POST", DEVICE, gives=json_answer(data))


def signed_in(book: Playbook, ctx: FlowContext = CTX) -> SignInResult:
    return book.perform(device_code(book.within(ctx)))


def waited(book: Playbook) -> list[float]:
    return [effect.span.total_seconds() for effect in book.effects if isinstance(effect, Wait)]


def test_s60_shows_the_code_and_asks_until_the_person_has_decided() -> None:
    book = Playbook(
        begins(),
        shows(SHOWN),
        waits(5),
        asks(error("authorization_pending")),
        waits(5),
        asks(TOKENS),
        IDENTITY,
    )
    result = signed_in(book)
    assert result.grant.access.reveal() == "at"
    assert result.grant.refresh is not None
    assert result.grant.scopes == ("read", "write")
    assert (result.identity.subject, result.identity.name) == ("7", "Alice")
    assert form_of(book.requests[0]) == {"client_id": "c", "scope": "read write"}
    assert form_of(book.requests[1])["client_id"] == "c"


@pytest.mark.parametrize("interval", [None, 0, -1, True, "soon", 1e300])
def test_s60_no_interval_means_five_seconds(interval: Any) -> None:
    book = Playbook(begins(interval=interval), shows(SHOWN), waits(5), asks(TOKENS), IDENTITY)
    signed_in(book)


@pytest.mark.parametrize(("interval", "seconds"), [(1, 1), (0.2, 1), ("7", 7), (30, 30), (9_999, 120)])
def test_the_server_s_interval_is_kept(interval: Any, seconds: float) -> None:
    signed_in(Playbook(begins(interval=interval), shows(SHOWN), waits(seconds), asks(TOKENS), IDENTITY))


def test_s60_each_slow_down_adds_five_seconds_for_good() -> None:
    book = Playbook(
        begins(), shows(SHOWN),
        waits(5), asks(error("slow_down")),
        waits(10), asks(error("authorization_pending")),
        waits(10), asks(error("slow_down")),
        waits(15), asks(error("authorization_pending")),
        waits(15), asks(TOKENS), IDENTITY,
    )  # fmt: skip
    signed_in(book)


def test_pending_in_a_200_is_pending() -> None:
    """GitHub answers errors with 200."""
    signed_in(Playbook(begins(), shows(SHOWN), waits(5), asks(error("authorization_pending", 200)),
                       waits(5), asks(TOKENS), IDENTITY))  # fmt: skip


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("expired_token", "code_expired"), ("code_expired", "code_expired"),
        ("invalid_grant", "code_expired"),
        ("access_denied", "declined"), ("authorization_declined", "declined"),
    ],
)  # fmt: skip
def test_s60_expired_and_denied_end_it(code: str, ends: str) -> None:
    book = Playbook(begins(), shows(SHOWN), waits(5), asks(error(code)))
    with pytest.raises(SignInEnded) as caught:
        signed_in(book)
    assert caught.value.code == ends


def test_a_preset_names_the_parameters_of_a_server_that_has_its_own() -> None:
    """Twitch reads `scopes`, and wants it in both requests."""
    twitch = DeviceProfile(scope_param="scopes", repeats_scopes=True, code_field="code")
    ctx = replace(CTX, provider=replace(PROVIDER, device=twitch, scope_separator="+"))
    token = (*kept(sends("POST", TOKEN, gives=TOKENS)), enters("checking"))
    book = Playbook(begins(), shows(SHOWN), waits(5), token, IDENTITY)
    signed_in(book, ctx)
    assert form_of(book.requests[0]) == {"client_id": "c", "scopes": "read+write"}
    assert form_of(book.requests[1]) == {
        "client_id": "c",
        "scopes": "read+write",
        "grant_type": GRANT_TYPE,
        "code": BEGUN["device_code"],
    }


TRAKT = DeviceProfile(
    code_field="code",
    statuses={
        "400": "authorization_pending", "404": "expired_token", "409": "expired_token",
        "410": "expired_token", "418": "access_denied", "429": "slow_down",
    },
)  # fmt: skip
POLLED = "https://as.example/device/token"


def bare(status: int, body: bytes = b"") -> Step:
    return sends("POST", POLLED, gives=Answer(status, body))


def trakt(book: Playbook) -> SignInResult:
    provider = replace(PROVIDER, device=TRAKT, token_answer=TokenAnswer(request_format="json"))
    endpoints = replace(SERVER.endpoints, device_token_endpoint=POLLED)
    return signed_in(book, replace(CTX, provider=provider, server=replace(SERVER, endpoints=endpoints)))


def test_a_server_that_answers_with_statuses_alone_is_understood() -> None:
    """Trakt polls an address of its own with `code`, in JSON, and answers with bare statuses."""
    token = (*kept(sends("POST", POLLED, gives=TOKENS)), enters("checking"))
    book = Playbook(begins(), shows(SHOWN), waits(5), bare(400), waits(5), bare(429), waits(10), bare(400),
                    waits(10), token, IDENTITY)  # fmt: skip
    assert trakt(book).identity.subject == "7"
    sent = json.loads(book.requests[1].body or b"")
    assert sent == {"grant_type": GRANT_TYPE, "code": BEGUN["device_code"], "client_id": "c"}


@pytest.mark.parametrize(
    ("status", "ends"),
    [(404, "code_expired"), (409, "code_expired"), (410, "code_expired"), (418, "declined")],
)
def test_a_status_that_ends_it_does(status: int, ends: str) -> None:
    with pytest.raises(SignInEnded) as caught:
        trakt(Playbook(begins(), shows(SHOWN), waits(5), bare(status)))
    assert caught.value.code == ends


def test_a_portal_s_page_with_such_a_status_means_nothing() -> None:
    html = {"content-type": "text/html"}
    page = Answer(404, b"<!doctype html><html><body>Log in to the hotel</body></html>", html)
    portal = sends("POST", POLLED, gives=page)
    token = (*kept(sends("POST", POLLED, gives=TOKENS)), enters("checking"))
    trakt(Playbook(begins(), shows(SHOWN), waits(5), portal, waits(10), token, IDENTITY))


def test_s60_nothing_is_asked_once_the_code_has_expired() -> None:
    pending = [step for _ in range(3) for step in (waits(5), asks(error("authorization_pending")))]
    book = Playbook(
        begins(expires_in=20),
        shows(replace(SHOWN, expires_at=AT + timedelta(seconds=20))),
        *pending,
        waits(5),
    )
    with pytest.raises(SignInEnded) as caught:
        signed_in(book)
    assert caught.value.code == "code_expired"
    assert isinstance(book.effects[-1], Wait)


@pytest.mark.parametrize(
    "passing",
    [
        Transient("no network"),
        Answer(503, b"down"),
        Answer(502, b"<html>"),
        Answer(200, b"<html>"),
        error("server_error", 500),
    ],
)
def test_s60_a_failing_network_only_makes_it_slower(passing: Answer | Exception) -> None:
    book = Playbook(
        begins(), shows(SHOWN), waits(5), asks(passing), waits(10), asks(passing), waits(20),
        asks(error("authorization_pending")), waits(5), asks(TOKENS), IDENTITY,
    )  # fmt: skip
    signed_in(book)


def test_the_backoff_has_an_end() -> None:
    book = Playbook(begins(), shows(SHOWN), *(step for n in (5, 10, 20, 40, 80, 120, 120)
                    for step in (waits(n), asks(Transient("no network")))), waits(120), asks(TOKENS),
                    IDENTITY)  # fmt: skip
    signed_in(book)


def test_retry_after_is_obeyed() -> None:
    busy = Answer(429, b"", {"retry-after": "60"})
    signed_in(Playbook(begins(), shows(SHOWN), waits(5), asks(busy), waits(60), asks(TOKENS), IDENTITY))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error("invalid_client", 401), "client_refused"),
        (error("unsupported_grant_type"), "protocol_violation"),
    ],
)
def test_what_cannot_pass_ends_it(answer: Answer, code: str) -> None:
    book = Playbook(begins(), shows(SHOWN), waits(5), asks(answer))
    with pytest.raises(KeyfobError) as caught:
        signed_in(book)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": None}, {"device_code": ""}, {"device_code": 5}, {"device_code": "x" * 9_000},
        {"user_code": None}, {"user_code": " "}, {"user_code": 1234}, {"user_code": "x" * 65},
        {"verification_uri": None}, {"verification_uri": "http://example.com/device"},
        {"verification_uri": "javascript:alert(1)"}, {"verification_uri": "file:///etc/passwd"},
        {"verification_uri": "-oProxyCommand=x"},
        # S-84: no browser is sent to a service of this computer by a server elsewhere.
        {"verification_uri": "http://127.0.0.1:9200/_shutdown"},
        {"verification_uri": "https://192.168.1.1/reboot"},
    ],
)  # fmt: skip
def test_s60_an_answer_that_cannot_be_shown_is_refused(changes: dict[str, Any]) -> None:
    book = Playbook(begins(**changes))
    with pytest.raises(PeerFault):
        signed_in(book)
    assert all(isinstance(effect, Send) for effect in book.effects)


def test_what_is_shown_is_made_plain_and_safe() -> None:
    hostile = begins(
        user_code=" A\x1b[31m\u202eB ", verification_uri_complete="http://localhost:9200/x", expires_in=None
    )
    shown = ShowCode("A\\x1b[31mB", "https://example.com/device", None, AT + timedelta(minutes=10))
    signed_in(Playbook(hostile, shows(shown), waits(5), asks(TOKENS), IDENTITY))


def test_google_s_name_for_the_page_and_a_long_life() -> None:
    book = Playbook(
        begins(verification_uri=None, verification_url="https://google.example/device", expires_in=1e8,
               verification_uri_complete=None),
        shows(ShowCode("WDJB-MJHT", "https://google.example/device", None, AT + timedelta(hours=1))),
        waits(5), asks(TOKENS), IDENTITY,
    )  # fmt: skip
    signed_in(book)


def test_the_preset_s_own_parameters_and_the_resource_go_along() -> None:
    ctx = replace(
        CTX, resource="https://api.example", scopes=(), provider=replace(PROVIDER, device_params={"a": "b"})
    )
    book = Playbook(begins(), shows(SHOWN), waits(5), asks(TOKENS), IDENTITY)
    signed_in(book, ctx)
    assert form_of(book.requests[0]) == {"client_id": "c", "a": "b", "resource": "https://api.example"}


def test_under_dpop_each_poll_is_signed_afresh() -> None:
    key = new_key()
    bound = json_answer({"access_token": "at", "token_type": "DPoP"})
    book = Playbook(
        begins(), shows(SHOWN), waits(5),
        asks(Answer(400, b'{"error":"use_dpop_nonce"}', {"dpop-nonce": "n"})),
        asks(error("authorization_pending")),
        waits(5), asks(bound), IDENTITY,
    )  # fmt: skip
    assert signed_in(book, replace(CTX, dpop_key=key)).grant.key == key
    assert "DPoP" not in book.requests[0].headers
    proofs = [jwt.decode(r.headers["DPoP"], options={"verify_signature": False}) for r in book.requests[1:]]
    assert len({proof["jti"] for proof in proofs}) == len(proofs) == 4
    assert [proof.get("nonce") for proof in proofs] == [None, "n", "n", None]


def test_a_client_that_signs_signs_each_poll_anew() -> None:
    ctx = replace(CTX, client=Client("c", "private_key_jwt", key=new_key()))
    book = Playbook(
        begins(),
        shows(SHOWN),
        waits(5),
        asks(error("authorization_pending")),
        waits(5),
        asks(TOKENS),
        IDENTITY,
    )
    signed_in(book, ctx)
    assertions = [form_of(request)["client_assertion"] for request in book.requests[:3]]
    assert len(set(assertions)) == 3


def test_cancelling_ends_it_at_once() -> None:
    book = Playbook(begins(), shows(SHOWN), fails(Wait, SignInEnded("cancelled")))
    with pytest.raises(SignInEnded) as caught:
        signed_in(book)
    assert caught.value.code == "cancelled"


def test_without_an_endpoint_nothing_is_sent() -> None:
    with pytest.raises(SettingWrong):
        signed_in(Playbook(), replace(CTX, server=Server(None, Endpoints(token_endpoint=TOKEN))))


def test_a_refused_beginning_is_told() -> None:
    with pytest.raises(SettingWrong):
        signed_in(Playbook(sends("POST", DEVICE, gives=error("invalid_client", 401))))
