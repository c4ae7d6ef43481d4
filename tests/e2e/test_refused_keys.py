"""A key that the provider refuses in a test of ours: the account needs its user, and nothing is deleted."""

from __future__ import annotations

import pytest

from support.workshop import Bench

pytestmark = [pytest.mark.keychain, pytest.mark.timeout(120)]

KEY = "key-of-the-workshop-1234"


@pytest.fixture
def tried(bench: Bench) -> Bench:
    bench.connect_key(KEY)
    bench.shop.seen.clear()
    return bench


def asked(bench: Bench) -> int:
    return len(bench.shop.tokens_seen("/api/user"))


def status(bench: Bench) -> str:
    return str(bench.keyfob("status", "workshop", "--json").json["status"])


def test_a_key_that_the_test_finds_refused_needs_its_user_and_is_kept(tried: Bench) -> None:
    tried.shop.keys.discard(KEY)
    refused = tried.keyfob("test", "workshop")
    assert (refused.code, refused.out) == (3, "")
    words = "keyfob: Workshop refused this key. Enter a new one with `keyfob reconnect workshop/robot`.\n"
    assert refused.err == words
    assert asked(tried) == 2

    row = tried.keyfob("status", "workshop", "--json").json
    assert row["status"] == "needs_sign_in"
    error = row["last_error"]
    assert (error["code"], error["message"], error["advice"]) == (
        "key_rejected",
        "Workshop refused this key",
        "sign_in_again",
    )
    shown = tried.keyfob("status", "workshop").out
    assert "Workshop refused this key" in shown
    assert "Run: keyfob reconnect workshop/robot" in shown
    events = tried.keyfob("events", "--json").json["events"]
    assert [(e["kind"], e["message"]) for e in events][-1] == ("needs_sign_in", "Workshop refused this key")
    token = tried.keyfob("token", "workshop")
    assert (token.code, token.out) == (3, "")
    assert KEY not in refused.err + shown + token.err

    # It was the provider's mistake: the key is still there, and a test that passes ends the need.
    tried.shop.keys.add(KEY)
    assert tried.keyfob("test", "workshop").code == 0
    assert status(tried) == "connected"
    assert tried.token() == KEY


def test_a_refused_key_is_told_once_and_replaced_by_a_new_one(tried: Bench) -> None:
    tried.shop.keys.discard(KEY)
    for _ in range(2):
        assert tried.keyfob("test", "workshop").code == 3
    kinds = [event["kind"] for event in tried.keyfob("events", "--json").json["events"]]
    assert kinds.count("needs_sign_in") == 1
    tried.shop.keys.add("key-of-the-workshop-5678")
    done = tried.keyfob("reconnect", "workshop", "--api-key-stdin", stdin="key-of-the-workshop-5678\n")
    assert done.code == 0, done.err
    assert status(tried) == "connected"
    assert tried.token() == "key-of-the-workshop-5678"


def test_one_401_or_a_403_refuses_no_key(tried: Bench) -> None:
    tried.shop.user_statuses = [401]
    assert tried.keyfob("test", "workshop").code == 0
    assert status(tried) == "connected"
    for answers in ([403], [401, 403], [401, 503]):
        tried.shop.user_statuses = list(answers)
        assert tried.keyfob("test", "workshop").code != 0
        assert (status(tried), tried.shop.user_statuses) == ("connected", [])
    assert tried.token() == KEY
