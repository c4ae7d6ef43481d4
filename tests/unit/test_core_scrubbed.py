"""Words of a provider without what could be a secret or name somebody."""

from __future__ import annotations

import pytest

from keyfob.core.scrubbed import scrubbed


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("answered 400: invalid_grant", "answered 400: invalid_grant"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln expired", "token [removed] expired"),
        ("see https://x.example/u/bob?id=1 now", "see [removed] now"),
        ("bob@x.example has no rights", "[removed] has no rights"),
        ("AADSTS50076: interaction_required", "AADSTS50076: interaction_required"),
        ("trace 0f8fad5b-d9cb-469f-a165-70867728950e", "trace [removed]"),
        ("Dear Bob Byrd, no", "[removed] [removed], no"),
        (
            "Invalid request. The client of Zoë McDonald is unknown",
            "Invalid request. The client of [removed] [removed] is unknown",
        ),
        ("Émile may not. OAuth scope is missing", "[removed] may not. OAuth scope is missing"),
        ("key AbCdEfGhIjKlMnOpQrStUvWxYz", "key [removed]"),
        ("temporarily_unavailable_for_everybody", "temporarily_unavailable_for_everybody"),
        ("BYRD bob", "[removed] [removed]"),
    ],
)
def test_scrubbing(text: str, left: str) -> None:
    assert scrubbed(text, ["Bob Byrd"]) == left
