"""A preset's reason for an early end is shown only for a sign-in that ended when the preset says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyfob.core.account import ErrorNote, NeedsSignIn, Record
from keyfob.core.error_codes import Advice, ErrorCode
from keyfob.providers.catalogue import standard
from keyfob.service.accounts.account_views import ended_hint
from support.records import AT, a_record


def ended(days: float, code: ErrorCode = "grant_ended") -> Record:
    note = ErrorNote(code, "Google ended this sign-in", Advice.SIGN_IN_AGAIN, AT)
    record = a_record(provider="google", status=NeedsSignIn(AT, note))
    return replace(record, connected_at=AT - timedelta(days=days), last_error=note)


@pytest.mark.parametrize(
    ("days", "fits"), [(6.4, False), (6.5, True), (7, True), (7.9, True), (8.1, False), (30, False)]
)
def test_google_s_week_is_named_if_it_was_a_week(tmp_path: Path, days: float, fits: bool) -> None:
    google = standard(tmp_path).get("google")
    assert ("7 days" in ended_hint(google, ended(days))) is fits


def test_no_reason_is_given_for_another_end_or_another_provider(tmp_path: Path) -> None:
    presets = standard(tmp_path)
    assert ended_hint(presets.get("google"), ended(7, "token_expired")) == ""
    assert ended_hint(presets.get("github"), ended(7)) == ""
    assert ended_hint(presets.get("google"), a_record(provider="google")) == ""
    assert ended_hint(presets.get("google"), replace(ended(7), connected_at=None)) == ""
