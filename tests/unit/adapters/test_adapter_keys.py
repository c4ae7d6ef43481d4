"""The keys that are made."""

from __future__ import annotations

from keyfob.adapters.system.keys import new_key, thumbprint


def test_no_key_id_is_taken_for_an_option() -> None:
    """One in 64 thumbprints begins with a dash: without care, 600 keys hold one with a chance of 99.99 %."""
    keys = [new_key() for _ in range(600)]
    assert not [key.kid for key in keys if key.kid.startswith("-")]
    assert all(key.kid == thumbprint(dict(key.public_jwk)) for key in keys)
