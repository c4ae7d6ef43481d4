"""A tool is set up again as it was asked for the first time, whatever the account is called by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfob.core.errors import SettingWrong
from keyfob.engine import Engine
from keyfob.tools.tool_setup import Asked
from support.sample_engine import sample_engine
from support.samples import sample_views, view


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path, [each for each in sample_views() if each.provider in ("github", "google")])


def test_s79_what_was_asked_for_is_asked_for_again(engine: Engine, tmp_path: Path) -> None:
    setup, file = engine.tool_setup, tmp_path / ".gitconfig"
    first = Asked(tmp_path, ("github",), {"host": "github.com"})
    setup.make("git", first, setup.plan("git", first))
    before = file.read_text()
    file.unlink()
    assert engine.wiring.state("git") == "changed"

    engine.accounts.rename("github", "work")
    again = setup.asked("git")
    assert (again.options, again.here) == (first.options, tmp_path)
    setup.make("git", again, setup.plan("git", again))
    assert file.read_text() == before.replace("github/aldis-k", "github/work")
    assert setup.asked("git") == again
    assert engine.wiring.state("git") == "wired"
    engine.wiring.undo("git", engine.wiring.undoing("git"))
    assert not file.exists()


def test_without_a_note_all_accounts_are_meant(engine: Engine, tmp_path: Path) -> None:
    assert engine.tool_setup.asked("git") == Asked(tmp_path)


def test_what_may_not_be_shared_is_not_set_up(tmp_path: Path) -> None:
    kept = sample_engine(tmp_path, [view("openai", "OpenAI", "me")])
    with pytest.raises(SettingWrong) as refused:
        kept.tool_setup.plan("git", Asked(tmp_path, ("openai",)))
    assert refused.value.code == "sharing_not_allowed"


def test_kubectl_gets_an_id_token_only_of_an_account_that_asked_for_one(tmp_path: Path) -> None:
    without = view("github", "GitHub", "me", scopes=("repo",))
    setup = sample_engine(tmp_path, [without, view("google", "Google", "me")]).tool_setup
    with pytest.raises(SettingWrong) as refused:
        setup.plan("kubectl", Asked(tmp_path, ("github",), {"id_token": "yes"}))
    assert refused.value.code == "id_token_missing"
    assert refused.value.facts == {"account": "github/me"}
    (change,) = setup.plan("kubectl", Asked(tmp_path, ("google",), {"id_token": "yes"})).changes
    assert "      - google/me\n      - --id-token\n" in change.after
    (change,) = setup.plan("kubectl", Asked(tmp_path, ("github",))).changes
    assert "--id-token" not in change.after
