"""S-84: a preset's pattern cannot hang Keyfob, whoever wrote it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core import patterns
from keyfob.core.provider import Input
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.substitute import fill

BOMBS = [
    r"(a+)+$", r"(a|aa)+$", r"(a|a)*$", r"(.*)*", r"(a*)*b", r"([a-z]+)*!", r"(a{1,1000}){1,1000}",
    r"(?:a?){30}a",
    r"(x+x+)+y", r"(?=(a+)+$)a*", r"(?!(a|a)*$)a*", r"(?:(?:a|a)(?:a|a)){20}", r"((a|b)+|c)*d", r"(?>(a+)+)b",
    r"(a+){2}",
    r".*.*.*.*x", r"(a|a)" * 40, r"a?" * 40 + "a" * 40, r"\d+\w+.+[!-~]+x", r"(a?){1,60000}",
    r"(?P<n>a)+(?P=n)",
    r"(a)\1", r"(a)(?(1)b|c)", "a" * 257, "[", "(" * 200, "(?:" * 80 + "a" + "){9}" * 80, "a{9999999999999}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", BOMBS)
def test_a_pattern_that_could_take_long_is_refused_and_matches_nothing(pattern: str) -> None:
    start = time.monotonic()
    assert patterns.fault(pattern) is not None
    for text in ("a" * 48 + "!", "a" * 256, "", "x" * 40):
        assert not patterns.matches(pattern, text)
    assert time.monotonic() - start < 2


PARTS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "[a-z]",
        r"\d",
        "a*",
        "a+",
        ".*",
        ".+?",
        "[ab]{1,9}",
        "a?",
        "(a|a)",
        "(a|b|)",
        "(?:ab|a)",
        "(?!b)",
        "-",
        "^",
        "$",
    ]
)


@given(st.lists(PARTS, max_size=30), st.lists(st.sampled_from(["|", ""]), max_size=4))
def test_whatever_pattern_is_taken_ends_soon(parts: list[str], bars: list[str]) -> None:
    pattern = "".join(parts + bars)
    if patterns.fault(pattern) is not None:
        return
    start = time.monotonic()
    for text in ("a" * 256, "a" * 255 + "!", "ab" * 128, "1" * 255 + "a"):
        patterns.matches(pattern, text)
    assert time.monotonic() - start < 5  # seconds, on a machine with much else to do


def test_the_patterns_of_our_presets_are_taken() -> None:
    found = Catalogue(resources() / "providers").all()
    told = [each.pattern for preset in found for each in preset.inputs if each.pattern]
    told += [preset.api_key.pattern for preset in found if preset.api_key and preset.api_key.pattern]
    assert len(told) > 5
    assert [pattern for pattern in told if patterns.fault(pattern)] == []


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("sk-ant-(?!oat).+", "sk-ant-api", "sk-ant-oat1"),
        ("(github_pat_|gh[a-z]_).+", "ghp_x", "gh_x"),
        ("[a-z]+-[0-9]{1,60}", "a-1", "a-1\n"),
        (".{4}", "abcd", "a" * 257),
        ("a|b", "b", "ab"),
    ],
)
def test_a_pattern_matches_the_whole_text(pattern: str, good: str, bad: str) -> None:
    assert patterns.fault(pattern) is None
    assert patterns.matches(pattern, good)
    assert not patterns.matches(pattern, bad)


PRESET = """\
id = "evil"
title = "Evil"
methods = ["api_key"]
docs = "https://{tenant}.evil.example"
[[inputs]]
name = "tenant"
title = "Tenant"
pattern = %s
example = %s
[api_key]
[api_key.api]
base = "https://evil.example"
"""


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", ".*" * 8 + "b"])
def test_a_catalogue_with_such_a_preset_is_read_at_once(tmp_path: Path, pattern: str) -> None:
    text = PRESET % (json.dumps(pattern), json.dumps("a" * 48 + "!"))
    (tmp_path / "evil.toml").write_text(text)
    catalogue = Catalogue(resources() / "providers", tmp_path)
    start = time.monotonic()
    assert "evil" not in [preset.id for preset in catalogue.all()]
    assert "inputs.0.pattern" in [fault.key for fault in catalogue.faults()]
    assert catalogue.check(text.encode())
    assert time.monotonic() - start < 5


def test_what_the_person_types_is_matched_in_bounded_time() -> None:
    preset = next(each for each in Catalogue(resources() / "providers").all() if each.inputs)
    entry = Input(name=preset.inputs[0].name, title="T", pattern="(a+)+$")
    from dataclasses import replace

    with pytest.raises(Exception, match="cannot be"):
        fill(replace(preset, inputs=(entry,)), {entry.name: "a" * 40 + "-"})
