"""The agent's HTTP: what it takes, and that it guesses at nothing."""

from __future__ import annotations

import pytest

from keyfob.agent.http import BODY_MOST, HEAD_MOST, Answer, BadRequestError, document, take


def test_a_request_is_taken_whole_and_what_follows_is_left() -> None:
    first = (
        b"POST /v1/token/a%40b?min_life=5&min_life=7 HTTP/1.1\r\nHost: keyfob\r\nContent-Length: "
        b"4\r\n\r\n{}  "
    )
    taken = take(first + b"GET / HTTP/1.1\r\n")
    assert taken is not None
    request, size = taken
    assert size == len(first)
    assert (request.method, request.parts, request.query) == (
        "POST",
        ["v1", "token", "a@b"],
        {"min_life": "7"},
    )
    assert request.json() == {}
    assert request.keep_alive
    for cut in range(len(first)):
        assert take(first[:cut]) is None


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        ("HTTP/1.1\r\nConnection: close", False),
        ("HTTP/1.0", False),
        ("HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_the_connection_stays_as_the_client_says(line: str, keeps: bool) -> None:
    taken = take(f"GET / {line}\r\n\r\n".encode())
    assert taken is not None
    assert taken[0].keep_alive is keeps


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET http://keyfob/v1 HTTP/1.1\r\n\r\n", 400),  # the absolute form is a proxy's
        (b"GET /\r\n\r\n", 400),
        (b"\x16\x03\x01 / HTTP/1.1\r\n\r\n\xff", 400),
        ("GET /é HTTP/1.1\r\n\r\n".encode(), 400),
        (b"GET / HTTP/1.1\r\nHost : keyfob\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: keyfob\n\n", 400),
        (b"GET / HTTP/1.1\r\nAccept: a\r\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_MOST + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % (b"9" * 5000), 413),
        (b"GET /" + b"x" * HEAD_MOST, 431),
        (b"GET /" + b"x" * HEAD_MOST + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_what_is_no_plain_request_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        take(data)
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"[]", b"nothing", b'{"a":', b"[" * 20_000])
def test_a_body_is_an_object_or_refused(body: bytes) -> None:
    taken = take(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert taken is not None
    with pytest.raises(BadRequestError):
        taken[0].json()


def test_answers_are_never_cached() -> None:
    text = document({"a": 1}).encode(keep_alive=True).decode()
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert "Cache-Control: no-store\r\n" in text
    assert "Connection: keep-alive\r\n" in text
    assert "Access-Control" not in text
    assert Answer(299).encode(keep_alive=False).startswith(b"HTTP/1.1 299 Unknown\r\n")
