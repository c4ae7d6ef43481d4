"""S-25: what a peer quotes of our own secrets is taken out of its words."""

from __future__ import annotations

import base64

import pytest

from keyfob.core.errors import PeerFault
from keyfob.core.http import Request
from keyfob.core.text import plain
from keyfob.protocol.http.redaction import INSTEAD, PART, SHORTEST, silence

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
        # As AWS IAM Identity Center takes it, and as a preset may name it.
        Request("POST", "https://id.example/token", "refresh", {}, b'{"refreshToken": "rt-12345678"}'),
        Request("GET", "https://id.example/me?auth-key=rt-12345678&x=1", "whoami"),
    ],
    ids=["form", "json", "bearer", "header", "query", "camel case", "any name"],
)
def test_a_quoted_secret_is_silenced(request_: Request) -> None:
    error = PeerFault("It says: rt-12345678 is unknown", detail="rt-12345678", facts={"path": "rt-12345678"})
    silence(error, [request_])
    assert "rt-12345678" not in f"{error} {error!r} {error.detail} {error.facts} {error.sentence()}"
    assert error.message == "It says: [redacted] is unknown"


def test_what_is_no_secret_is_left_in_the_words() -> None:
    body = (
        b"client_id=the-client-id&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&code=short&grant_type="
        b"authorization_code"
    )
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


LONG = "".join(f"{number:03d}-" for number in range(150))  # 600 characters, no 16 of them twice


def heard(text: str, secret: str = LONG) -> str:
    error = PeerFault(text, detail=text, facts={"path": text})
    silence(error, [Request("POST", "https://id.example/x", "token", {}, f"refresh_token={secret}".encode())])
    assert error.message == error.detail == error.facts["path"] == error.args[0]
    return error.message


def test_a_secret_that_was_cut_is_silenced() -> None:
    """A peer's description is cut to 200 characters before anybody can look for the whole secret in it."""
    assert heard(plain(f"The refresh token {LONG} has expired")) == "The refresh token [redacted]…"


@pytest.mark.parametrize("start", range(150, 200))
def test_wherever_it_is_cut(start: int) -> None:
    words = heard(plain(f"{'.' * start}{LONG} has expired"))
    assert len(words.strip(".…")) < SHORTEST or words.endswith(f"{INSTEAD}…")
    assert LONG[:SHORTEST] not in words


@pytest.mark.parametrize("at", [0, 1, 57, len(LONG) - PART])
def test_a_part_of_a_secret_is_silenced(at: int) -> None:
    assert heard(f"begins {LONG[at : at + PART]} ends") == "begins [redacted] ends"
    assert heard(f"begins {LONG[at : at + 90]} ends") == "begins [redacted] ends"
    assert heard(f"{LONG[-PART - 9 : -9]},{LONG[:PART]}") == "[redacted],[redacted]"


def test_fewer_characters_may_be_chance() -> None:
    assert heard(f"begins {LONG[40 : 40 + PART - 1]} ends") == f"begins {LONG[40 : 40 + PART - 1]} ends"


def test_a_client_secret_sent_by_basic_is_silenced() -> None:
    value = "Basic " + base64.b64encode(b"app:s%2B+cret-12345").decode()
    error = PeerFault("The secret s+ cret-12345 is wrong")
    silence(error, [Request("POST", "https://id.example/x", "token", {"Authorization": value})])
    assert error.message == "The secret [redacted] is wrong"
    error = PeerFault("Invalid key: a-key-as-the-user")
    value = "Basic " + base64.b64encode(b"a-key-as-the-user:").decode()
    silence(error, [Request("GET", "https://id.example/x", "whoami", {"Authorization": value})])
    assert error.message == "Invalid key: [redacted]"
    error.message = "The secret [redacted] is wrong"
    for odd in ("Basic not-base64!", "Basic " + base64.b64encode(b"app:short").decode()):
        silence(error, [Request("POST", "https://id.example/x", "token", {"Authorization": odd})])
    assert error.message == "The secret [redacted] is wrong"
