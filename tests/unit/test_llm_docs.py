"""The tables of docs/models.md are those that the translators go by."""

from __future__ import annotations

import re
from pathlib import Path

from keyfob.gateway.llm.codex import NOT_SENT
from keyfob.gateway.llm.fields import CARRIED, DROPPED, DROPPED_INSIDE, REFUSED, Pair
from keyfob.gateway.llm.formats import TITLES, Format
from keyfob.gateway.llm.messages_writing import DEFAULT_MAX_TOKENS
from keyfob.gateway.llm.responses_writing import LEAST_TOKENS
from keyfob.gateway.llm.translate import can

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")


def table(heading: str) -> set[tuple[str, ...]]:
    """The rows of the table below this heading."""
    below = PAGE.partition(f"\n## {heading}\n")[2] or PAGE.partition(f"\n### {heading}\n")[2]
    assert below, heading
    lines = re.findall(r"^\|.*\|$", re.split(r"^##", below, maxsplit=1, flags=re.M)[0], re.M)
    return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]}


def rows(tables: dict[Pair, dict[str, str]]) -> set[tuple[str, ...]]:
    """A row for each field of a format and reason, with the upstreams that it is for."""
    found: dict[tuple[str, Format, str], list[str]] = {}
    for (source, target), fields in tables.items():
        for name, why in fields.items():
            found.setdefault((name, source, why), []).append(TITLES[target])
    return {
        (f"`{name}`", TITLES[source], ", ".join(targets), why)
        for (name, source, why), targets in found.items()
    }


def test_what_is_dropped() -> None:
    assert table("Fields that are dropped") == rows(DROPPED)


def test_what_is_dropped_inside() -> None:
    expected = {
        (f"`{name}`", TITLES[source], why)
        for source, fields in DROPPED_INSIDE.items()
        for name, why in fields.items()
    }
    assert table("Dropped inside messages and tools") == expected


def test_what_is_refused() -> None:
    reasons = {
        pair: {name: rule.why[0].upper() + rule.why[1:] + "." for name, rule in fields.items()}
        for pair, fields in REFUSED.items()
    }
    assert table("Fields that are refused") == rows(reasons)


def test_which_formats_are_translated() -> None:
    titles = list(TITLES.items())
    expected = {
        (
            title,
            *("unchanged" if s == t else "translated" if can(s, t) else "refused" for t, _ in titles),
        )
        for s, title in titles
    }
    assert table("Which formats are translated") == expected


def test_no_field_has_two_rules() -> None:
    assert set(CARRIED) == set(DROPPED) == set(REFUSED)
    for pair, carried in CARRIED.items():
        names = [*carried, *DROPPED[pair], *REFUSED[pair]]
        assert len(names) == len(set(names)), pair


def test_the_limit_that_messages_needs() -> None:
    assert f"`max_tokens` {DEFAULT_MAX_TOKENS:,}" in PAGE
    assert f"no limit below {LEAST_TOKENS}," in PAGE


def test_what_the_codex_channel_does_not_get() -> None:
    codex = PAGE.partition("## The Codex channel")[2]
    (sentence,) = re.findall(r"^- (`max_output_tokens`.*?) are not sent", codex, re.M | re.S)
    assert set(re.findall(r"`(\w+)`", sentence)) == set(NOT_SENT)
