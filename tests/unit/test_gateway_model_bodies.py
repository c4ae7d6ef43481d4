"""A request's body at the gateway's LLM addresses: parsed, and renamed without another change."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.gateway.models.bodies import BodyError, parsed, renamed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    before=st.dictionaries(st.text(max_size=6).filter(lambda name: name not in ("model", "stream")), VALUES),
    indent=st.sampled_from([None, 0, 2]),
    model=st.text(min_size=1, max_size=10),
    first=st.booleans(),
)
def test_only_the_models_name_changes(
    before: dict[str, Any], indent: int | None, model: str, first: bool
) -> None:
    body = {"model": "old", **before} if first else {**before, "model": "old"}
    raw = json.dumps(body, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    made = renamed(raw, model)
    assert json.loads(made) == {**json.loads(raw), "model": model}
    assert len(made) - len(json.dumps(model)) == len(raw) - len('"old"')


def test_every_other_byte_stays() -> None:
    raw = b' {"a" : [1.0, 1e3],\n"model" :\t"x" , "model2":"\\u00e9" } '
    assert renamed(raw, "y") == b' {"a" : [1.0, 1e3],\n"model" :\t"y" , "model2":"\\u00e9" } '


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "not JSON"),
        (b"[1]", "object"),
        (b'{"model": 7}', "model"),
        (b"{}", "model"),
        (b'{"model": "a", "model": "b"}', "twice"),
        (b'{"model": "a", "x": {"b": 1, "b": 2}}', "twice"),
        (b'{"model": "a", "stream": "yes"}', "stream"),
        (b"[" * 100000, "not JSON"),
        (b'{"model": "\xff"}', "not JSON"),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_or_none_is_refused(raw: bytes, word: str) -> None:
    """S-53."""
    with pytest.raises(BodyError, match=word) as refused:
        asyncio.run(parsed(raw))
    assert refused.value.status == 400
