"""Token answers as they come: lifetimes, types, scopes, shapes (S-31 to S-35)."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Response
from keyfob.core.provider import Endpoints, Lifetimes, Provider, Server, TokenAnswer
from keyfob.core.renewal import LIFETIME_MOST, renews_at
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.oauth.token import receive, token_request
from keyfob.protocol.oauth.token_answer import LIFETIME_FLOOR, expiry, grant_of, read_answer, scopes_in
from support.playbook import AT, ENV, Playbook, form_of, keeps

TOKEN = "https://id.example/token"
PROVIDER = Provider("demo", "Demo")
SERVER = Server("https://id.example", Endpoints(token_endpoint=TOKEN))
CTX = FlowContext(PROVIDER, SERVER, Client("client-1"), ENV, scopes=("a", "b"))


def answer(**data: Any) -> Response:
    return Response(200, {"content-type": "application/json"}, json.dumps(data).encode(), AT)


def read(ctx: FlowContext, response: Response) -> Grant:
    return grant_of(ctx, read_answer(ctx.provider, response))


def grant(ctx: FlowContext = CTX, **data: Any) -> Grant:
    return read(ctx, answer(**{"access_token": "at", "token_type": "Bearer", **data}))


def shaped(shape: TokenAnswer, **changes: Any) -> FlowContext:
    return replace(CTX, provider=replace(PROVIDER, token_answer=shape, **changes))


# --- lifetime -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "span"),
    [
        (3600, timedelta(hours=1)),
        ("3600", timedelta(hours=1)),
        (3600.5, timedelta(seconds=3600.5)),
        ("3600.5", timedelta(seconds=3600.5)),
        (5, timedelta(seconds=5)),
        (None, None),
        ("", None),
        ("soon", None),
        ("1e3", None),
        ([], None),
        ({}, None),
        ("9" * 400, LIFETIME_MOST),
        (-1, LIFETIME_FLOOR),
        ("-1", LIFETIME_FLOOR),
        (0, LIFETIME_FLOOR),
        ("0", LIFETIME_FLOOR),
        (0.2, LIFETIME_FLOOR),
        (True, LIFETIME_FLOOR),
        (False, LIFETIME_FLOOR),
        (1e308, LIFETIME_MOST),
        (-1e308, LIFETIME_FLOOR),
        (10**400, LIFETIME_MOST),
        (-(10**400), LIFETIME_FLOOR),
    ],
    ids=lambda value: str(value)[:12],
)  # fmt: skip
def test_s32_expires_in(value: Any, span: timedelta | None) -> None:
    expires_at = grant(expires_in=value).expires_at
    assert expires_at == (None if span is None else AT + span)


def test_s32_missing_is_unknown_or_what_the_preset_says() -> None:
    assert grant().expires_at is None
    known = replace(CTX, provider=replace(PROVIDER, lifetimes=Lifetimes(access=7200)))
    assert grant(known).expires_at == AT + timedelta(hours=2)
    assert grant(known, expires_in=60).expires_at == AT + timedelta(minutes=1)


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=30)
    | st.lists(st.integers(), max_size=2)
)
def test_s32_no_expires_in_makes_a_renewal_loop(value: Any) -> None:
    at: datetime | None = expiry(PROVIDER, {"expires_in": value}, AT)
    if at is None:
        return
    assert AT + timedelta(seconds=1) <= at <= AT + LIFETIME_MOST
    held = Grant(Secret("x"), AT, refresh=Secret("r"), expires_at=at)
    due = renews_at(held, timedelta(minutes=10), 0.5)
    assert due is not None
    assert due - AT >= min(timedelta(seconds=1), at - AT)
    honest = isinstance(value, int | float) and not isinstance(value, bool) and value >= 1
    if not honest and not isinstance(value, str):
        assert due - AT > timedelta(minutes=3)


@pytest.mark.parametrize(
    ("kind", "value", "span"),
    [
        ("epoch", AT.timestamp() + 60, timedelta(minutes=1)),
        ("epoch", str(int(AT.timestamp()) + 60), timedelta(minutes=1)),
        ("epoch", (AT.timestamp() + 60) * 1000, timedelta(minutes=1)),
        ("epoch", AT.timestamp() - 60, LIFETIME_FLOOR),
        ("epoch", "x", None),
        ("rfc3339", "2026-11-20T13:00:00Z", timedelta(hours=1)),
        ("rfc3339", "2026-11-20T14:00:00+01:00", timedelta(hours=1)),
        ("rfc3339", "2026-11-20T11:00:00Z", LIFETIME_FLOOR),
        ("rfc3339", "9999-11-20T11:00:00Z", LIFETIME_MOST),
        ("rfc3339", "2026-11-20T13:00:00", None),
        ("rfc3339", "tomorrow", None),
        ("rfc3339", "", None),
        ("rfc3339", 7, None),
    ],
)
def test_s32_other_ways_to_say_when(kind: str, value: Any, span: timedelta | None) -> None:
    ctx = shaped(TokenAnswer(expires_field="ends", expires_kind=kind))
    assert grant(ctx, ends=value).expires_at == (None if span is None else AT + span)


# --- type ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_s33_the_types_case_is_ignored(kind: str) -> None:
    assert grant(token_type=kind).token_type == "Bearer"


@pytest.mark.parametrize("kind", [None, "", "mac", "N_A", "DPoP", 7, ["Bearer"]])
def test_s33_a_missing_or_unknown_type_is_refused(kind: Any) -> None:
    with pytest.raises(PeerFault):
        grant(token_type=kind)


def test_s33_bearer_where_dpop_was_asked_is_refused() -> None:
    bound = replace(CTX, dpop_key=new_key("ES256"))
    held = grant(bound, token_type="dpop")
    assert (held.token_type, held.key) == ("DPoP", bound.dpop_key)
    for kind in ("Bearer", None):
        with pytest.raises(PeerFault) as refused:
            grant(bound, token_type=kind)
        assert "not bound" in refused.value.message


def test_s33_a_preset_may_know_that_the_type_means_nothing() -> None:
    ctx = shaped(TokenAnswer(token_type_optional=True))
    for kind in (None, "", "user", "bot", "Bearer"):
        assert grant(ctx, token_type=kind).token_type == "Bearer"
    for kind in ("mac", "DPoP"):
        with pytest.raises(PeerFault):
            grant(ctx, token_type=kind)


# --- scope --------------------------------------------------------------------------------------------------


def test_s34_absent_means_as_asked_and_narrower_is_seen() -> None:
    assert grant().scopes == ("a", "b")
    assert grant(scope=None).scopes == ("a", "b")
    assert grant(scope="a").scopes == ("a",)
    assert grant(scope="").scopes == ()
    assert grant(scope=["b", "c"]).scopes == ("b", "c")


@pytest.mark.parametrize(
    ("value", "separator", "scopes"),
    [
        ("a b", " ", ("a", "b")),
        ("repo,gist", " ", ("repo", "gist")),
        ("a, b", ",", ("a", "b")),
        ("a+b", "+", ("a", "b")),
        ("a a b", " ", ("a", "b")),
        ("a \x1b[31m b", " ", ("a", "b")),
        (["a", 7, "b"], " ", ("a", "b")),
        ({"a": 1}, " ", None),
        (7, " ", None),
    ],
)
def test_scopes_in_all_their_shapes(value: Any, separator: str, scopes: tuple[str, ...] | None) -> None:
    assert scopes_in(value, separator) == scopes


def test_scopes_are_bounded() -> None:
    found = scopes_in(" ".join(str(n) for n in range(1000)) + " " + "x" * 501)
    assert found is not None
    assert len(found) == 200


# --- shapes -------------------------------------------------------------------------------------------------


def test_a_nested_answer_and_ok_false() -> None:
    slack = shaped(TokenAnswer(path=("authed_user",), ok_field="ok", token_type_optional=True))
    nested = {
        "id": "U1",
        "access_token": "xoxp",
        "refresh_token": "xoxe",
        "scope": "a,b",
        "token_type": "user",
    }
    held = grant(slack, ok=True, access_token="xoxb", authed_user=nested)
    assert held.access == Secret("xoxp")
    assert held.refresh == Secret("xoxe")
    # At renewal Slack has it at the top.
    top = read(slack, answer(ok=True, access_token="xoxp-2"))
    assert top.access == Secret("xoxp-2")
    whole = read_answer(slack.provider, answer(ok=True, team={"id": "T"}, authed_user=nested))
    assert (whole.data["id"], whole.data["team"]) == ("U1", {"id": "T"})
    for refused in ({"ok": False, "error": "invalid_grant"}, {"error": "invalid_grant"}):
        with pytest.raises(SignInNeeded):
            read_answer(slack.provider, answer(**refused))
    with pytest.raises(PeerFault):
        read_answer(slack.provider, answer(ok=False))
    with pytest.raises(PeerFault):
        read_answer(slack.provider, answer(ok=True, authed_user={"access_token": "x", "error": "broken"}))


def test_s31_an_error_in_a_200_is_a_failure() -> None:
    with pytest.raises(PeerFault):
        grant(error="bad_verification_code")
    with pytest.raises(SignInNeeded):
        grant(error="invalid_grant")
    assert grant(error=None).access == Secret("at")


def test_other_field_names() -> None:
    shape = TokenAnswer(access_field="token.value", refresh_field="token.renewal", scope_field="scopes")
    held = grant(shaped(shape), token={"value": "v", "renewal": "r"}, scopes=["s"])
    assert (held.access, held.refresh, held.scopes) == (Secret("v"), Secret("r"), ("s",))


def test_a_form_answer() -> None:
    body = b"access_token=gho_1&scope=repo%2Cgist&token_type=bearer"
    response = Response(200, {"content-type": "application/x-www-form-urlencoded"}, body, AT)
    assert read(CTX, response).scopes == ("repo", "gist")


@pytest.mark.parametrize("token", [None, "", 7, "a\r\nX-Evil: 1", "é", "\ud800", "x" * 70_000, ["at"]])
def test_a_token_that_no_header_could_carry_is_none(token: Any) -> None:
    with pytest.raises(PeerFault):
        grant(access_token=token)
    assert grant(refresh_token=token).refresh is None
    assert grant(id_token=token).id_token is None


def test_s30_a_200_that_cannot_be_read_may_have_spent_the_refresh_token() -> None:
    with pytest.raises(Transient) as cut:
        read(CTX, Response(200, {}, b'{"access_token": "a', AT))
    assert (cut.value.sent, cut.value.answered) == (True, False)


# --- requests -----------------------------------------------------------------------------------------------


def test_a_request_in_form_or_json() -> None:
    provider = replace(PROVIDER, token_headers={"X-Client": "{client_id}", "User-Agent": "keyfob/{version}"})
    ctx = replace(CTX, provider=provider)
    request = token_request(ctx, {"code": "c&d"}, "token")
    assert form_of(request) == {"code": "c&d", "client_id": "client-1"}
    assert request.headers["X-Client"] == "client-1"
    assert request.headers["User-Agent"].startswith("keyfob/0")
    assert (request.method, request.url) == ("POST", TOKEN)
    as_json = shaped(TokenAnswer(request_format="json"))
    request = token_request(as_json, {"code": "c"}, "token", url="https://id.example/r")
    assert json.loads(request.body or b"") == {"code": "c", "client_id": "client-1"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.url == "https://id.example/r"


def test_s1_a_request_goes_to_a_fit_address_only() -> None:
    for endpoint, code in ((None, "preset_faulty"), ("http://id.example/token", "endpoint_unsafe")):
        ctx = replace(CTX, server=Server(None, Endpoints(token_endpoint=endpoint)))
        with pytest.raises(SettingWrong) as refused:
            token_request(ctx, {}, "token")
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("body", "status", "access", "refresh"),
    [
        (b'{"access_token": "at", "refresh_token": "rt", "token_type": "bearer"}', 200, "at", "rt"),
        (b'{"access_token": "at", "refresh_token": "rt", "token_type": "mac"}', 200, "at", "rt"),
        (b'{"refresh_token": "rt", "token_type": "bearer"}', 200, "rt", "rt"),
        (b'{"access_token": "at", "refresh_token": "rt", "a": 1, "a": 2}', 200, "at", "rt"),
        (b'{"access_token": "at", "refresh_token": "rt", "error": "odd"}', 200, "at", "rt"),
        (b'{"access_token": "at", "refresh_tok', 200, "at", None),
        (b'{"refresh_token": "rt", "access_token": "a', 200, "rt", "rt"),
    ],
)
def test_what_an_answer_gives_is_kept_before_anything_in_it_is_judged(
    body: bytes, status: int, access: str, refresh: str | None
) -> None:
    book = Playbook(keeps())
    with suppress(KeyfobError):
        book.perform(receive(CTX, Response(status, {"content-type": "application/json"}, body, AT)))
    (kept,) = book.kept
    assert kept.access == Secret(access)
    assert kept.refresh == (Secret(refresh) if refresh else None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error": "authorization_pending"}', 200),
        (b'{"access_token": "at"}', 400),
        (b'{"token_type": "x"}', 200),
    ],
)
def test_an_answer_without_a_token_keeps_nothing(body: bytes, status: int) -> None:
    book = Playbook()
    with suppress(KeyfobError):
        book.perform(receive(CTX, Response(status, {"content-type": "application/json"}, body, AT)))
    assert book.kept == []


def test_what_was_kept_is_what_the_sign_in_ends_with() -> None:
    book = Playbook(keeps())
    given_by = answer(access_token="at", refresh_token="rt", token_type="Bearer", expires_in=60, scope="a")
    read_whole = book.perform(receive(CTX, given_by))
    assert book.kept == [grant_of(CTX, read_whole)]
