"""The notation by which presets point into answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.protocol.http.json_path import read_path

DATA: dict[str, Any] = {
    "email": "a@example.org",
    "empty": "",
    "null": None,
    "zero": 0,
    "name": {"display": "Ada", "parts": ["Ada", "L"]},
    "data": [{"id": 7}, {"id": 8}],
    "user": {"roles": ["member", "premium"], "role": "supporter"},
    "paid": True,
    "unpaid": False,
    "icon": "a b/c",
    "https://api.example/auth": {"plan_type": "plus"},
    "a.b": {"c": 1},
    "a": {"b": {"d": 2}},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("email", "a@example.org"),
        ("name.display", "Ada"),
        ("name.parts.1", "L"),
        ("data.1.id", 8),
        ("data.2.id", None),
        ("data.x", None),
        ("data.²", None),
        ("email.x", None),
        ("nothing", None),
        ("empty", None),
        ("empty|null|email", "a@example.org"),
        ("zero", 0),
        ("nothing|=free", "free"),
        ("user.roles~lifetime,premium,member", "premium"),
        ("user.role~premium,supporter", "supporter"),
        ("user.roles~owner|=free", "free"),
        ("paid?premium|=free", "premium"),
        ("unpaid?premium|=free", "free"),
        ("email?premium", None),
        ("https://cdn.example/{data.0.id}/{icon}.png", "https://cdn.example/7/a%20b%2Fc.png"),
        ("https://cdn.example/{nothing}.png|email", "a@example.org"),
        ("{name.parts.0} {name.parts.1}", "Ada L"),
        ("{nothing|name.display}!", "Ada!"),
        ("{paid}", None),
        ("https://api.example/auth.plan_type", "plus"),
        ("a.b.c", 1),
        ("a.b.d", 2),
    ],
)
def test_paths(path: str, found: Any) -> None:
    assert read_path(DATA, path) == found


def test_a_list_at_the_top() -> None:
    assert read_path([{"id": 1}], "0.id") == 1
    assert read_path("text", "x") is None


@given(st.text(max_size=40))
def test_no_path_makes_it_fail(path: str) -> None:
    read_path(DATA, path)
