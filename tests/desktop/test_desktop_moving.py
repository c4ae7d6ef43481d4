"""Bringing keys along at the first start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from keyfob.core.settings import Settings
from keyfob.desktop.controller import AppController
from keyfob.desktop.imports.dialog import ImportDialog
from keyfob.desktop.imports.presenter import item
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme
from support import fake_engine as fake
from support import samples
from support.desktop_app import make_app, put_away


@pytest.fixture
def engine(tmp_path: Path) -> fake.FakeEngine:
    made = fake.FakeEngine(tmp_path, [])
    made.settings.value = Settings(first_start_done=False)
    made.imports.rows = samples.sample_found(Path.home())
    return made


@pytest.fixture
def first(qapp: QApplication, theme: Theme, engine: fake.FakeEngine, qtbot: QtBot) -> Iterator[AppController]:
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


def test_words_for_what_was_found_tell_no_secret() -> None:
    home = Path("/home/aldis")
    items = [item(found, home) for found in samples.sample_found(home)]
    assert [each.title for each in items][:2] == ["GitHub · aldis-k · …9xQa", "GitLab · aldis · …mN2c"]
    assert items[0].note == "~/.config/gh/hosts.yml: moves to your keychain."
    assert "needs you to sign in once. A sign-in cannot be moved" in items[2].note
    assert [each.movable for each in items] == [True, True, True, False]
    assert "canary" not in repr(items)


def test_what_was_found_has_its_provider_s_color() -> None:
    home = Path("/home/aldis")
    items = [item(found, home) for found in samples.sample_found(home)]
    assert [each.color for each in items][:2] == ["#24292f", "#c2461b"]


def test_the_first_start_offers_what_it_found_and_not_now_changes_nothing(
    first: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    dialog = offered(first, qtbot)
    assert dialog.accessibleName() == "Move your keys to Keyfob"
    assert not first.running.connect_dialog.isVisible()
    assert not any("canary" in each.text() for each in dialog.findChildren(QLabel))
    dialog.later.click()
    qtbot.waitUntil(lambda: engine.settings.value.first_start_done)
    assert engine.imports.moved == []
    assert engine.imports.blanked == []


def test_where_nothing_is_found_the_gallery_opens(
    first: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    offered(first, qtbot).later.click()
    engine.imports.rows = []
    first.running.offer_import()
    qtbot.waitUntil(
        lambda: first.running.connect_dialog.pages.currentWidget() is first.running.connect_dialog.gallery
    )


def test_what_is_chosen_is_moved_and_the_plaintext_blanked_only_when_said(
    first: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    engine.imports.refused = "git-credentials"
    dialog = offered(first, qtbot)
    assert dialog.go.text() == "Move 3"
    assert not dialog.rows[3].switch.isEnabled()
    dialog.go.click()
    qtbot.waitUntil(dialog.done_button.isVisible)
    assert [each.source for each in engine.imports.moved] == ["gh", "emailproxy"]
    assert "github/aldis-k" in dialog.rows[0].note.text()
    assert "GitLab refused the key" in dialog.rows[1].note.text()
    assert "Sign in to it once" in dialog.rows[2].note.text()
    assert "stays where it is" in dialog.rows[3].note.text()
    assert engine.imports.blanked == []
    dialog.blank.click()
    asked = dialog.findChild(Confirm)
    assert asked is not None
    asked.cancel.click()
    assert engine.imports.blanked == []
    dialog.blank.click()
    again = [each for each in dialog.findChildren(Confirm) if each.isVisible()]
    again[0].deed.click()
    qtbot.waitUntil(lambda: [each.source for each in engine.imports.blanked] == ["gh"])
    qtbot.waitUntil(lambda: "hosts.yml.before-keyfob" in dialog.plaintext.text())
    assert "They are still in this backup" in dialog.plaintext.text()
    assert "delete this backup" in dialog.plaintext.text()
    dialog.done_button.click()
    qtbot.waitUntil(lambda: engine.settings.value.first_start_done)
