"""Hostile bodies and failures sorted by what should follow (S-29, S-30, S-31, S-39)."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, SignInNeeded, Transient
from keyfob.core.http import Response
from keyfob.core.provider import AnswerPattern, Lifetimes, Provider, TokenAnswer
from keyfob.protocol.http.responses import (
    NotStrictError,
    error_of,
    failure,
    is_cloudflare,
    parse_json,
    parse_object,
    read_json,
    retry_after,
    text_within,
    token_failure,
)
from support.playbook import AT

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
PROVIDER = Provider("demo", "Demo", lifetimes=Lifetimes(terminal_errors=("refresh_token_reused",)))


def answer(body: bytes | dict[str, Any], status: int = 200, **headers: str) -> Response:
    named = {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, named, raw, AT, "https://id.example/token")


CUT_OFF = (b"", b'{"a": 1')


# --- bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"o": {"a": 1, "\\u0061": 2}}',
        b'{"a": 1',
        b'{"a": 1} trailing',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        b'{"a": "\xff"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"{'a': 1}",
        b"access_token=x&token_type=bearer",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
def test_s30_a_body_that_is_not_strict_json_is_refused(body: bytes) -> None:
    """It breaks the protocol where the peer calls it JSON. What is cut
    off, or of an unknown kind, may pass.
    """
    with pytest.raises((PeerFault, Transient)) as refused:
        read_json(answer(body), "The endpoint")
    assert refused.value.code == "response_invalid"
    assert refused.value.exit_code == (5 if body in CUT_OFF else 9)
    with pytest.raises(Transient) as passing:
        read_json(answer(body, content_type="text/x-odd"), "The endpoint")
    # A token in it may have been lost: the refresh token may be spent.
    assert (passing.value.sent, passing.value.answered) == (True, False)


def test_s30_depth_counts_brackets_outside_texts_alone() -> None:
    deep = b"[" * 60 + b"]" * 60
    assert parse_json(b'{"a": ' + deep + b', "b": ' + deep + b"}")
    assert parse_json(b'{"a": "' + b"[" * 100_000 + b'"}')
    assert parse_json(b'{"a": "\\"' + b"{" * 1000 + b'"}')
    with pytest.raises(NotStrictError):
        parse_json(b'"\\')


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_json(answer(b'\xef\xbb\xbf{"a": 1}'), "X") == {"a": 1}


@given(st.binary(max_size=200))
def test_s30_no_body_makes_reading_fail_in_another_way(body: bytes) -> None:
    for headers in (JSON, {"content-type": "application/x-www-form-urlencoded"}, {}):
        with contextlib.suppress(Transient, PeerFault):
            assert isinstance(read_json(Response(200, headers, body, AT), "X"), dict)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": 1, "a": 2, "refresh_token" : "r-1"}', "r-1"),
        (b'{"team": "caf\xe9", "refresh_token": "r-1"}', "r-1"),
        (b'{"refresh_token": "r-1", "n": NaN} and more', "r-1"),
        (b'{"refresh_token": "r-1", "access_token": "cut', "r-1"),
        (b'{"refresh_token": "a\\/b\\u0041"', "a/bA"),
        ('{"refresh_token": "r-1"}'.encode("utf-16"), "r-1"),
        (b'{"user": {"refresh_token": "r-1"}', "r-1"),
        (b'{"refresh_token": "r-1", "refresh_token": "r-2"}', "r-2"),
        (b"access_token=a&refresh_token=r%2D1&a=1&a=2", "r-1"),
        (b'{"refresh_token": "cut o', None),
        (b'{"refresh_token": "bad \\x"}}', None),
        (b'{"refresh_token": null}}', None),
        (b'{"said": "\\"refresh_token\\": \\"r-1\\""}}', None),
        (b'["refresh_token", "r-1"]]', None),
        (b'<html>{"refresh_token": "r-1"}</html>', None),
        (b"", None),
        (b'"' + b'\\"' * 500_000, None),
        (b'"' * 500_001, None),
        (b'{"refresh_token": ' * 50_000, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_s30_a_token_is_found_in_a_body_that_cannot_be_read(body: bytes, found: str | None) -> None:
    assert text_within(body, "refresh_token") == found


@given(st.binary(max_size=200))
def test_s30_looking_for_a_token_never_fails(body: bytes) -> None:
    text_within(b'{"refresh_token": ' + body, "refresh_token")


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner,
                        max_size=3)))  # fmt: skip
def test_what_is_json_is_read(value: Any) -> None:
    assert parse_json(json.dumps({"v": value}).encode()) == {"v": value}


def test_a_form_where_the_server_says_so() -> None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    read = parse_object(Response(200, headers, b"access_token=a%20b&scope=x%2Cy&token_type=bearer", AT))
    assert read == {"access_token": "a b", "scope": "x,y", "token_type": "bearer"}
    assert parse_object(Response(200, {"content-type": "text/plain"}, b"a=b", AT)) == {"a": "b"}
    assert parse_object(Response(200, {"content-type": "text/plain"}, b' {"a": 1}', AT)) == {"a": 1}


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"<html>", b"a", b"a=%ff", "a=ü".encode(), b"&".join([b"a=1"] * 300)]
)
def test_a_form_that_is_not_strict(body: bytes) -> None:
    with pytest.raises(NotStrictError):
        parse_object(Response(200, {"content-type": "application/x-www-form-urlencoded"}, body, AT))


@pytest.mark.parametrize("response", [
    Response(200, HTML, b"<html>sign in to the airport</html>", AT),
    Response(200, {}, b"\n <!doctype html>", AT),
    Response(200, JSON, b"<html>", AT),
], ids=["html", "sniffed", "mislabelled"])  # fmt: skip
def test_s30_a_web_page_with_200_is_a_captive_portal(response: Response) -> None:
    with pytest.raises(Transient) as refused:
        read_json(response, "X")
    assert refused.value.code == "captive_portal"
    assert not refused.value.answered


def test_a_protection_page_is_told_apart() -> None:
    page = Response(200, {**HTML, "server": "cloudflare"}, b"<html>Just a moment", AT)
    with pytest.raises(Transient) as refused:
        read_json(page, "The token endpoint")
    assert "Cloudflare" in refused.value.message
    assert refused.value.code == "provider_unavailable"
    assert not refused.value.answered
    error = failure(replace(page, status=403), "The token endpoint")
    assert isinstance(error, Transient)
    assert "Cloudflare" in error.message
    assert error.answered
    assert is_cloudflare(Response(403, {"cf-mitigated": "challenge"}, b"", AT))
    assert is_cloudflare(Response(403, {**HTML, "cf-ray": "1"}, b"", AT))
    assert not is_cloudflare(Response(403, {**JSON, "server": "cloudflare"}, b"{}", AT))


# --- failures -----------------------------------------------------------------------------------------------


def kind_of(error: KeyfobError) -> tuple[type, str]:
    return type(error), error.code


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer({"error": "invalid_grant"}, 400), (SignInNeeded, "grant_ended")),
        (answer({"error": "invalid_grant"}, 401), (SignInNeeded, "grant_ended")),
        (answer({"error": "invalid_grant"}, 200), (SignInNeeded, "grant_ended")),
        (answer({"error": "refresh_token_reused"}, 400), (SignInNeeded, "grant_ended")),
        (answer({"error": {"code": "refresh_token_reused"}}, 400), (SignInNeeded, "grant_ended")),
        (answer({"error": "invalid_grant"}, 503), (Transient, "provider_unavailable")),
        (answer({"error": "invalid_grant"}, 429), (Transient, "rate_limited")),
        (answer({"error": "INVALID_GRANT"}, 400), (PeerFault, "protocol_violation")),
        (answer({"error": "invalid_grant"}, 302), (Transient, "provider_unavailable")),
        (answer({"error": "incorrect_client_credentials"}, 200), (SettingWrong, "client_refused")),
        (answer({"error": "invalid_client"}, 401), (SettingWrong, "client_refused")),
        (answer({"error": "unauthorized_client"}, 400), (SettingWrong, "client_refused")),
        (answer({"error": "invalid_scope"}, 400), (SettingWrong, "scope_refused")),
        (answer({"error": "access_denied"}, 400), (SignInEnded, "declined")),
        (answer({"error": "invalid_request"}, 400), (PeerFault, "protocol_violation")),
        (answer({"error": "temporarily_unavailable"}, 400), (Transient, "provider_unavailable")),
        (answer({"error": "rate_limit_exceeded"}, 403), (Transient, "rate_limited")),
        (answer({}, 400), (PeerFault, "protocol_violation")),
        (answer({}, 500), (Transient, "provider_unavailable")),
        (answer(b"", 502), (Transient, "provider_unavailable")),
        (answer(b"", 408), (Transient, "provider_unavailable")),
        (answer(b"", 429), (Transient, "rate_limited")),
        (answer(b"", 511), (Transient, "captive_portal")),
        (answer(b"", 400), (Transient, "request_refused")),
        (answer(b"<html>blocked</html>", 403, content_type="text/html"), (Transient, "request_refused")),
        (answer(b"<html>gone</html>", 404, content_type="text/html"), (Transient, "request_refused")),
        (answer(b"", 302, location="http://portal.example/login"), (Transient, "captive_portal")),
        (answer(b"", 307, location="/elsewhere"), (Transient, "provider_unavailable")),
        (answer(b"", 308, location="https://[bad"), (Transient, "provider_unavailable")),
        (answer(b"", 301), (Transient, "provider_unavailable")),
    ],
    ids=lambda value: f"{value.status}-{value.body[:30]!r}" if isinstance(value, Response) else "",
)  # fmt: skip
def test_s39_only_the_grants_true_end_ends_it(response: Response, expected: tuple[type, str]) -> None:
    error = token_failure(PROVIDER, response, "The token endpoint")
    assert kind_of(error) == expected
    if isinstance(error, Transient):
        assert error.sent
        assert error.answered  # a complete answer came: nothing was lost on the way


@given(st.integers(300, 599), st.text(max_size=30), st.sampled_from(["application/json", "text/html", ""]))
def test_s39_no_other_answer_ends_a_grant(status: int, code: str, kind: str) -> None:
    response = Response(status, {"content-type": kind}, json.dumps({"error": code}).encode(), AT)
    ended = isinstance(token_failure(PROVIDER, response, "X"), SignInNeeded)
    said = code in ("invalid_grant", "refresh_token_reused") and 400 <= status < 500 and status != 429
    assert ended is said


def test_elsewhere_invalid_grant_ends_nothing() -> None:
    assert kind_of(failure(answer({"error": "invalid_grant"}, 400), "X")) == (PeerFault, "protocol_violation")
    with pytest.raises(Transient):
        read_json(answer({}, 503), "X")


def test_a_peers_words_are_made_plain_and_stand_in_the_details() -> None:
    words = "line\r\nbreak \x1b[31m \u202egnp <script>" + "x" * 1_000_000
    error = failure(answer({"error": "invalid_request", "error_description": words}, 400), "The endpoint")
    assert error.message == "The endpoint refused the request"
    assert error.detail.startswith("The endpoint answered 400: invalid_request: line")
    for bad in ("\x1b", "\n", "\u202e"):
        assert bad not in error.detail
    assert len(error.detail) < 400


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "invalid_grant", "Demo ended this sign-in"),
        (503, "temporarily_unavailable", "Demo is not available right now"),
        (500, "whatever", "Demo is not available right now"),
        (429, "slow_down", "Demo asked Keyfob to wait"),
        (401, "invalid_client", "Demo does not accept this app registration"),
        (400, "invalid_scope", "Demo does not accept the scopes"),
        (400, "access_denied", "Demo did not allow access"),
        (418, "teapot", "Demo refused the request"),
    ],
)
def test_the_sentence_has_no_code_and_the_details_have_it(status: int, code: str, message: str) -> None:
    response = answer({"error": code, "error_description": "So it is"}, status)
    error = token_failure(Provider("demo", "Demo"), response, "Demo's token endpoint")
    assert error.message == message
    assert error.detail == f"Demo's token endpoint answered {status}: {code}: So it is"


@pytest.mark.parametrize(
    ("data", "field", "code", "told"),
    [
        ({"error": "x", "error_description": "y"}, "error", "x", "y"),
        ({"error": 400, "message": "Bad Request"}, "error", "400", "Bad Request"),
        ({"message": "Invalid refresh token"}, "message", "Invalid refresh token", "Invalid refresh token"),
        ({"error": {"code": "c", "message": "m"}}, "error", "c", "m"),
        ({"error": {"type": "t"}}, "error", "t", ""),
        ({"error": {"message": "only words"}}, "error", "only words", "only words"),
        ({"error": {}}, "error", None, ""),
        ({"errors": [{"errorType": "invalid_grant"}]}, "errors.0.errorType", "invalid_grant", ""),
        ({"errors": []}, "errors.0.errorType", None, ""),
        ({"error": None}, "error", None, ""),
        ({"error": ""}, "error", None, ""),
        ({"error": 0}, "error", None, ""),
        ({"error": False}, "error", None, ""),
        ({"error": ["x"]}, "error", None, ""),
        ({"error_description": 7}, "error", None, ""),
        ({}, "error", None, ""),
        (None, "error", None, ""),
    ],
)
def test_errors_in_all_their_shapes(data: Any, field: str, code: str | None, told: str) -> None:
    assert error_of(data, field) == (code, told)


def test_a_preset_names_the_error_field() -> None:
    twitch = Provider(
        "t", "T",
        token_answer=TokenAnswer(error_field="message"),
        lifetimes=Lifetimes(terminal_errors=("Invalid refresh token",)),
    )  # fmt: skip
    response = answer({"status": 400, "message": "Invalid refresh token"}, 400)
    assert kind_of(token_failure(twitch, response, "X")) == (SignInNeeded, "grant_ended")


ATLASSIAN = Lifetimes(terminal=(AnswerPattern("error_description", "refresh_token is invalid"),))
STRAVA = Lifetimes(terminal=(AnswerPattern("errors.0.resource", "RefreshToken"),))
GONE = {"message": "Bad Request", "errors": [{"resource": "RefreshToken"}]}
CLIENT = {"error": "unauthorized_client"}
NUMBERED = Lifetimes(terminal=(AnswerPattern("code", "40[0-9]"),))


@pytest.mark.parametrize(
    ("lifetimes", "data", "status", "kind"),
    [
        (STRAVA, GONE, 400, "grant_ended"),
        (STRAVA, {**GONE, "errors": [{"resource": "Application"}]}, 400, "protocol_violation"),
        (STRAVA, GONE, 503, "provider_unavailable"),
        (STRAVA, GONE, 408, "provider_unavailable"),
        (STRAVA, GONE, 429, "rate_limited"),
        (STRAVA, {"errors": [{"resource": {"RefreshToken": 1}}]}, 400, "protocol_violation"),
        (ATLASSIAN, {**CLIENT, "error_description": "refresh_token is invalid"}, 403, "grant_ended"),
        (ATLASSIAN, {**CLIENT, "error_description": "client is gone"}, 403, "client_refused"),
        (ATLASSIAN, {**CLIENT, "error_description": "refresh_token is invalid?"}, 403, "client_refused"),
        (NUMBERED, {"code": 401, "error": "x"}, 400, "grant_ended"),
        (NUMBERED, {"code": 500, "error": "x"}, 400, "protocol_violation"),
        (NUMBERED, {"code": "4" * 9999, "error": "x"}, 400, "protocol_violation"),
    ],
)  # fmt: skip
def test_a_preset_names_the_field_that_ends_a_grant(
    lifetimes: Lifetimes, data: Any, status: int, kind: str
) -> None:
    provider = Provider("p", "P", lifetimes=lifetimes)
    assert token_failure(provider, answer(data, status), "X").code == kind


@pytest.mark.parametrize("code", ["interaction_required", "login_required", "consent_required"])
def test_an_error_that_wants_the_person_ends_the_grant_and_says_so(code: str) -> None:
    """OpenID Connect Core 3.1.2.6: no renewal can answer it."""
    error = token_failure(PROVIDER, answer({"error": code, "error_description": "MFA"}, 400), "X")
    assert kind_of(error) == (SignInNeeded, "grant_ended")
    assert error.message == "Demo asks you to sign in again"
    assert code in error.detail
    assert token_failure(PROVIDER, answer({"error": code}, 503), "X").code == "provider_unavailable"


# --- Retry-After --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("0", 0),
        ("1.5", 1.5),
        ("999999999999", 86_400),
        ("9" * 18, 86_400),
        ("Fri, 20 Nov 2026 12:02:00 GMT", 120),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 20 Nov 2026 12:02:00 -0000", 120),
        ("Fri, 20 Nov 2099 12:02:00 GMT", 86_400),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٥", None),
        ("Fri, 99 Nov 2026 12:02:00 GMT", None),
    ],
)
def test_s39_retry_after(value: str, seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    response = answer({}, 429, retry_after=value)
    assert retry_after(response) == expected
    assert failure(response, "X").retry_after == expected


@given(st.text(max_size=40))
def test_no_retry_after_makes_it_fail(value: str) -> None:
    wait = retry_after(answer({}, 503, retry_after=value))
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
