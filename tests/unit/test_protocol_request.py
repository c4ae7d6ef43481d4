"""The reader of HTTP requests that the agent and the callback listener share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.protocol.http.request import MAX_HEADERS, MAX_LINE, Head, MalformedError, TooLongError, read_head

WHOLE = b"POST /a?b=c HTTP/1.0\r\nHost: keyfob\r\nCookie: caf\xe9\r\nX:\t 1 \r\nhost: other\r\nEmpty:\r\n\r\n"


def test_a_head_is_read_with_every_value_and_what_follows_is_left() -> None:
    assert read_head(WHOLE + b"body") == Head(
        "POST",
        "/a?b=c",
        "HTTP/1.0",
        {"host": ["keyfob", "other"], "cookie": ["caf\xe9"], "x": ["1"], "empty": [""]},
        len(WHOLE),
    )


def test_every_beginning_waits_for_more() -> None:
    assert [read_head(WHOLE[:cut]) for cut in range(len(WHOLE))] == [None] * len(WHOLE)


@pytest.mark.parametrize("end", [b"", b" HTTP/1.1\r\n\r\n"])
def test_a_long_request_line_is_refused_before_and_after_it_ends(end: bytes) -> None:
    with pytest.raises(TooLongError):
        read_head(b"GET /" + b"x" * MAX_LINE + end)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_long_headers_are_refused_before_and_after_they_end(end: bytes) -> None:
    with pytest.raises(TooLongError):
        read_head(b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEADERS + end)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",  # TLS
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\r",
        b"GET /\x00",
        b"GET / HTTP/1.1\r\nX: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x7f\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.2\r\n\r\n",
        b"GET /#part HTTP/1.1\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\n\r\n",
        b"GET http://keyfob/ HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read_head(data)


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        head = read_head(b"GET / HTTP/1.1\r\n" + data)
    except MalformedError:
        return
    assert head is None or head.size <= len(data) + 16


def test_nothing_secret_in_the_repr() -> None:
    head = read_head(b"GET /?code=s3cret HTTP/1.1\r\nAuthorization: s3cret\r\n\r\n")
    assert head is not None
    assert "s3cret" not in repr(head)
