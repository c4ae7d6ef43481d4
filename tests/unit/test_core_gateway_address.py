"""A gateway's address, and an account's below it."""

from __future__ import annotations

import pytest

from keyfob.core.errors import Usage
from keyfob.core.gateway_address import account_path, checked_address, own_address


def test_an_account_below_an_address() -> None:
    assert own_address(2026) == "http://127.0.0.1:2026"
    assert account_path("github", "you") == "/github/you"
    assert account_path("github", "a/b c", "github.com") == "/github@github.com/a%2Fb%20c"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:2026/", "http://127.0.0.1:2026"),
        ("http://localhost:2026", "http://localhost:2026"),
        ("https://Gateway.example.org", "https://gateway.example.org"),
    ],
)
def test_addresses_that_a_key_may_be_sent_to(text: str, address: str) -> None:
    assert checked_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gateway.example.org",
        "http://gateway.example.org",  # the key would be readable on the way
        "ftp://127.0.0.1",
        "https://user@gateway.example.org",
        "https://gateway.example.org/path",
        "https://gateway.example.org/?q",
        "https://gateway.example.org/#x",
        "https://[broken",
        "https://gateway.example.org:port",
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(Usage):
        checked_address(text)
