"""Bringing keys along at the first start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from keyfob.core.secret import Secret
from keyfob.desktop.controller import AppController
from keyfob.desktop.imports.dialog import ImportDialog
from keyfob.desktop.imports.presenter import item
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.engine import Engine
from support.announcements import announcements
from support.desktop_app import make_app, put_away
from support.sample_engine import sample_engine
from support.samples import write_tool_files
from support.scripted_provider import ScriptedProvider


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, in which other tools have left keys."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tool_files(tmp_path)
    return tmp_path


@pytest.fixture
def engine(home: Path, world: dict[str, Any]) -> Engine:
    return sample_engine(home, [], first_start=True, **world)


@pytest.fixture
def first(qapp: QApplication, theme: Theme, engine: Engine, qtbot: QtBot) -> Iterator[AppController]:
    controller = make_app(theme, lambda: engine)
    controller.begin()
    yield controller
    put_away(controller, qtbot)
    controller.window.deleteLater()
    controller.deleteLater()


def offered(controller: AppController, qtbot: QtBot) -> ImportDialog:
    def dialog() -> ImportDialog | None:
        first = controller.running.first_start if controller.running is not None else None
        return None if first is None else first.dialog

    qtbot.waitUntil(lambda: dialog() is not None)
    found = dialog()
    assert found is not None
    return found


TEXTS = (".config/gh/hosts.yml", ".git-credentials", "emailproxy.config", ".codex/auth.json")


def texts(home: Path) -> list[str]:
    return [(home / name).read_text() for name in TEXTS]


def test_words_for_what_was_found_tell_no_secret(home: Path, engine: Engine) -> None:
    items = [item(found, home) for found in engine.imports.find()]
    assert [each.title for each in items] == [
        "GitLab · aldis · …mN2c",
        "GitHub · aldis-k · …9xQa",
        "OpenAI Codex",
        "Google · work@example.org",
    ]
    notes = {each.title.split()[0]: each.note for each in items}
    assert notes["GitHub"] == "~/.config/gh/hosts.yml: moves to your keychain."
    assert "needs you to sign in once. The proxy keeps its tokens encrypted" in notes["Google"]
    assert "stays where it is. Codex renews this sign-in" in notes["OpenAI"]
    assert [each.movable for each in items] == [True, True, False, True]
    assert "canary" not in repr(items)


def test_what_was_found_has_its_provider_s_color(home: Path, engine: Engine) -> None:
    items = [item(found, home) for found in engine.imports.find()]
    assert [each.color for each in items][:2] == ["#c2461b", "#24292f"]


def test_the_first_start_offers_what_it_found_and_not_now_changes_nothing(
    first: AppController, engine: Engine, home: Path, qtbot: QtBot
) -> None:
    before = texts(home)
    dialog = offered(first, qtbot)
    assert dialog.accessibleName() == "Move your keys to Keyfob"
    assert not first.running.connect_dialog.isVisible()
    assert not any("canary" in each.text() for each in dialog.findChildren(QLabel))
    dialog.later.click()
    qtbot.waitUntil(lambda: engine.settings.load().first_start_done)
    assert engine.accounts.views() == []
    assert texts(home) == before


def test_where_nothing_is_found_the_gallery_opens(first: AppController, home: Path, qtbot: QtBot) -> None:
    offered(first, qtbot).later.click()
    for name in TEXTS:
        (home / name).unlink()
    first.running.offer_import()
    qtbot.waitUntil(
        lambda: first.running.connect_dialog.pages.currentWidget() is first.running.connect_dialog.gallery
    )


def test_what_is_chosen_is_moved_and_the_plaintext_blanked_only_when_said(
    first: AppController,
    engine: Engine,
    provider: ScriptedProvider,
    home: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken = announcements(monkeypatch)
    provider.refuses = "canary-mN2c"  # GitLab's key
    before = texts(home)
    dialog = offered(first, qtbot)
    assert dialog.go.text() == "Move 3"
    gitlab, github, codex, google = dialog.rows
    assert not codex.switch.isEnabled()
    dialog.go.click()
    qtbot.waitUntil(dialog.done_button.isVisible)
    assert sorted(each.id for each in engine.accounts.views()) == ["github/alice", "google/work@example.org"]
    assert engine.accounts.token("github/alice").token == Secret("github_pat_canary-9xQa")
    assert "github/alice" in github.note.text()
    assert gitlab.note.text() == (
        "GitLab does not accept this token or key. Check the key, and enter it again."
    )
    assert "Sign in to it once" in google.note.text()
    assert "stays where it is" in codex.note.text()
    assert texts(home) == before
    dialog.blank.click()
    asked = dialog.findChild(Confirm)
    assert asked is not None
    asked.cancel.click()
    assert texts(home) == before
    dialog.blank.click()
    again = [each for each in dialog.findChildren(Confirm) if each.isVisible()]
    again[0].action.click()
    qtbot.waitUntil(lambda: texts(home)[0] != before[0])
    qtbot.waitUntil(lambda: "hosts.yml.before-keyfob" in dialog.plaintext.text())
    assert "canary" not in texts(home)[0]
    assert [text.split(".")[0] for text, _ in spoken] == [
        "Keys moved",
        "The old files no longer contain the keys",
    ]
    assert texts(home)[1:] == before[1:]  # what was not moved stays where it is
    backup = home / ".config/gh/hosts.yml.before-keyfob"
    assert backup.read_text() == before[0]
    assert "They are still in this backup" in dialog.plaintext.text()
    assert "delete this backup" in dialog.plaintext.text()
    dialog.done_button.click()
    qtbot.waitUntil(lambda: engine.settings.load().first_start_done)
