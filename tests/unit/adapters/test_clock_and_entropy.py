"""The clock is aware and in UTC; chance is long enough, fit for a code_verifier and never the same."""

from __future__ import annotations

import re
import time
from datetime import UTC, timedelta

import pytest

from keyfob.adapters.system.clock import now
from keyfob.adapters.system.entropy import entropy


def test_now_is_aware_in_utc_and_right() -> None:
    assert now().tzinfo is UTC
    assert abs(now().timestamp() - time.time()) < 5
    assert now().utcoffset() == timedelta(0)


def test_entropy_is_base64url_without_padding_and_unique() -> None:
    drawn = [entropy(32) for _ in range(10_000)]
    assert len(set(drawn)) == 10_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each) for each in drawn)


def test_no_chance_is_a_bug() -> None:
    with pytest.raises(ValueError):
        entropy(0)
