"""The gateway's model table: what a file says, and what is wrong with one."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.gateway.models import table_file
from keyfob.gateway.models.table import read

TABLE = """\
# mine
gpt-5.5:
  account: openai-api/work
# all of Claude's names
claude-*:
  account: openai-codex/me
  model: gpt-5.5
  format: openai_responses
"or/*": {account: openrouter/me, model: "*"}
claude-opus: {account: anthropic/me}
"""


def test_names_come_before_patterns_and_a_star_stands_for_the_same_text() -> None:
    table = read(TABLE, "models.yaml")
    found = {name: table.find(name) for name in ("gpt-5.5", "claude-opus", "claude-x", "or/a/b", "gpt-5")}
    assert {name: (one[0].account, one[1]) for name, one in found.items() if one} == {
        "gpt-5.5": ("openai-api/work", "gpt-5.5"),
        "claude-opus": ("anthropic/me", "claude-opus"),
        "claude-x": ("openai-codex/me", "gpt-5.5"),
        "or/a/b": ("openrouter/me", "a/b"),
    }
    assert table.names == ["gpt-5.5", "claude-opus"]
    assert read("", "models.yaml").entries == ()


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: b: c", 1, "not YAML"),
        ("- a", 1, "names of models"),
        ("a:\n  account: x/y\nb: 7", 3, "needs an account"),
        ("a: {account: nothing}", 1, "needs an account"),
        ("a:\n  account: x/y\n  acount: z", 3, "the keys are account, model, format"),
        ("a:\n  account: x/y\n  format: openai", 1, "openai_chat"),
        ("a: {account: x/y}\n\na: {account: x/z}", 3, "twice"),
        ("a: {account: x/y, model: 'b*'}", 1, "the name has none"),
        ("a: {account: [x/y]}", 1, "one text"),
        ("{a: b}: {account: x/y}", 1, "not a model's name"),
        ("*", 1, "not YAML"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(SettingWrong, match=rf"^models\.yaml, line {line}: .*{word}"):
        read(text, "models.yaml")


@given(st.text(max_size=60))
def test_any_text_is_a_table_or_a_fault(text: str) -> None:
    with suppress(SettingWrong):
        read(text, "models.yaml")


def test_adding_and_removing_leave_the_rest_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(TABLE)
    assert table_file.add(path, "o3", "openai-api/work", None, None).account == "openai-api/work"
    assert table_file.add(path, "*", "openrouter/me", "null", "openai_chat").model == "null"
    assert path.read_text().startswith(TABLE)
    with pytest.raises(Usage, match="already"):
        table_file.add(path, "o3", "openai-api/work", None, None)
    for name in ("o3", "*"):
        table_file.remove(path, name)
    assert path.read_text() == TABLE
    table_file.remove(path, "gpt-5.5")
    table_file.remove(path, "or/*")
    left = path.read_text()
    assert "# all of Claude's names\nclaude-*:" in left
    assert list(yaml.safe_load(left)) == ["claude-*", "claude-opus"]
    with pytest.raises(NotFound, match="o3"):
        table_file.remove(path, "o3")


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_any_name_can_be_added_and_removed(name: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "models.yaml"
        path.write_text(TABLE)
        table_file.add(path, name, "openai-api/work", None, None)
        assert table_file.remove(path, name).name == name
        assert path.read_text() == TABLE


def test_a_changed_file_is_read_again_and_a_faulty_one_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "LOOK_EVERY", 0.0)
    path = tmp_path / "models.yaml"
    watched = table_file.WatchedTable(path)
    assert watched.now().entries == ()
    path.write_text(TABLE)
    assert watched.now().find("gpt-5.5")
    path.write_text("gpt-5.5: {}")
    with caplog.at_level(logging.WARNING, "keyfob.gateway"):
        assert watched.now().find("claude-x")
    assert "models.yaml, line 1: gpt-5.5 needs an account" in caplog.text
    path.unlink()
    assert watched.now().entries == ()
    path.write_text("no table")
    with pytest.raises(SettingWrong):
        table_file.WatchedTable(path)


def test_the_file_is_looked_at_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    watched = table_file.WatchedTable(path)
    path.write_text(TABLE)
    assert not watched.now().entries
    end = time.monotonic() + 5
    while not watched.now().entries:
        assert time.monotonic() < end
        time.sleep(0.05)
