"""Presets as written text: what is read back is what was meant."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.providers.toml_text import to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
keys = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True)
plain = texts | st.integers(-(2**62), 2**62) | st.booleans() | st.lists(texts, min_size=1, max_size=3)


@given(st.dictionaries(keys, plain | st.dictionaries(texts, plain, min_size=1, max_size=3), max_size=5))
def test_what_is_written_is_read_back(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table, comment="two\nlines")) == table


def test_what_is_not_set_is_left_out_and_tables_come_last() -> None:
    text = to_toml({"a": None, "t": {"x": "1", "y": [], "z": None}, "u": {}, "b": True, "c": ["p"]})
    assert text == 'b = true\nc = ["p"]\n\n[t]\nx = "1"\n'


def test_a_table_in_a_table_is_written_inline() -> None:
    assert tomllib.loads(to_toml({"identity": {"map": {"subject": "sub"}}})) == {
        "identity": {"map": {"subject": "sub"}}
    }


def test_what_a_preset_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        to_toml({"a": 1.5})
