"""AWS key pairs, in the forms that users paste them in."""

from __future__ import annotations

import json

import pytest

from keyfob.core.aws_key import key_pair
from keyfob.core.secret import Secret

ID, KEY = "AKIAEXAMPLEEXAMPLE00", "abcd/efgh+ijklmnopqrst"
PAIR = {"AccessKeyId": ID, "SecretAccessKey": KEY}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f" {ID}:{KEY}\n", PAIR),
        (json.dumps(PAIR), PAIR),
        (json.dumps({"Credentials": PAIR | {"SessionToken": "s", "Expiration": "2026-11-20T12:00:00Z"}}),
         PAIR | {"SessionToken": "s", "Expiration": "2026-11-20T12:00:00Z"}),
        (json.dumps({"access_key": ID, "secret_key": KEY, "region": "x"}), PAIR),
        (json.dumps({"aws_access_key_id": ID, "aws_secret_access_key": KEY, "session_token": ""}), PAIR),
        (json.dumps({"AccessKeyId": ID}), None),
        (json.dumps({"AccessKeyId": ID, "SecretAccessKey": 7}), None),
        (json.dumps([ID, KEY]), None),
        (f"{ID.lower()}:{KEY}", None),
        ("ghp_abcdefghijklmnop", None),
        ("user:password", None),
    ],
)  # fmt: skip
def test_a_pair_is_found_and_nothing_else(text: str, found: dict[str, str] | None) -> None:
    assert key_pair(Secret(text)) == found
