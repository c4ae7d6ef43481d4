"""An account's name is completed without the command line and the engine, in the words that click uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from keyfob.adapters.store.sqlite import SqliteAccountStore
from keyfob.cli.main import VERBS, keyfob
from keyfob.cli.session import Session
from keyfob.completion_fast_path import COMMANDS
from support.sample_engine import record_of, sample_engine
from support.samples import sample_views

HEAVY = ("keyfob.engine", "click", "keyfob.cli.main", "keyfob.service", "keyring")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completed")
    (folder / "data").mkdir()
    store = SqliteAccountStore(folder / "data" / "accounts.db")
    catalogue = sample_engine(folder / "other").providers
    for view in sample_views():
        store.put(record_of(view, catalogue.get(view.provider)))
    store.close()
    return folder


def ask(home: Path, shell: str, line: str, *, show: bool = False) -> subprocess.CompletedProcess[str]:
    words = line.split(" ")
    current = words[-1] if shell == "fish" else str(len(words) - 1)
    code = "import sys\nfrom keyfob.__main__ import main\nsys.argv = ['keyfob']\ncode = main()\n"
    if show:
        code += f"print([each for each in {HEAVY!r} if each in sys.modules], file=sys.stderr)\n"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "KEYFOB_HOME": str(home),
            "COMP_WORDS": line,
            "COMP_CWORD": current,
            "_KEYFOB_COMPLETE": f"{shell}_complete",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("bash", "plain,github/aldis-k\nplain,google/work@example.org\n"),
        ("zsh", "plain\ngithub/aldis-k\n_\nplain\ngoogle/work@example.org\n_\n"),
        ("fish", "plain,github/aldis-k\nplain,google/work@example.org\n"),
    ],
)
def test_accounts_come_without_the_engine(home: Path, shell: str, expected: str) -> None:
    done = ask(home, shell, "keyfob token g", show=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "[]\n")
    assert "google" not in ask(home, shell, "keyfob token gith").stdout


def test_nothing_typed_yet_gets_all(home: Path) -> None:
    assert len(ask(home, "bash", "keyfob status ").stdout.splitlines()) > 3


@pytest.mark.parametrize(
    "line", ["keyfob token --m", "keyfob tok", "keyfob settings get cal", "keyfob wire gi"]
)
def test_the_rest_is_clicks(home: Path, line: str) -> None:
    done = ask(home, "bash", line)
    assert done.returncode == 0
    assert done.stdout.startswith("plain,")


def test_a_word_in_quotes_is_taken_apart_by_click(home: Path) -> None:
    assert "github/aldis-k" in ask(home, "bash", 'keyfob token "github').stdout


def test_no_store_completes_nothing_and_says_nothing(tmp_path: Path) -> None:
    done = ask(tmp_path / "none", "bash", "keyfob token ")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "none").exists()


def test_it_is_for_the_commands_that_begin_with_an_account() -> None:
    def begins_with_an_account(name: str) -> bool:
        command = keyfob.get_command(click.Context(keyfob), name)
        assert command is not None
        first = next((param for param in command.params if isinstance(param, click.Argument)), None)
        if first is None or isinstance(command, click.Group):
            return False
        session = Session(lambda _: 0, known_accounts=lambda: ["a/b"])
        found = first.shell_complete(click.Context(command, obj=session), "")
        return [each.value for each in found] == ["a/b"]

    assert {name for name in VERBS if begins_with_an_account(name)} == COMMANDS
