"""One repeat for a nonce, one for a token, and no more."""

from __future__ import annotations

import pytest

from keyfob.core.repeats import Repeats, is_nonce_challenge

CHALLENGE = {"www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "n"}


def test_a_nonce_then_a_token_then_the_answer_stands() -> None:
    repeats = Repeats()
    assert [repeats.reason(401, CHALLENGE) for _ in range(3)] == ["nonce", "token", None]


def test_a_refused_token_is_replaced_once() -> None:
    repeats = Repeats()
    assert [repeats.reason(401, {}) for _ in range(2)] == ["token", None]
    assert repeats.reason(401, CHALLENGE) == "nonce"


@pytest.mark.parametrize(
    "headers", [{}, {"dpop-nonce": "n"}, {k: v for k, v in CHALLENGE.items() if k != "dpop-nonce"}]
)
def test_without_a_challenge_and_its_nonce_the_token_is_at_fault(headers: dict[str, str]) -> None:
    assert Repeats().reason(401, headers) == "token"


@pytest.mark.parametrize("status", [200, 302, 400, 403, 500])
def test_no_other_status_is_repeated(status: int) -> None:
    assert Repeats().reason(status, CHALLENGE) is None


def test_a_flow_may_know_of_the_challenge_from_the_body() -> None:
    repeats = Repeats()
    told = {"dpop-nonce": "n"}
    assert repeats.reason(400, told, asks_for_nonce=True) == "nonce"
    assert repeats.reason(400, told, asks_for_nonce=True) is None


def test_what_a_challenge_is() -> None:
    assert is_nonce_challenge({"www-authenticate": "Bearer, DPoP algs=ES256, error=use_dpop_nonce"})
    assert not is_nonce_challenge({"www-authenticate": 'Bearer error="use_dpop_nonce"'})
    assert not is_nonce_challenge({"www-authenticate": " " * 4096 + CHALLENGE["www-authenticate"]})
