"""Telling providers that a token is no longer wanted, each in its own way (S-59)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient
from keyfob.core.http import Request
from keyfob.core.provider import (
    AnswerPattern,
    Api,
    Endpoints,
    Provider,
    Revocation,
    RevocationRequest,
    Server,
    TokenAnswer,
)
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.oauth.revoke import revoke
from support.playbook import ENV, Answer, Playbook, form_of, json_answer, query_of, sends

END, API = "https://id.example/revoke", "https://api.example/revoke"
SERVER = Server("https://id.example", Endpoints(revocation_endpoint=END))
TOKEN = Secret("token-&-0123456789")


def ctx(
    style: str = "rfc7009", *, client: Client | None = None, api: Api | None = None, **changes: Any
) -> FlowContext:
    provider = Provider("demo", "Demo", revocation=Revocation(style, **changes), api=api or Api())
    return FlowContext(provider, SERVER, client or Client("client-1"), ENV)


def revoked(by: FlowContext, *steps: Callable[..., Any], hint: str = "refresh_token") -> str:
    book = Playbook(*steps)
    return book.perform(revoke(book.within(by), TOKEN, hint))


def told(answer: Answer | Exception, by: FlowContext | None = None) -> str:
    return revoked(by or ctx(), sends("POST", END, gives=answer))


def test_rfc_7009() -> None:
    def check(request: Request) -> None:
        assert form_of(request) == {
            "token": TOKEN.reveal(), "token_type_hint": "refresh_token", "client_id": "client-1",
            "extra": "1",
        }  # fmt: skip
        assert request.purpose == "revoke"

    by = ctx(params={"extra": "1"})
    assert revoked(by, sends("POST", END, gives=Answer(200), check=check)) == "yes"


def test_a_client_with_a_secret_shows_it() -> None:
    by = ctx(client=Client("client-1", "client_secret_basic", Secret("s")))
    value = "Basic " + base64.b64encode(b"client-1:s").decode()
    seen = sends("POST", END, gives=Answer(200), check=lambda r: r.headers["Authorization"] == value)
    assert revoked(by, seen) == "yes"


@pytest.mark.parametrize("answer", [
    Answer(200), Answer(204), Answer(200, b"ok"), json_answer({}), json_answer({"ok": True}),
    json_answer({"error": "invalid_token"}, 400), json_answer({"error": "invalid_token"}, 200),
    json_answer({"error": "token_revoked"}, 400), json_answer({"error": "invalid_grant"}, 400),
], ids=str)  # fmt: skip
def test_s59_revoked_or_never_known_is_yes(answer: Answer) -> None:
    assert told(answer) == "yes"


@pytest.mark.parametrize("answer", [
    json_answer({"error": "unsupported_token_type"}, 400),
    json_answer({"error": "unsupported_token_type"}, 503),
    Answer(404), Answer(405), Answer(501), Answer(404, b"<html>"),
], ids=str)  # fmt: skip
def test_a_server_that_has_no_way_to(answer: Answer) -> None:
    assert told(answer) == "unsupported"


@pytest.mark.parametrize("answer", [
    Answer(503), Answer(429), Answer(500, b"<html>"), Answer(302, b"", {"location": "https://evil.example"}),
    Answer(403, b"<html>"), Answer(200, b"<html>"), Transient("offline", code="network_unreachable"),
], ids=str)  # fmt: skip
def test_s59_what_may_pass_is_retried(answer: Answer | Exception) -> None:
    with pytest.raises(Transient):
        told(answer)


@pytest.mark.parametrize(("answer", "kind"), [
    (json_answer({"error": "invalid_client"}, 401), SettingWrong),
    (json_answer({"error": "invalid_request"}, 400), PeerFault),
    (json_answer({"error": "broken"}, 200), PeerFault),
])  # fmt: skip
def test_other_refusals(answer: Answer, kind: type[KeyfobError]) -> None:
    with pytest.raises(kind) as error:
        told(answer)
    assert TOKEN.reveal() not in f"{error.value} {error.value.detail}"


def test_no_way_to_revoke() -> None:
    assert revoked(ctx("none")) == "unsupported"
    assert revoked(replace(ctx(), server=Server(None, Endpoints()))) == "unsupported"


def test_an_unfit_address_gets_no_token() -> None:
    for url in ("http://id.example/revoke", "file:///x"):
        with pytest.raises(SettingWrong):
            revoked(ctx(url=url))


def test_json() -> None:
    def check(request: Request) -> None:
        assert json.loads(request.body or b"") == {
            "token": TOKEN.reveal(), "token_type_hint": "access_token", "client_id": "client-1",
        }  # fmt: skip
        assert request.headers["Content-Type"] == "application/json"

    by = ctx("json", url=API)
    assert revoked(by, sends("POST", API, gives=Answer(200), check=check), hint="access_token") == "yes"


def test_a_form_in_the_address() -> None:
    asked: list[str] = []

    def step(effect: Any, book: Playbook) -> Any:
        asked.append(effect.request.url)
        return sends("GET", effect.request.url, gives=Answer(200))(effect, book)

    assert revoked(ctx("form_get", url=API + "?v=2"), step) == "yes"
    assert query_of(asked[0]) == {"v": "2", "token": TOKEN.reveal(), "token_type_hint": "refresh_token"}


def test_the_token_as_its_own_credential() -> None:
    def bare(request: Request) -> None:
        assert request.headers["Authorization"] == f"Bearer {TOKEN.reveal()}"
        assert request.body is None

    assert revoked(ctx("bearer_post", url=API), sends("POST", API, gives=Answer(200), check=bare)) == "yes"
    assert revoked(ctx("bearer_post", url=API), sends("POST", API, gives=Answer(401))) == "yes"
    form = {"access_token": TOKEN.reveal()}
    by = ctx("bearer_post", url=API, params={"access_token": "{token}"})
    assert revoked(by, sends("POST", API, gives=Answer(200), form=form)) == "yes"


def test_deleted() -> None:
    def check(request: Request) -> None:
        assert request.headers["OCS-APIRequest"] == "true"
        assert request.headers["Authorization"].startswith("Basic ")

    api = Api(placement="basic", name="{username}", headers={"OCS-APIRequest": "true"})
    by = replace(ctx("delete", api=api, url=API), inputs={"username": "ada"})
    assert revoked(by, sends("DELETE", API, gives=Answer(200), check=check)) == "yes"
    assert revoked(by, sends("DELETE", API, gives=Answer(401))) == "yes"
    assert revoked(by, sends("DELETE", API, gives=Answer(404))) == "doubtful"
    assert revoked(by, sends("DELETE", API, gives=Answer(405))) == "unsupported"


def test_an_app_password_is_not_revoked_here() -> None:
    assert revoked(ctx("nextcloud", url=API)) == "unsupported"


def test_deleted_with_the_clients_credentials() -> None:
    where = "https://api.example/applications/client%2F1/token"

    def check(request: Request) -> None:
        assert json.loads(request.body or b"") == {"access_token": TOKEN.reveal()}
        assert request.headers["Authorization"].startswith("Basic ")

    by = ctx(
        "delete", url="https://api.example/applications/{client_id}/token",
        params={"access_token": "{token}"},
        client=Client("client/1", "client_secret_basic", Secret("s")),
    )  # fmt: skip
    assert revoked(by, sends("DELETE", where, gives=Answer(204), check=check)) == "yes"


def test_s59_the_request_shows_what_the_preset_says_of_the_client() -> None:
    """GitHub wants Basic there, whatever the token endpoint takes, and no client at all without a secret."""
    preset = Revocation(
        "delete",
        url="https://api.example/applications/{client_id}/token",
        params={"access_token": "{token}"},
        auth="client_secret_basic",
        without_secret=RevocationRequest(
            "json",
            url=API,
            auth="none",
            body='{"credentials": ["{token}"], "by": {"n": 1, "id": "{client_id}"}}',
        ),
    )
    provider = Provider("demo", "Demo", revocation=preset)

    def basic(request: Request) -> None:
        assert json.loads(request.body or b"") == {"access_token": TOKEN.reveal()}
        assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"client-1:s").decode()

    confidential = FlowContext(provider, SERVER, Client("client-1", "client_secret_post", Secret("s")), ENV)
    where = "https://api.example/applications/client-1/token"
    assert revoked(confidential, sends("DELETE", where, gives=Answer(204), check=basic)) == "yes"

    def anonymous(request: Request) -> None:
        assert json.loads(request.body or b"") == {
            "credentials": [TOKEN.reveal()], "by": {"n": 1, "id": "client-1"},
        }  # fmt: skip
        assert "Authorization" not in request.headers

    public = replace(confidential, client=Client("client-1"))
    assert revoked(public, sends("POST", API, gives=Answer(202), check=anonymous)) == "accepted"
    bare = replace(public, provider=replace(provider, revocation=replace(preset, without_secret=None)))
    assert revoked(bare) == "unsupported", "nothing is sent without the secret that is needed"


def test_a_token_cannot_change_the_body_around_it() -> None:
    token = Secret('x"], "all": true, "y": ["')
    by = ctx("json", url=API, auth="none", body='{"credentials": ["{token}"]}')

    def check(request: Request) -> None:
        assert json.loads(request.body or b"") == {"credentials": [token.reveal()]}

    book = Playbook(sends("POST", API, gives=Answer(200), check=check))
    assert book.perform(revoke(book.within(by), token, "access_token")) == "yes"


def test_s59_only_an_answer_that_means_it_is_yes() -> None:
    dead = json_answer({"error": "invalid_token"}, 401)
    own = ctx("bearer_post", url=API)
    for answer in (Answer(401), dead):
        for expired, means in ((False, "yes"), (True, "doubtful")):
            book = Playbook(sends("POST", API, gives=answer))
            flow = revoke(book.within(own), TOKEN, "access_token", expired=expired)
            assert book.perform(flow) == means, "an expired token is refused whether the grant lives or not"
    assert told(Answer(202)) == "accepted"
    by = ctx(confirmed_by="revoked")
    assert told(json_answer({"revoked": True}), by) == "yes"
    assert told(json_answer({"revoked": False}), by) == "doubtful"
    assert told(Answer(200), by) == "doubtful"
    by = ctx(ended=(AnswerPattern("message", "Invalid token"),))
    assert told(json_answer({"message": "Invalid token", "status": 400}, 400), by) == "yes"
    with pytest.raises(Transient):
        told(json_answer({"message": "Invalid token"}, 503), by)
    with pytest.raises(Transient):
        told(json_answer({"error": "invalid_token"}, 503))


def test_a_bound_token_is_revoked_with_a_proof() -> None:
    bound = replace(ctx(), dpop_key=new_key("ES256"))
    book = Playbook(sends("POST", END, gives=Answer(200)))
    flow = revoke(book.within(bound), TOKEN, "refresh_token")
    assert book.perform(flow) == "yes"
    assert "DPoP" in book.requests[0].headers
    assert "Authorization" not in book.requests[0].headers
    challenge = json_answer({"error": "use_dpop_nonce"}, 400, dpop_nonce="n-1")
    signing = replace(bound, client=Client("client-1", "private_key_jwt", key=new_key("ES256")))
    book = Playbook(sends("POST", END, gives=challenge), sends("POST", END, gives=Answer(200)))
    flow = revoke(book.within(signing), TOKEN, "refresh_token")
    assert book.perform(flow) == "yes"
    assert len({form_of(request)["client_assertion"] for request in book.requests}) == 2
    as_credential = replace(ctx("bearer_post", url=API), dpop_key=bound.dpop_key)
    book = Playbook(sends("POST", API, gives=Answer(200)))
    flow = revoke(book.within(as_credential), TOKEN, "access_token")
    assert book.perform(flow) == "yes"
    assert book.requests[0].headers["Authorization"] == f"DPoP {TOKEN.reveal()}"


def test_ok_false_is_no_yes() -> None:
    provider = replace(ctx().provider, token_answer=TokenAnswer(ok_field="ok"))
    with pytest.raises(PeerFault):
        told(json_answer({"ok": False}), replace(ctx(), provider=provider))
    with pytest.raises(PeerFault):
        told(json_answer({"ok": False, "error": "fatal_error"}), replace(ctx(), provider=provider))
    assert told(json_answer({"ok": True}), replace(ctx(), provider=provider)) == "yes"
