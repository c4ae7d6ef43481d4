"""S-25: what a peer quotes of our own secrets is taken out of its words."""

from __future__ import annotations

import pytest

from keyfob.core.errors import PeerFault
from keyfob.core.wire import Request
from keyfob.protocol.echoes import silence

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "request_",
    [
        Request(
            "POST", "https://id.example/token", "token", {"Content-Type": FORM}, b"refresh_token=rt-12345678"
        ),
        Request("POST", "https://id.example/token", "token", {}, b'{"refresh_token": "rt-12345678", "n": 1}'),
        Request("GET", "https://id.example/me", "whoami", {"Authorization": "Bearer rt-12345678"}),
        Request("GET", "https://id.example/me", "whoami", {"X-Key": "rt-12345678"}),
        Request("GET", "https://id.example/me?access_token=rt-12345678", "whoami"),
    ],
    ids=["form", "json", "bearer", "header", "query"],
)
def test_a_quoted_secret_is_silenced(request_: Request) -> None:
    error = PeerFault("It says: rt-12345678 is unknown", detail="rt-12345678", remedy="Not rt-12345678.")
    silence(error, [request_])
    assert "rt-12345678" not in f"{error} {error!r} {error.detail} {error.remedy} {error.sentence()}"
    assert error.message == "It says: [redacted] is unknown"


def test_what_is_no_secret_is_left_in_the_words() -> None:
    body = b"client_id=the-client-id&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&code=short&grant_type=authorization_code"
    error = PeerFault("the-client-id may not use http://127.0.0.1/callback with authorization_code, short")
    before = error.message
    silence(
        error,
        [Request("POST", "https://id.example/token", "token", {"User-Agent": "Keyfob/1.0 and more"}, body)],
    )
    assert error.message == before


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{nonsense", b"", None])
def test_a_body_that_is_neither_form_nor_json_is_no_obstacle(body: bytes | None) -> None:
    error = PeerFault("well")
    silence(error, [Request("POST", "https://id.example/x", "api", {}, body)])
    assert error.message == "well"


def test_the_longer_secret_goes_first() -> None:
    error = PeerFault("no abcdefgh-and-more")
    silence(
        error,
        [
            Request(
                "POST", "https://id.example/x", "token", {}, b"code=abcdefgh&refresh_token=abcdefgh-and-more"
            )
        ],
    )
    assert error.message == "no [redacted]"
