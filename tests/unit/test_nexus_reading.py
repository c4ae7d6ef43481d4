"""What the API answers, read: limits in both shapes, mods without fields, names that are hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.nexus import reading
from keyfob.nexus.limits import limits_of, moment
from keyfob.nexus.models import Limits
from keyfob.nexus.queue import NAME_MOST, free_name, safe_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MOD_KEYS = (
    "mod_id", "name", "summary", "picture_url", "version", "author", "available", "status", "endorsement",
    "contains_adult_content", "updated_timestamp", "domain_name", "mod_downloads",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2019-10-02T16:00:00+00:00", datetime(2019, 10, 2, 16, tzinfo=UTC)),
        ("2019-10-03 00:00:00 +0000", datetime(2019, 10, 3, tzinfo=UTC)),
        ("2019-10-03 02:00:00 +0200", datetime(2019, 10, 3, tzinfo=UTC)),
        ("2026-01-02T03:04:05.000Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 50, None),
    ],
)
def test_both_shapes_of_a_time(text: str | None, at: datetime | None) -> None:
    assert moment(text) == at


def test_limits_that_are_missing_or_odd_are_unknown() -> None:
    before = Limits(daily_left=5)
    assert limits_of({"x-runtime": "0.1"}, before) is before
    odd = {"x-rl-daily-remaining": "many", "x-rl-hourly-remaining": "-1", "x-rl-hourly-limit": "500"}
    assert limits_of(odd, before) == Limits(hourly_limit=500)


def test_the_hourly_requests_are_a_reserve() -> None:
    assert not Limits(hourly_left=0, daily_left=100).used_up
    assert not Limits(hourly_left=5, daily_left=0).used_up
    assert Limits(hourly_left=0, daily_left=0).used_up
    assert not Limits().used_up
    assert not Limits(daily_left=2_000, daily_limit=20_000).low
    assert Limits(daily_left=1_999, daily_limit=20_000).low
    assert Limits(hourly_left=49, hourly_limit=500, daily_left=0, daily_limit=20_000).low


def test_a_mod_that_is_hidden_has_a_name_all_the_same() -> None:
    row = {"mod_id": 5, "game_id": 1, "contains_adult_content": False, "available": False, "status": "hidden"}
    mod = reading.mod(row, "skyrim", adult_pictures=False)
    assert mod is not None
    assert (mod.name, mod.available, mod.status, mod.version) == ("Mod 5", False, "hidden", "")
    assert reading.mod({}, "skyrim", adult_pictures=False) is None


def test_texts_are_plain() -> None:
    row = {
        "mod_id": 5,
        "name": "A\x1b[31m<b>B</b> &amp; C\u202e",
        "summary": "one<br />two [b]three[/b]",
        "version": " v1.2 ",
        "picture_url": "javascript:alert(1)",
        "updated_timestamp": 10**30,
    }
    mod = reading.mod(row, "skyrim", adult_pictures=True)
    assert mod is not None
    assert mod.name == "A\\x1b[31m B & C"
    assert (mod.summary, mod.version) == ("one two three", "1.2")
    assert (mod.picture, mod.updated_at) == (None, None)


def test_the_key_that_the_api_echoes_is_left() -> None:
    answer = {"user_id": 7, "key": "a-secret", "name": "Al", "is_premium?": True, "profile_url": None}
    profile = reading.profile(answer)
    assert profile is not None
    assert profile.membership == "Premium"
    assert "a-secret" not in repr(profile)
    assert reading.profile({"name": "x"}) is None


@given(JSON, st.fixed_dictionaries({}, optional=dict.fromkeys(MOD_KEYS, JSON)))
def test_nothing_that_the_api_sends_breaks_the_reader(value: Any, row: dict[str, Any]) -> None:
    list(reading.objects(value))
    reading.profile(value)
    reading.member(value)
    reading.mod_files(value)
    for each in reading.objects([row, value]):
        reading.mod(each, "skyrim", adult_pictures=True)
        reading.mod_node(each, adult_pictures=False)
        reading.mod_file(each)
        reading.game(each)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Quiet Roads 10 1.9.2.zip", "Quiet Roads 10 1.9.2.zip"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x.dll", "C__Windows_x.dll"),
        ("..", "file-7"),
        ("", "file-7"),
        ("con.zip", "file-7-con.zip"),
        ("a\nb\0.zip", "a_b_.zip"),
        ("x. ", "x"),
    ],
)
def test_s98_names_of_files_are_safe(name: str, safe: str) -> None:
    assert safe_name(name, 7) == safe


@given(st.text(max_size=400))
def test_s98_any_name_becomes_one_of_a_file_in_the_folder(name: str) -> None:
    safe = safe_name(name, 7)
    assert safe == Path(safe).name
    assert 0 < len(safe.encode()) <= NAME_MOST + 12
    assert safe not in (".", "..")
    assert safe.isprintable()


def test_no_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert free_name(path) == path
    path.touch()
    assert free_name(path).name == "a (2).zip"
    (tmp_path / "a (2).zip").touch()
    assert free_name(path).name == "a (3).zip"
